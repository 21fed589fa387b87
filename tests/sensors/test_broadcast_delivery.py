"""FlexBroadcastDeliverySensor: the fate of all texts in a few calls, and no text ever leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, BroadcastText, Outcome, digest_of
from flexsms.core.exceptions import InvalidInput, PermanentError
from flexsms.core.outbound_message import OutboundMessage, Route
from flexsms.hooks.twilio import TwilioHook
from flexsms.operators.broadcast_xcom import BroadcastPlan
from flexsms.recipients.folder import DELIVERY, WORK_LIST, BroadcastFolder, results_of
from flexsms.sandbox.client import SandboxProcess
from flexsms.sensors.broadcast_delivery import FlexBroadcastDeliverySensor, next_look
from flexsms.twilio.client import clock
from tests.support.sms import CUSTOMER, STACKS, Texts

BODY = "Your visit is tomorrow."


class Broadcast:
    """One text of a broadcast, which really left."""

    def __init__(self, texts: Texts, context: Any, path: Path) -> None:
        self.texts, self.context = texts, context
        account = texts.account
        self.sender = account.number if texts.stack == "chat" else account.conversations_number
        self.folder = BroadcastFolder(path.as_uri())
        line = BroadcastText(1, self.sender, CUSTOMER, BODY).to_line()
        self.folder.path(WORK_LIST).write_bytes(line)
        self.batch = BroadcastBatch(0, "", self.folder.url, 0, len(line), 1, digest=digest_of(line))
        now = clock.utc_now()
        plan = BroadcastPlan(
            "spring",
            self.folder.url,
            1,
            1,
            {},
            1,
            {},
            None,
            None,
            None,
            0,
            (now - timedelta(hours=1)).isoformat(),
        )
        context.pulled = {
            ("check", "plan", -1): plan.to_json(),
            ("check", "return_value", -1): [self.batch.to_json()],
        }

    def leaves(self) -> None:
        """The text leaves, and its batch says so."""
        sent = self.texts.write(BODY)
        result = BroadcastResult(
            1, "0142", Outcome.SENT, at=clock.utc_now().isoformat(), message_sid=sent["message_sid"]
        )
        self.folder.write_results(results_of(self.batch), [result])

    def fate(self) -> list[BroadcastResult]:
        return list(self.folder.results(DELIVERY))


@pytest.fixture(params=STACKS)
def broadcast(
    request: pytest.FixtureRequest,
    sandbox: SandboxProcess,
    connection: Callable[..., None],
    context: Any,
    tmp_path: Path,
) -> Iterator[Broadcast]:
    connection(stack=request.param, studio_flow_sid=sandbox.settings["studio_flow_sid"])
    with Texts(sandbox, request.param) as texts:
        yield Broadcast(texts, context, tmp_path)


def sensor(**more: Any) -> FlexBroadcastDeliverySensor:
    return FlexBroadcastDeliverySensor(**{"task_id": "delivery", "plan_task_id": "check", **more})


def test_what_has_arrived_is_told_at_once(broadcast: Broadcast, context: Any) -> None:
    broadcast.texts.becomes("delivered")
    broadcast.leaves()
    broadcast.texts.control.clear_journal()
    assert sensor().execute(context) == {"delivered": 1, "not_delivered": 0, "unknown": 0}
    [fate] = broadcast.fate()
    assert (fate.outcome, fate.sms_sid[:2]) == (Outcome.DELIVERED, "SM")
    assert [(one["method"], one["host"]) for one in broadcast.texts.control.journal()] == [
        ("GET", "api.twilio.com")
    ]


def test_who_has_opted_out_is_kept(broadcast: Broadcast, context: Any) -> None:
    broadcast.texts.write("A conversation begins.")
    broadcast.texts.stop()
    broadcast.leaves()
    assert sensor().execute(context)["not_delivered"] == 1
    assert broadcast.fate()[0].code == 21610

    async def is_out() -> bool:
        async with TwilioHook("twilio_default").account() as account:
            return await account.suppressions().is_out(CUSTOMER)

    assert asyncio.run(is_out())


def test_it_waits_in_the_triggerer_and_looks_again(broadcast: Broadcast, context: Any) -> None:
    broadcast.texts.becomes("delivered", step_s=3600)
    broadcast.leaves()
    with pytest.raises(TaskDeferred) as deferred:
        sensor().execute(context)
    assert isinstance(deferred.value.trigger, DateTimeTrigger)
    moment: datetime = deferred.value.trigger.moment
    assert moment - clock.utc_now() <= timedelta(seconds=10)
    broadcast.texts.control.advance(7300)
    found = sensor().resume_execution(deferred.value.method_name, {"event": moment}, context)
    assert found["delivered"] == 1


@pytest.mark.parametrize(
    "more", [{}, {"deferrable": False, "mode": "poke", "poke_interval": 0.1, "minutes": 0.01}]
)
def test_it_gives_up_in_time_and_skips_where_nobody_knows_of_any(
    more: dict[str, Any], broadcast: Broadcast, context: Any
) -> None:
    broadcast.texts.becomes("delivered", step_s=3600)
    broadcast.leaves()
    began = (clock.utc_now() - timedelta(minutes=61)).isoformat()
    context.tasks["began"] = {"at": began, "clears": 5}
    with pytest.raises(AirflowSkipException, match=r"1 not known yet\. Nobody has reported in time"):
        sensor(**more).execute(context)
    assert broadcast.fate() == []


def test_cleared_the_next_day_it_waits_anew(broadcast: Broadcast, context: Any) -> None:
    broadcast.texts.becomes("delivered", step_s=3600)
    broadcast.leaves()
    context.tasks["began"] = {"at": (clock.utc_now() - timedelta(days=1)).isoformat(), "clears": 5}
    context["ti"].max_tries = 6  # as Airflow does, for the tries that follow
    with pytest.raises(TaskDeferred):
        sensor().execute(context)


@pytest.mark.parametrize(
    ("run", "outcome", "texted"),
    [
        ("dag/manual__1", Outcome.DELIVERED, 1),
        ("dag/manual__0", Outcome.TEXTED_BEFORE, 0),
        ("", None, 0),
    ],
    ids=["this run", "another run", "another campaign"],
)
def test_of_a_batch_that_ended_without_a_word_the_ledger_knows_what_has_left(
    run: str, outcome: Outcome | None, texted: int, broadcast: Broadcast, context: Any
) -> None:
    """The same person has had the same text in another campaign, too, since the check."""
    broadcast.texts.becomes("delivered")

    async def send(campaign: str, owner: str) -> None:
        message = OutboundMessage.parse(
            from_number=broadcast.sender, to_number=CUSTOMER, body=BODY, route=Route.STUDIO
        )
        async with TwilioHook("twilio_default").account() as account:
            key = (await account.campaign(campaign)).key(CUSTOMER)
            await account.sender().send(message, key=key, owner=owner)

    asyncio.run(send("autumn", "dag/manual__0/send/0"))
    if run:
        asyncio.run(send("spring", f"{run}/send/0"))
    broadcast.texts.control.clear_journal()
    with suppress(AirflowSkipException):
        assert sensor().execute(context) == {"delivered": texted, "not_delivered": 0, "unknown": 0}
    # The key of digests, the ledger, the list of messages, and the receipt, for the list has the text twice.
    receipt = 2 if broadcast.texts.stack == "chat" else 1
    assert len(broadcast.texts.control.journal()) <= 3 + receipt
    assert [one.outcome for one in broadcast.fate()] == ([outcome] if outcome else [])
    broadcast.texts.control.clear_journal()
    with suppress(AirflowSkipException):
        sensor().execute(context)
    assert len(broadcast.texts.control.journal()) == texted * (1 + receipt)


def test_the_same_text_of_another_campaign_is_not_taken_for_one_that_is_not_listed_yet(
    broadcast: Broadcast, context: Any
) -> None:
    """A minute later the same person is to get the same text, which waits at Twilio behind others of its number."""
    broadcast.texts.becomes("delivered")
    broadcast.texts.write(BODY)
    broadcast.texts.control.advance(60)
    broadcast.texts.becomes("delivered", step_s=3600)
    sent = broadcast.texts.write(BODY)
    at = (clock.utc_now() + timedelta(seconds=60)).isoformat()
    result = BroadcastResult(
        1,
        "0142",
        Outcome.SENT,
        at=at,
        channel_sid=sent["channel_sid"],
        message_sid=sent["message_sid"],
    )
    broadcast.folder.write_results(results_of(broadcast.batch), [result])
    with pytest.raises(TaskDeferred) as deferred:
        sensor().execute(context)
    assert broadcast.fate() == []
    broadcast.texts.control.advance(7300)
    found = sensor().resume_execution(deferred.value.method_name, {"event": None}, context)
    assert found == {"delivered": 1, "not_delivered": 0, "unknown": 0}
    newest = broadcast.texts.control.outbox()[-1]
    assert [fate.sms_sid for fate in broadcast.fate()] == [newest["sid"]]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"preview": "True"}, "Dry run"),
        ({"minutes": "0"}, "Nobody waits"),
        ({"plan_task_id": "another"}, "'another' has left no plan"),
        ({}, "No text has left"),
    ],
)
def test_where_there_is_nothing_to_look_up_it_is_skipped(
    arguments: dict[str, Any], why: str, broadcast: Broadcast, context: Any
) -> None:
    broadcast.folder.write_results(
        results_of(broadcast.batch), [BroadcastResult(1, "0142", Outcome.SUPPRESSED)]
    )
    with pytest.raises(AirflowSkipException, match=why):
        sensor(**arguments).execute(context)


@pytest.mark.usefixtures("connection")
def test_without_the_work_list_nobody_can_tell_whose_texts_they_are(
    broadcast: Broadcast, context: Any
) -> None:
    broadcast.folder.forget_texts()
    with pytest.raises(PermanentError, match="work list of the broadcast is gone"):
        sensor().execute(context)


@pytest.mark.usefixtures("connection")
def test_a_broadcast_that_is_over_is_not_looked_up_again(broadcast: Broadcast, context: Any) -> None:
    """Somebody has cleared a cancelled batch, with what is behind it; the ledger had told that all texts had left."""
    broadcast.folder.write_results(
        results_of(broadcast.batch),
        [BroadcastResult(row, "0142", Outcome.SENT) for row in range(1, broadcast.batch.texts + 1)],
    )
    broadcast.folder.forget_texts()
    with pytest.raises(AirflowSkipException, match="The broadcast is over"):
        sensor().execute(context)


def test_a_wait_that_is_no_number_is_named(context: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^minutes: "):
        sensor(minutes="long").execute(context)


@pytest.mark.parametrize(
    ("passed", "then"),
    [(0, 1 / 6), (0.5, 1), (1, 5), (4, 5), (5, 15), (29, 30), (31, 61), (100, 119), (119, None), (500, None)],
)
def test_looks_become_rare(passed: float, then: float | None) -> None:
    began = datetime(2026, 11, 21, tzinfo=UTC)
    found = next_look(began, began + timedelta(minutes=passed), timedelta(minutes=119))
    assert found == (None if then is None else began + timedelta(minutes=then))
