"""FlexBroadcastOperator: what it sends, what it leaves, and when it waits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred

from flexsms.core.broadcast import BroadcastBatch, BroadcastText, Outcome, digest_of
from flexsms.core.broadcast_tally import FEWEST_TRIED
from flexsms.core.exceptions import FlexSmsError, InvalidInput, PermanentError, TextsUnsent
from flexsms.core.outbound_message import OutboundMessage, Route
from flexsms.hooks.twilio import TwilioHook
from flexsms.operators.approval import APPROVAL_KEY, Answer
from flexsms.operators.broadcast import BEHIND, FlexBroadcastOperator
from flexsms.operators.broadcast_xcom import PLAN_KEY, PROGRESS_KEY
from flexsms.recipients.folder import WORK_LIST, BroadcastFolder, results_of
from flexsms.recipients.report import settle
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.client import clock
from flexsms.twilio.sending.idempotency import SendLedger

from .conftest import FakeContext

ALWAYS = {"hours": "00:00-24:00"}
FROM = {"chat": "twilio", "conversations": "conversations"}


@pytest.fixture
def batch_of(
    stack: str, connection: Callable[..., None], sandbox: SandboxProcess, tmp_path: Path
) -> Callable[..., BroadcastBatch]:
    """Writes a work list, and gives the batch of all its texts."""
    connection(stack=stack, studio_flow_sid=sandbox.settings["studio_flow_sid"])

    def batch_of(count: int, zone: str = "UTC") -> BroadcastBatch:
        folder = BroadcastFolder(f"file://{tmp_path}/spring")
        number = sandbox.settings["numbers"][FROM[stack]]
        texts = [
            BroadcastText(row, number, f"+1415556{row:04d}", f"Text {row}", zones=(zone,))
            for row in range(1, count + 1)
        ]
        lines = b"".join(text.to_line() for text in texts)
        folder.path(WORK_LIST).write_bytes(lines)
        return BroadcastBatch(
            3,
            "texts 1 to 5 of 5",
            folder.url,
            0,
            len(lines),
            count,
            (zone,) if count else (),
            digest_of(lines),
        )

    return batch_of


def operator(batch: BroadcastBatch, **more: Any) -> FlexBroadcastOperator:
    return FlexBroadcastOperator(
        task_id="send", batch=batch.to_json(), **{"campaign": "spring", **ALWAYS, **more}
    )


def second_try() -> Any:
    return FakeContext(try_number=2)


def bodies(sandbox: SandboxProcess) -> list[str]:
    return sorted(str(sms["body"]) for sms in sandbox.control.outbox())


def outcomes(batch: BroadcastBatch) -> dict[int, str]:
    results = BroadcastFolder(batch.folder).results(results_of(batch))
    return {result.row: str(result.outcome) for result in results}


async def test_a_batch_is_sent_and_says_so_in_counts_only(
    batch_of: Callable[..., BroadcastBatch], context: Any, sandbox: SandboxProcess
) -> None:
    batch = batch_of(5)
    counts = await operator(batch).aexecute(context)
    assert (counts["rows"], counts["sent"], counts["failed"]) == (5, 5, 0)
    assert bodies(sandbox) == [f"Text {row}" for row in range(1, 6)]
    assert outcomes(batch) == dict.fromkeys(range(1, 6), "sent")
    assert context.pushed[PROGRESS_KEY] == {
        "texts": 5,
        "done": 5,
        "sent": 5,
        "failed": 0,
        "suppressed": 0,
        "until": "",
    }
    left = json.dumps([counts, context.pushed])
    assert "4155" not in left
    assert "Text" not in left


async def test_nobody_knows_a_number_from_the_results_or_the_log(
    batch_of: Callable[..., BroadcastBatch],
    context: Any,
    sandbox: SandboxProcess,
    caplog: pytest.LogCaptureFixture,
) -> None:
    batch = batch_of(4)
    sandbox.control.fault(
        match={"method": "POST", "form": {"Body": "^Text 2$"}},
        action="status",
        status=400,
        code=21211,
        message="'+14155560002' is not a phone number",
    )
    with caplog.at_level("DEBUG", logger="flexsms"):
        await operator(batch).aexecute(context)
    assert outcomes(batch)[2] == Outcome.FAILED
    written = BroadcastFolder(batch.folder).path(results_of(batch)).read_text()
    for told in (written, caplog.text):
        assert "4155560002" not in told
    assert '"to": "0002"' in written


async def test_a_text_that_cannot_leave_for_now_fails_the_try_and_not_the_others(
    batch_of: Callable[..., BroadcastBatch],
    context: Any,
    sandbox: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = batch_of(5)
    text = list(BroadcastFolder(batch.folder).texts(batch))[3]
    message = OutboundMessage(Route.STUDIO, text.from_number, text.to_number, text.body)
    async with TwilioHook().account() as account:
        ledger = SendLedger(
            account.client,
            account.settings.need("sync_service_sid"),
            secret="secret",
            now=account.now,
            lease=timedelta(hours=1),
            grace=timedelta(0),
        )
        key = (await account.campaign("spring")).key(text.to_number)
        claim = await ledger.take(key, message, owner="somebody else")
        with pytest.raises(TextsUnsent, match=r"1 texts have not left.*somebody else is sending"):
            await operator(batch).aexecute(context)
        assert outcomes(batch)[4] == Outcome.FAILED
        assert bodies(sandbox) == ["Text 1", "Text 2", "Text 3", "Text 5"]
        await ledger.give_back(claim)
    again: Any = FakeContext(try_number=2)
    told: Counter[str] = Counter()
    monkeypatch.setattr(
        "flexsms.operators.broadcast.count", lambda _, number, **tags: told.update({tags["outcome"]: number})
    )
    counts = await operator(batch).aexecute(again)
    assert counts["sent"] == 5
    assert told == {"sent": 1, "duplicate": 4}
    assert bodies(sandbox) == [f"Text {row}" for row in range(1, 6)]


async def test_outside_of_the_hours_it_waits_in_the_triggerer_once(
    batch_of: Callable[..., BroadcastBatch], context: Any, sandbox: SandboxProcess
) -> None:
    batch, opens = batch_of(5), clock.utc_now() + timedelta(hours=5)
    with pytest.raises(TaskDeferred) as deferred:
        await operator(batch, not_before=opens.isoformat()).aexecute(context)
    trigger: Any = deferred.value.trigger
    assert isinstance(trigger, DateTimeTrigger)
    assert trigger.moment == opens + BEHIND
    assert context.pushed[PROGRESS_KEY]["until"] == opens.isoformat()
    assert sandbox.control.journal() == []


async def test_before_its_time_is_over_it_goes_on_in_another_process(
    batch_of: Callable[..., BroadcastBatch], context: Any, sandbox: SandboxProcess
) -> None:
    """A slow pace takes days, and uses up no try."""
    batch = batch_of(40)
    # At this pace they take two seconds at least, and half of the timeout is less.
    rules = {"max_per_second": 20, "execution_timeout": timedelta(seconds=2)}
    with pytest.raises(TaskDeferred) as deferred:
        await operator(batch, **rules).aexecute(context)
    trigger: Any = deferred.value.trigger
    assert isinstance(trigger, DateTimeTrigger)
    assert set(outcomes(batch).values()) <= {"sent"}
    assert len(bodies(sandbox)) < 40
    resumed = operator(batch, execution_timeout=timedelta(hours=1))
    resumed._goes_on = True
    counts = await resumed.aexecute(context)
    assert counts["sent"] == 40
    assert len(bodies(sandbox)) == 40


async def test_who_is_too_late_is_told_and_not_texted(
    batch_of: Callable[..., BroadcastBatch], context: Any, sandbox: SandboxProcess
) -> None:
    batch = batch_of(5)
    over = clock.utc_now() - timedelta(minutes=1)
    counts = await operator(batch, not_after=over.isoformat()).aexecute(context)
    assert counts["too_late"] == 5
    assert outcomes(batch) == dict.fromkeys(range(1, 6), "too_late")
    assert bodies(sandbox) == []


async def test_behind_a_wait_it_goes_on_where_it_was(
    batch_of: Callable[..., BroadcastBatch], context: Any, sandbox: SandboxProcess
) -> None:
    batch = batch_of(6)
    first = operator(batch)
    # What the part before the wait has left.
    await first.aexecute(context)
    folder = BroadcastFolder(batch.folder)
    kept = [result for result in folder.results(results_of(batch)) if result.row <= 4]
    folder.write_results(results_of(batch), kept)
    sandbox.control.clear_journal()
    resumed = operator(batch)
    resumed._goes_on = True
    counts = await resumed.aexecute(context)
    assert counts["sent"] == 6
    assert bodies(sandbox) == [f"Text {row}" for row in range(1, 7)]
    # Nobody has asked for the first four again: two calls for each of the others, beside those for the batch.
    sends = [entry for entry in sandbox.control.journal() if "flexsms.sends." in entry["path"]]
    assert len(sends) == 4


async def wait_and_go_on(batch: BroadcastBatch) -> dict[str, Any]:
    """A later try that finds its hours closed, and what it does behind the wait."""
    opens, again = clock.utc_now() + timedelta(hours=5), second_try()
    with pytest.raises(TaskDeferred):
        await operator(batch, not_before=opens.isoformat()).aexecute(again)
    resumed = operator(batch)
    resumed._goes_on = True
    return await resumed.aexecute(again)


async def test_behind_the_first_wait_of_a_later_try_what_failed_is_tried(
    batch_of: Callable[..., BroadcastBatch], context: Any, sandbox: SandboxProcess
) -> None:
    batch = batch_of(5)
    sandbox.control.fault(
        match={"method": "POST", "form": {"Body": "^Text 4$"}}, action="status", status=409, code=59102
    )
    with pytest.raises(TextsUnsent):
        await operator(batch).aexecute(context)
    sandbox.control.clear_faults()
    sandbox.control.clear_journal()
    assert (await wait_and_go_on(batch))["sent"] == 5
    assert bodies(sandbox) == [f"Text {row}" for row in range(1, 6)]
    assert outcomes(batch) == dict.fromkeys(range(1, 6), "sent")


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.STOPPED])
async def test_what_the_report_says_of_a_silent_batch_keeps_no_text_of_a_later_try(
    outcome: Outcome, batch_of: Callable[..., BroadcastBatch], sandbox: SandboxProcess
) -> None:
    batch = batch_of(5)
    settle(BroadcastFolder(batch.folder), batch, outcome, "The batch ended without a word.")
    assert (await wait_and_go_on(batch))["sent"] == 5
    assert bodies(sandbox) == [f"Text {row}" for row in range(1, 6)]


async def test_a_later_try_that_fails_early_erases_no_result(
    batch_of: Callable[..., BroadcastBatch], context: Any, sandbox: SandboxProcess
) -> None:
    batch = batch_of(5)
    await operator(batch).aexecute(context)
    sandbox.control.fault(
        match={"host": "sync.twilio.com", "path": "digest_key"}, action="status", status=503, code=20503
    )
    with pytest.raises(FlexSmsError):
        await operator(batch).aexecute(second_try())
    assert outcomes(batch) == dict.fromkeys(range(1, 6), "sent")


async def test_a_later_try_that_comes_half_way_keeps_what_is_known_of_the_rest(
    batch_of: Callable[..., BroadcastBatch], context: Any
) -> None:
    batch = batch_of(40)
    await operator(batch).aexecute(context)
    again = second_try()
    task = operator(batch)
    again["ti"].xcom_push = lambda *_: task.on_kill()
    with pytest.raises(TextsUnsent):
        await task.aexecute(again)
    assert outcomes(batch) == dict.fromkeys(range(1, 41), "sent")


async def test_once_a_broadcast_is_over_there_is_nothing_left_to_send(
    batch_of: Callable[..., BroadcastBatch], context: Any, sandbox: SandboxProcess
) -> None:
    batch = batch_of(5)
    counts = await operator(batch).aexecute(context)
    folder = BroadcastFolder(batch.folder)
    folder.forget_texts()
    sandbox.control.clear_journal()
    assert await operator(batch).aexecute(FakeContext(try_number=2)) == counts  # type: ignore[arg-type]
    assert sandbox.control.journal() == []
    some = list(folder.results(results_of(batch)))[:4]
    folder.write_results(results_of(batch), some)
    with pytest.raises(PermanentError, match="run the campaign again"):
        await operator(batch).aexecute(second_try())
    assert len(outcomes(batch)) == 4


async def test_what_stopped_a_run_counts_no_more_once_it_is_cleared(
    batch_of: Callable[..., BroadcastBatch], context: Any, sandbox: SandboxProcess
) -> None:
    batch = batch_of(FEWEST_TRIED + 40)
    sandbox.control.fault(match={"method": "POST", "form": {"Body": "^Text"}}, action="status", status=400)
    assert (await operator(batch, stop_over=0.1).aexecute(context))["stopped"] > 0
    sandbox.control.clear_faults()
    retry, cleared = second_try(), second_try()
    cleared["dag_run"].clear_number = 1
    assert (await operator(batch, stop_over=0.1).aexecute(retry))["sent"] == 0
    assert (await operator(batch, stop_over=0.1).aexecute(cleared))["sent"] == batch.texts


async def test_a_task_that_is_stopped_is_no_success(
    batch_of: Callable[..., BroadcastBatch], context: Any, sandbox: SandboxProcess
) -> None:
    batch = batch_of(40)
    task = operator(batch)
    push = context["ti"].xcom_push

    def stop(key: str, value: Any) -> None:
        task.on_kill()
        push(key, value)

    context["ti"].xcom_push = stop
    with pytest.raises(TextsUnsent, match="stopped"):
        await task.aexecute(context)
    assert len(bodies(sandbox)) < 40
    again: Any = FakeContext(try_number=2)
    counts = await operator(batch).aexecute(again)
    assert counts["sent"] == 40
    assert bodies(sandbox) == sorted(f"Text {row}" for row in range(1, 41))


async def test_without_texts_or_in_a_dry_run_nothing_is_asked(
    batch_of: Callable[..., BroadcastBatch], context: Any, sandbox: SandboxProcess
) -> None:
    assert (await operator(batch_of(0)).aexecute(context))["rows"] == 0
    assert (await operator(batch_of(3), preview="True").aexecute(context))["rows"] == 0
    assert sandbox.control.journal() == []


@pytest.mark.parametrize("answer", [Answer.REJECTED, Answer.WAITING, None])
async def test_nothing_leaves_without_the_approval_of_this_very_plan(
    answer: Answer | None,
    batch_of: Callable[..., BroadcastBatch],
    context: Any,
    sandbox: SandboxProcess,
) -> None:
    plan = {"campaign": "spring", "checked_at": "2026-11-30T12:00:00+00:00"}
    full = {
        **dict.fromkeys(("rows", "texts", "segments", "opted_out"), 0),
        "folder": "",
        "left_out": {},
        "encodings": {},
        "cost": None,
        "first_at": None,
        "last_at": None,
        **plan,
    }
    context.pulled["check", PLAN_KEY, -1] = full
    if answer:
        given = {"answer": answer, "by": "ada", "planned_at": plan["checked_at"]}
        context.pulled["approve", APPROVAL_KEY, -1] = given
    task = operator(batch_of(3), plan_task_id="check", approval_task_id="approve")
    with pytest.raises(PermanentError, match="Nothing is sent"):
        await task.aexecute(context)
    assert sandbox.control.journal() == []
    context.pulled["approve", APPROVAL_KEY, -1] = {
        "answer": Answer.APPROVED,
        "by": "ada",
        "planned_at": plan["checked_at"],
    }
    assert (await task.aexecute(context))["sent"] == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("campaign", " "),
        ("route", "fax"),
        ("hours", "late"),
        ("days", "someday"),
        ("not_before", "soon"),
        ("max_per_second", "0"),
        ("max_open_tasks", "-1"),
        ("stop_over", "1.5"),
    ],
)
async def test_a_wrong_argument_is_named(field: str, value: str, context: Any, tmp_path: Path) -> None:
    batch = BroadcastBatch(0, "texts", f"file://{tmp_path}", 0, 1, 1, ("UTC",))
    with pytest.raises(InvalidInput, match=f"^{field}: "):
        await operator(batch, **{field: value}).aexecute(context)


@pytest.mark.parametrize("native", [True, False])
def test_what_is_mapped_is_no_template(native: bool, context: Any) -> None:
    """A label with braces stays one; the batches come from another task. A campaign is a text, as for the check."""
    batches = [{"label": "{{ 7 * 7 }}", "number": 0}]
    with DAG("dag", schedule=None, render_template_as_native_obj=native) as dag:
        mapped: Any = FlexBroadcastOperator.partial(task_id="send", campaign="{{ 6 * 7 }}").expand(
            batch=batches
        )
    context["ti"].map_index = 0
    context.update(run_id="manual__1", dag=dag, dag_run=SimpleNamespace(conf={}))
    mapped.render_template_fields(context)
    task: Any = context["task"]
    assert task.campaign == "42"
