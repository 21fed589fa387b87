"""FlexSetupOperator: what reaches set-up, what it leaves, and who can read it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.log import redact  # type: ignore[attr-defined]  # public, yet not in its __all__

from flexsms.core.exceptions import InvalidInput, PermanentError
from flexsms.operators.setup import FlexSetupOperator, _check_destination
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.setup.event_streams import Patience
from flexsms.twilio.setup.run import Wishes, set_up

from .conftest import FakeContext

NUMBER = "+14155550177"
URL = "https://airflow.example.com/flexsms/events"
KINESIS = {
    "arn": "arn:aws:kinesis:us-east-1:111111111111:stream/flexsms",
    "role_arn": "arn:aws:iam::111111111111:role/twilio",
    "external_id": "4711",
}


@pytest.fixture(autouse=True)
def base_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this Airflow is."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example.com/team")


def operator(**more: Any) -> Any:
    return FlexSetupOperator(**{"task_id": "setup", **more})


def writes(sandbox: SandboxProcess) -> int:
    return sum(entry["method"] != "GET" for entry in sandbox.control.journal())


async def test_it_sets_up_and_leaves_the_table(
    stack: str,
    context: FakeContext,
    sandbox: SandboxProcess,
    capsys: pytest.CaptureFixture[str],
) -> None:
    studio = sandbox.settings["studio_flow_sid"]
    wishes = {"number": NUMBER, "events_url": URL, "studio_flow_sid": studio}
    workflow = sandbox.settings["workflow_sid"]
    result = await operator(**wishes, workflow_sid=workflow).aexecute(context)
    printed = capsys.readouterr().out
    assert list(result) == ["dry_run", "rows", "connection_extra", "warning", "api_calls"]
    made = [row["what"] for row in result["rows"] if row["state"] == "made"]
    flows = ["Flex Flow, studio", "Flex Flow, task"]
    assert made == ["Sink", "Subscription", *(flows if stack == "chat" else ["Address configuration"])]
    assert result["connection_extra"]["events_url"] == URL
    assert result["connection_extra"]["studio_flow_sid"] == studio
    assert all(type(value) is str for row in result["rows"] for value in row.values())
    said = printed + json.dumps(result)
    assert "Set up:\nSync service" in said
    assert result["rows"][1]["sid"] in printed
    for hidden in ("4155550177", sandbox.settings["auth_token"]):
        assert hidden not in said
    sandbox.control.clear_journal()
    again = await operator(**wishes, workflow_sid=workflow).aexecute(context)
    assert {row["state"] for row in again["rows"]} == {"exists"}
    assert writes(sandbox) == 0


async def test_it_says_what_the_connection_lacks(
    connection: Callable[..., None], context: FakeContext, capsys: pytest.CaptureFixture[str]
) -> None:
    await operator(events_url=URL).aexecute(context)
    printed = capsys.readouterr().out
    lacking = json.dumps({"events_url": URL}, indent=2)
    assert f"Add this to the extra of the connection 'twilio_default':\n{lacking}" in printed
    assert "or it answers Twilio's posts with 503." in printed
    connection(events_url=URL, inbox_path="file:///tmp/inbox")
    await operator(events_url=URL).aexecute(context)
    printed = capsys.readouterr().out
    assert "The connection 'twilio_default' has all of it." in printed
    assert "inbox_path" not in printed


@pytest.mark.parametrize("preview", [True, "True"])
async def test_a_dry_run_changes_nothing(
    preview: bool | str,
    connection: Callable[..., None],
    context: FakeContext,
    sandbox: SandboxProcess,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = await operator(events_url=URL, preview=preview).aexecute(context)
    assert result["dry_run"] is True
    assert "Dry run, nothing was changed:" in capsys.readouterr().out
    assert [row["state"] for row in result["rows"]] == ["exists", "would be made", "would be made", "skipped"]
    assert writes(sandbox) == 0


@pytest.mark.parametrize("kinesis", [KINESIS, json.dumps(KINESIS)])
async def test_what_waits_for_a_person_fails_and_leaves_the_table_all_the_same(
    kinesis: Any, connection: Callable[..., None], context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection(kinesis_stream=KINESIS["arn"])
    at_once = Patience(active=timedelta(), drain=timedelta())
    monkeypatch.setattr("flexsms.operators.setup.set_up", partial(set_up, patience=at_once))
    with pytest.raises(PermanentError, match=r"^Sink DG\w+: read data\.test_id .* as test_id\.$"):
        await operator(kinesis=kinesis).aexecute(context)
    assert "waits for you" in [row["state"] for row in context.pushed["return_value"]["rows"]]
    dry = await operator(kinesis=kinesis, preview=True).aexecute(context)
    assert "waits for you" in [row["state"] for row in dry["rows"]]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"kinesis": "arn:"}, "kinesis: is not an object"),
        ({"kinesis": "[]"}, "kinesis: is not an object"),
        ({"preview": "perhaps"}, "dry_run: is 'perhaps'"),
        ({"overwrite": 1}, "overwrite: is 1"),
        ({"number": "0177"}, "number: has no country code"),
        ({"studio_flow_sid": "WW" + "0" * 32}, "studio_flow_sid: is not a Twilio SID of this kind"),
    ],
)
async def test_a_wrong_argument_is_named(
    wrong: dict[str, Any],
    sentence: str,
    connection: Callable[..., None],
    context: FakeContext,
    sandbox: SandboxProcess,
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        await operator(**wrong).aexecute(context)
    assert sandbox.control.journal() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"events_url": "http://127.0.0.1:18555/evil"},
        {"events_url": "https://evil.example/flexsms/events"},
        {"events_url": "https://airflow.example.com.evil.example/flexsms/events"},
        {"events_url": "https://airflow.example.com@evil.example/flexsms/events"},
        {"events_url": "https://airflow.example.com:8443/flexsms/events"},
        {"events_url": "https://airflow.example.com:0/flexsms/events"},
        {"events_url": "https://airflow.example.com:port/flexsms/events"},
        {"events_url": "http://airflow.example.com/flexsms/events"},
        {"events_url": "http://airflow.example.com:443/flexsms/events"},
        {"kinesis": KINESIS},
        {"kinesis": {**KINESIS, "arn": KINESIS["arn"].replace("111111111111", "999999999999")}},
    ],
    ids=lambda wrong: str(wrong)[:60],
)
@pytest.mark.parametrize("preview", [True, False])
async def test_events_go_nowhere_that_only_who_triggers_has_named(
    wrong: dict[str, Any],
    preview: bool,
    connection: Callable[..., None],
    context: FakeContext,
    sandbox: SandboxProcess,
) -> None:
    connection(kinesis_stream="flexsms")
    with pytest.raises(InvalidInput, match="run flexsms setup on the command line"):
        await operator(**wrong, preview=preview).aexecute(context)
    assert sandbox.control.journal() == []


@pytest.mark.parametrize(
    ("url", "here", "base_url", "is_taken"),
    [
        ("https://elsewhere.example/flexsms/events", "https://airflow.example.com", "", True),
        ("https://airflow.example.com:443/x/events", "https://airflow.example.com/", "", True),
        ("https://airflow.example.com:8443/events", "https://airflow.example.com:8443", "", True),
        ("http://127.0.0.1:8080/flexsms/events", "http://127.0.0.1:8080", "http://127.0.0.1:9999", True),
        ("http://localhost:8080/flexsms/events", "http://localhost:8080", "http://127.0.0.1:9999", True),
        ("http://127.0.0.1:8080/flexsms/events", "http://127.0.0.1:8080", "", False),
        ("http://127.0.0.1:18555/flexsms/events", "http://127.0.0.1:8080", "http://127.0.0.1:9999", False),
        ("http://10.0.0.7:8080/flexsms/events", "http://10.0.0.7:8080", "http://127.0.0.1:9999", False),
        ("https://airflow.example.com/flexsms/events", "", "", False),
    ],
)
def test_where_events_may_go(
    url: str, here: str, base_url: str, is_taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", here)
    extra = {"events_url": "https://elsewhere.example/flexsms/events", "base_url": base_url}
    settings = TwilioSettings.from_connection("AC" + "0" * 32, "secret", extra)
    with nullcontext() if is_taken else pytest.raises(InvalidInput, match="events_url: is neither"):
        _check_destination(Wishes(events_url=url), settings)


def test_the_number_is_masked_once_rendered(context: FakeContext) -> None:
    with DAG("dag", schedule=None, render_template_as_native_obj=True):
        task = operator(number="{{ params.number }}")
    context["params"] = {"number": "+1 212 555 0188"}
    task.render_template_fields(context)
    assert task.number == "+1 212 555 0188"
    told = str(redact("+1 212 555 0188, +12125550188, %2B12125550188"))
    assert "0188" not in told
