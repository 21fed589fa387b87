"""The metrics of a send, a tracking and a cleanup, as a StatsD server gets them, and the board that shows them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
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
from flexsms.sources.object_storage import ObjectStorageInbox
from flexsms.telemetry import CallMetrics, Metric
from flexsms.web.app import create_app
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
        report.pulled["retire", "report", index] = retire.pushed.get("report")
    task = FlexCleanupReportOperator(
        task_id="report", plan_task_id="plan", batch_task_id="retire", preview=preview
    )
    summary: dict[str, Any] = task.execute(report)  # type: ignore[arg-type]
    return summary


def read_inbox(connection: Callable[..., None], inbox_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that reads the inbox, in which one more post arrives."""
    connection(inbox_path=inbox_url, events_url="https://airflow.example.com/flexsms/events")

    async def one_more(inbox: ObjectStorageInbox) -> None:
        await inbox.put(b"[]")

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStorageInbox, "tidy", one_more)
        asyncio.run(FlexTrackOperator(task_id="track", source="inbox").aexecute(FakeContext()))  # type: ignore[arg-type]


def post_unsigned() -> None:
    """A stranger posts to the events URL."""

    async def post() -> int:
        transport = httpx.ASGITransport(app=create_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://inside:8080") as client:
            return (await client.post("/events", content=b"[]")).status_code

    assert asyncio.run(post()) == 403


@pytest.fixture
def everything(
    sandbox: SandboxProcess,
    connection: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[], None]:
    """A text that does not arrive, runs of tracking, in one of which Twilio puts a call off, a cleanup, and a post."""

    def everything() -> None:
        run_jobs(sandbox)
        post_unsigned()
        read_inbox(connection, f"file://{tmp_path}/inbox", monkeypatch)

    return everything


def run_jobs(sandbox: SandboxProcess) -> None:
    sandbox.control.settings(sms_outcomes={TO: {"status": "undelivered", "error_code": 30005}}, sms_step_s=0)
    sent = send()
    with pytest.raises(NotDelivered):
        FlexDeliverySensor(task_id="delivery", sent=sent).execute(FakeContext())  # type: ignore[arg-type]
    sandbox.control.seed(channels=4, due=3)
    sandbox.control.fault(match={"host": "taskrouter.twilio.com"}, action="status", status=429, times=1)
    asyncio.run(FlexTrackOperator(task_id="track").aexecute(FakeContext()))  # type: ignore[arg-type]
    clean_up()


def test_each_job_tells_what_it_did(metrics: Metrics, everything: Callable[[], None]) -> None:
    everything()
    told = metrics.told()
    assert {one["name"] for one in told} == {f"airflow.{metric}" for metric in Metric}
    assert metrics.of(Metric.SENT) == [(1, {"route": "agent", "stack": "chat", "outcome": "sent"})]
    assert metrics.of(Metric.DELIVERY) == [(1, {"status": "undelivered", "error_code": "30005"})]
    [(lag_ms, tags), *_] = metrics.of(Metric.EVENT_LAG)
    assert lag_ms >= 0
    assert tags == {"source": "taskrouter"}
    assert metrics.of(Metric.CHANNELS)[-1] == (3, {"state": "due"})
    assert metrics.of(Metric.DUE) == [(3, {})]
    [(oldest_s, _)] = metrics.of(Metric.OLDEST_DUE)
    assert oldest_s > timedelta(days=2).total_seconds()
    assert metrics.of(Metric.INBOX_WAITING) == [(1, {})]
    assert metrics.of(Metric.INBOX_REFUSED) == [(1, {"reason": "signature"})]
    assert metrics.of(Metric.RETIRED) == [(3, {"outcome": "deactivated"})]
    read = [value for value, tags in metrics.of(Metric.EVENTS) if tags["outcome"] == "read"]
    assert sum(read) > 0
    assert (1, {"host": "taskrouter.twilio.com", "status": "429"}) in metrics.of(Metric.API_CALLS)
    assert {tags["host"] for _, tags in metrics.of(Metric.THROTTLED)} == {"taskrouter.twilio.com"}


def test_no_metric_names_anybody_or_anything(metrics: Metrics, everything: Callable[[], None]) -> None:
    everything()
    metrics.told()
    for line in metrics.lines:
        name = line.rpartition(":")[0]
        assert not re.search(r"[A-Z]{2}[0-9a-f]{32}|[0-9]{7}", name), line


@pytest.mark.usefixtures("connection")
def test_a_dry_run_retires_nothing(metrics: Metrics, sandbox: SandboxProcess) -> None:
    sandbox.control.seed(channels=4, due=3)
    assert (clean_up(preview=True))["deactivated"] == 3
    told = {one["name"].removeprefix("airflow.") for one in metrics.told()}
    assert not {Metric.RETIRED, Metric.DUE, Metric.OLDEST_DUE, Metric.CHANNELS} & told


@pytest.mark.usefixtures("connection")
def test_nothing_due_is_nothing_old(metrics: Metrics, sandbox: SandboxProcess) -> None:
    sandbox.control.seed(channels=4, due=0)
    assert clean_up()["due"] == 0
    assert metrics.of(Metric.OLDEST_DUE) == [(0, {})]


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
    run_jobs(sandbox)
    assert [one.name for one in spans.get_finished_spans()] == [
        "flexsms.send",
        "flexsms.track",
        "flexsms.plan",
        "flexsms.retire",
    ]


def expressions(panel: dict[str, Any]) -> list[tuple[str, str]]:
    """What the panels of the board ask Prometheus for, and by which labels they name the lines."""
    found = [(target["expr"], target["legendFormat"]) for target in panel.get("targets", ())]
    return found + [one for inner in panel.get("panels", ()) for one in expressions(inner)]


# What Prometheus has of a metric of each kind of StatsD, by way of statsd_exporter, and how it may be asked for that.
ASKED = {
    "c": r"sum by \([\w, ]+\) \((?:increase|rate)\({}\[\w+\]\)\)(?: \* 60)?",
    "g": r"max(?: by \([\w, ]+\))? \({}\)|max\({}\)",
    "ms": r"max by \([\w, ]+\) \({}\)|sum by \([\w, ]+\) \(rate\({}\[\w+\]\)\)",
}


def test_the_board_draws_what_a_run_has_sent(metrics: Metrics, everything: Callable[[], None]) -> None:
    everything()
    sent: dict[str, list[dict[str, Any]]] = {}
    for one in metrics.told():
        sent.setdefault(one["name"].replace(".", "_"), []).append(one)
    asked: set[str] = set()
    for expression, legend in expressions(json.loads(BOARD.read_text())):
        [(name, selector)] = re.findall(r"(airflow_flexsms_\w+)(\{[^}]*\})?", expression)
        metric = re.sub("_sum$", "", name) if name not in sent else name
        assert metric in sent, expression
        lines = sent[metric]
        [kind] = {line["kind"] for line in lines}
        assert re.fullmatch(ASKED[kind].replace("{}", re.escape(name + selector)), expression), expression
        labels = {
            label for group in re.findall(r"by \(([\w, ]+)\)", expression) for label in group.split(", ")
        }
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) == labels, legend
        wanted = dict(re.findall(r"(\w+)=~?\"([^\"]*)\"", selector))
        assert (wanted.pop("quantile", None) is not None) == (kind == "ms" and name == metric)
        shown = [
            line["tags"]
            for line in lines
            if all(re.fullmatch(pattern, line["tags"].get(label, "")) for label, pattern in wanted.items())
        ]
        assert shown, f"nothing of a run is drawn by {expression}"
        assert all(labels <= tags.keys() for tags in shown), expression
        asked.add(metric)
    assert asked == sent.keys(), "the board leaves out a metric"


def test_the_page_lists_every_metric_and_its_tags(metrics: Metrics, everything: Callable[[], None]) -> None:
    everything()
    page = (ROOT / "docs" / "monitoring.md").read_text()
    rows = re.findall(r"^\| `(flexsms\.[\w.]+)` \| (\w+) \| ([^|]*) \|", page, re.MULTILINE)
    kinds = {"c": "counter", "g": "gauge", "ms": "timing"}
    sent = {
        (
            one["name"].removeprefix("airflow."),
            kinds[one["kind"]],
            ", ".join(f"`{tag}`" for tag in sorted(one["tags"])) or "none",
        )
        for one in metrics.told()
    }
    assert {(name, kind, ", ".join(sorted(tags.split(", ")))) for name, kind, tags in rows} == sent
