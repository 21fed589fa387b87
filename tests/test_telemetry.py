"""The metrics of a send, a tracking and a cleanup, as a StatsD server gets them, and the board that shows them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk.observability import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from flexsms.core.exceptions import NotDelivered
from flexsms.operators.cleanup import FlexCleanupOperator
from flexsms.operators.cleanup_plan import FlexCleanupPlanOperator
from flexsms.operators.cleanup_report import FlexCleanupReportOperator
from flexsms.operators.send import FlexSendOperator
from flexsms.operators.track import FlexTrackOperator
from flexsms.sandbox.client import SandboxProcess
from flexsms.sensors.delivery import FlexDeliverySensor
from flexsms.telemetry import CallMetrics, Metric
from tests.conftest import ROOT
from tests.operators.conftest import FakeContext, connection
from tests.support.statsd import Metrics, statsd

__all__ = ["connection"]

FROM, TO = "+14155550100", "+14155550199"
BOARD = ROOT / "docs" / "monitoring" / "grafana.json"


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    with statsd() as metrics:
        yield metrics


def send(**more: Any) -> dict[str, Any]:
    task = FlexSendOperator(task_id="send", from_number=FROM, to_number=TO, body="Hello", **more)
    sent: dict[str, Any] = asyncio.run(task.aexecute(FakeContext("send")))  # type: ignore[arg-type]
    return sent


def clean_up(preview: bool = False) -> dict[str, Any]:
    plan, retire, report = FakeContext("plan"), FakeContext("retire"), FakeContext("report")
    batches = asyncio.run(FlexCleanupPlanOperator(task_id="plan", preview=preview).aexecute(plan))  # type: ignore[arg-type]
    retire.pulled = {("plan", key, -1): value for key, value in plan.pushed.items()}
    report.pulled = {("plan", "plan", -1): plan.pushed["plan"]}
    for index, batch in enumerate(batches):
        asyncio.run(FlexCleanupOperator(task_id="retire", batch=batch, preview=preview).aexecute(retire))  # type: ignore[arg-type]
        report.pulled["retire", "report", index] = retire.pushed["report"]
    task = FlexCleanupReportOperator(
        task_id="report", plan_task_id="plan", batch_task_id="retire", preview=preview
    )
    summary: dict[str, Any] = task.execute(report)  # type: ignore[arg-type]
    return summary


def everything(sandbox: SandboxProcess) -> None:
    """A text that does not arrive, a run of tracking in which Twilio puts a call off, and a cleanup."""
    sandbox.control.settings(sms_outcomes={TO: {"status": "undelivered", "error_code": 30005}}, sms_step_s=0)
    sent = send()
    with pytest.raises(NotDelivered):
        FlexDeliverySensor(task_id="delivery", sent=sent).execute(FakeContext())  # type: ignore[arg-type]
    sandbox.control.seed(channels=4, due=3)
    sandbox.control.fault(match={"host": "taskrouter.twilio.com"}, action="status", status=429, times=1)
    asyncio.run(FlexTrackOperator(task_id="track").aexecute(FakeContext()))  # type: ignore[arg-type]
    clean_up()


@pytest.mark.usefixtures("connection")
def test_each_job_tells_what_it_did(metrics: Metrics, sandbox: SandboxProcess) -> None:
    everything(sandbox)
    told = metrics.told()
    assert {one["name"] for one in told} == {f"airflow.{metric}" for metric in Metric}
    assert metrics.of(Metric.SENT) == [(1, {"route": "agent", "stack": "chat", "outcome": "sent"})]
    assert metrics.of(Metric.DELIVERY) == [(1, {"status": "undelivered", "error_code": "30005"})]
    [(lag_ms, tags)] = metrics.of(Metric.EVENT_LAG)
    assert lag_ms >= 0
    assert tags == {"source": "taskrouter"}
    assert metrics.of(Metric.CHANNELS)[-1] == (3, {"state": "due"})
    assert metrics.of(Metric.DUE) == [(3, {})]
    assert metrics.of(Metric.RETIRED) == [(3, {"outcome": "deactivated"})]
    read = [value for value, tags in metrics.of(Metric.EVENTS) if tags["outcome"] == "read"]
    assert sum(read) > 0
    assert (1, {"host": "taskrouter.twilio.com", "status": "429"}) in metrics.of(Metric.API_CALLS)
    assert {tags["host"] for _, tags in metrics.of(Metric.THROTTLED)} == {"taskrouter.twilio.com"}


@pytest.mark.usefixtures("connection")
def test_no_metric_names_anybody_or_anything(metrics: Metrics, sandbox: SandboxProcess) -> None:
    everything(sandbox)
    metrics.told()
    for line in metrics.lines:
        name = line.rpartition(":")[0]
        assert not re.search(r"[A-Z]{2}[0-9a-f]{32}|[0-9]{7}", name), line


@pytest.mark.usefixtures("connection")
def test_a_dry_run_retires_nothing(metrics: Metrics, sandbox: SandboxProcess) -> None:
    sandbox.control.seed(channels=4, due=3)
    assert (clean_up(preview=True))["deactivated"] == 3
    assert not {Metric.RETIRED, Metric.DUE} & {one["name"].removeprefix("airflow.") for one in metrics.told()}


def test_without_a_server_for_metrics_nothing_happens(
    connection: Callable[..., None], sandbox: SandboxProcess
) -> None:
    sandbox.control.seed(channels=1)
    CallMetrics().answered("sync.twilio.com", 200)
    assert (send())["message_sid"]


@pytest.mark.usefixtures("connection")
def test_a_task_has_a_span_for_what_it_does(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer", lambda name: provider.get_tracer(name))
    everything(sandbox)
    assert [one.name for one in spans.get_finished_spans()] == [
        "flexsms.send",
        "flexsms.track",
        "flexsms.plan",
        "flexsms.retire",
    ]


def expressions(panel: dict[str, Any]) -> list[str]:
    """What the panels of the board ask Prometheus for."""
    found = [target["expr"] for target in panel.get("targets", ())]
    return found + [expr for inner in panel.get("panels", ()) for expr in expressions(inner)]


@pytest.mark.usefixtures("connection")
def test_the_board_asks_for_metrics_and_tags_that_a_run_has_sent(
    metrics: Metrics, sandbox: SandboxProcess
) -> None:
    everything(sandbox)
    sent = {one["name"].replace(".", "_"): set(one["tags"]) for one in metrics.told()}
    asked: set[str] = set()
    for expression in expressions(json.loads(BOARD.read_text())):
        [name] = re.findall(r"airflow_flexsms_\w+", expression)
        plain = re.sub("_(sum|count)$", "", name) if name not in sent else name
        assert plain in sent, expression
        labels = set(re.findall(r"by \(([\w, ]+)\)", expression)) | set(re.findall(r"(\w+)=~?\"", expression))
        assert {label for group in labels for label in group.split(", ")} <= sent[plain] | {"quantile"}
        asked.add(plain)
    assert asked == sent.keys(), "the board leaves out a metric"


def test_the_page_lists_every_metric() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text()
    assert set(re.findall(r"^\| `(flexsms\.\w+)", page, re.MULTILINE)) == {str(metric) for metric in Metric}
