"""Experiments touch nothing but what they made, and take that away, whatever happens."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from flexsms.core.verify import Outcome
from flexsms.twilio.account import connect
from flexsms.twilio.verify.own import Own
from flexsms.twilio.verify.run import price, run

from .conftest import HANDSET, PATIENCE, Bench

STACKS = ["chat", "conversations"]
# What Twilio keeps of what has ended: nobody can delete an interaction, and TaskRouter keeps tasks for minutes.
HISTORY = {"events", "inbox", "outbox", "tasks", "flex_interactions", "invites", "flex_participants"}
ENDED = ("closed", "failed")
SID = re.compile(r"[A-Z]{2}[0-9a-f]{32}")
# What experiments only use, and make nothing of.
USED = ("AC", "WS", "IS", "KS")


def rows(bench: Bench) -> dict[str, list[Any]]:
    """Everything that there is, but for what has ended."""
    tables = bench.control.state()["tables"]
    tables["flex_channels"] = [row for row in tables["flex_channels"] if row["status"] not in ENDED]
    return {name: table for name, table in tables.items() if name not in HISTORY}


@pytest.fixture
def busy(bench: Bench) -> Bench:
    """An account with conversations of customers on both stacks, some of them open."""
    for stack in STACKS:
        bench.control.seed(channels=3, story=True, stack=stack)
    return bench


@pytest.mark.parametrize("stack", STACKS)
async def test_all_is_as_it_was(busy: Bench, stack: str) -> None:
    before, tasks, texts = rows(busy), busy.open_tasks(), len(busy.control.outbox())
    busy.control.clear_journal()
    found = await busy.findings(stack)
    assert {one.outcome for one in found.values()} == {Outcome.AS_ASSUMED}
    assert (rows(busy), busy.open_tasks(), busy.own.named_left()) == (before, tasks, [])
    assert len(busy.control.outbox()) - texts == (stack == "chat")

    theirs = {row["sid"] for table in before.values() for row in table}
    changed = [entry for entry in busy.control.journal() if entry["method"] != "GET"]
    named = {sid for entry in changed for sid in SID.findall(entry["path"]) if not sid.startswith(USED)}
    assert named
    assert not named & (theirs | set(tasks))


@pytest.mark.parametrize("stack", STACKS)
async def test_the_price_is_not_exceeded(bench: Bench, stack: str) -> None:
    told = price(bench.settings(stack), bench.wishes(stack))
    await bench.findings(stack)
    tasks = bench.control.state()["tables"]["tasks"]
    assert 0 < len(tasks) <= told.tasks
    assert len(bench.control.outbox()) <= told.texts
    assert len(bench.requests) == told.requests


@pytest.mark.parametrize("stack", STACKS)
async def test_a_handset_that_is_in_a_conversation_is_left_in_it(bench: Bench, stack: str) -> None:
    bench.control.customer(HANDSET, bench.number(stack), "Hello")
    bench.control.advance(2)
    before, tasks = rows(bench), bench.open_tasks()
    found = await bench.findings(stack)
    assert Outcome.DIFFERS not in {one.outcome for one in found.values()}
    refused = [one.follows for one in found.values() if one.outcome is Outcome.NOT_TRIED]
    assert refused
    assert all("use another handset" in one for one in refused)
    assert (rows(bench), bench.open_tasks()) == (before, tasks)


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("skip", [0, 3, 6])
async def test_after_a_failure_nothing_is_left(bench: Bench, stack: str, skip: int) -> None:
    before = rows(bench)
    bench.control.fault(match={"method": "POST"}, skip=skip, times=1, action="status", status=400, code=20001)
    await bench.findings(stack)
    assert (rows(bench), bench.open_tasks(), bench.own.named_left()) == (before, [], [])


@pytest.mark.parametrize(
    ("stack", "name", "host", "path"),
    [
        ("conversations", "sync-missing", "sync.twilio.com", "/Services$"),
        ("conversations", "sink-active", "events.twilio.com", "/Sinks$"),
        ("conversations", "task-list-pages", "taskrouter.twilio.com", "/Tasks$"),
        ("conversations", "pair-refusal", "conversations.twilio.com", "/Conversations$"),
        ("conversations", "second-interaction", "flex-api.twilio.com", "/Interactions$"),
        ("chat", "channel-matching", "flex-api.twilio.com", "/Channels$"),
        ("chat", "session-by-name", "proxy.twilio.com", "/Sessions$"),
    ],
)
async def test_what_was_made_by_a_lost_request_goes_as_well(
    bench: Bench, stack: str, name: str, host: str, path: str
) -> None:
    before = rows(bench)
    bench.control.fault(match={"method": "POST", "host": host, "path": path}, times=1, action="drop_after")
    await bench.findings(stack, name)
    assert (rows(bench), bench.open_tasks(), bench.own.named_left()) == (before, [], [])


async def test_after_an_interruption_nothing_is_left(bench: Bench) -> None:
    before = rows(bench)
    found: list[Any] = []
    waiting = asyncio.Event()

    async def experiments() -> None:
        async with connect(bench.settings("conversations")) as account:
            bench.own = Own(
                account,
                bench.wishes("conversations", "sync-missing", "agent-completes"),
                person=lambda _: waiting.set(),
                patience=PATIENCE,
            )
            await run(bench.own, found.append)

    trial = asyncio.create_task(experiments())
    await waiting.wait()
    assert rows(bench) != before
    assert len(bench.open_tasks()) == 1
    trial.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trial
    assert [one.assumption.name for one in found] == ["sync-missing"]
    assert (rows(bench), bench.open_tasks(), bench.own.named_left()) == (before, [], [])


async def test_what_cannot_be_removed_is_named(bench: Bench) -> None:
    bench.control.fault(match={"method": "DELETE"}, action="status", status=403, code=20403)
    await bench.findings("conversations", "sync-missing")
    [told] = bench.own.named_left()
    assert re.match(r"Sync service flexsms_verify\.[0-9a-f]{12}: DELETE sync.twilio.com/", told)


async def test_somebody_who_does_nothing(bench: Bench) -> None:
    patience = replace(PATIENCE, person=timedelta(seconds=0.1))
    found = await bench.findings("conversations", "late-text", person=lambda _: None, patience=patience)
    assert (found["late-text"].outcome, found["late-text"].found) == (Outcome.NOT_TRIED, "")
    assert found["late-text"].follows == "nobody did what was asked for in time"


async def test_a_list_that_heeds_no_expression_ends_nobodys_task(busy: Bench) -> None:
    """Should Twilio leave it out of account, every open task of the workspace would be listed."""
    tasks = busy.open_tasks()
    async with connect(busy.settings("conversations")) as account:
        own = Own(account, busy.wishes(), person=busy.person, patience=PATIENCE)
        every = await own.workspace.tasks.list_async()
        assert len(every) > 1

        class Heedless:
            """The workspace, with a list that gives whatever it has."""

            class tasks:
                @staticmethod
                async def list_async(**_: Any) -> list[Any]:
                    return every

        own.__class__ = type("Heedless", (Own,), {"workspace": Heedless})
        await own.end_tasks()
        assert await own.tasks() == []
    assert busy.open_tasks() == tasks


@pytest.mark.parametrize(
    ("stack", "name", "changes", "extra", "reason"),
    [
        ("conversations", "pair-refusal", {"handset": ""}, {}, "give --handset"),
        ("conversations", "pair-refusal", {"handset": "", "number": ""}, {}, "give --number and --handset"),
        ("conversations", "interaction-worker", {"worker_sid": ""}, {}, "give --worker"),
        ("conversations", "sink-active", {}, {"events_url": ""}, "events_url of the connection is empty"),
        (
            "chat",
            "chat-served",
            {},
            {"session_service_sid": ""},
            "session_service_sid of the connection is empty",
        ),
        ("chat", "pair-taken", {"number": "+14155550199"}, {}, "the number has no Flex Flow of type task"),
        ("conversations", "pair-refusal", {"number": "+14155550199"}, {}, "--number is no number of this"),
    ],
)
async def test_what_cannot_be_tried_says_why(
    bench: Bench, stack: str, name: str, changes: dict[str, Any], extra: dict[str, Any], reason: str
) -> None:
    found = await bench.findings(stack, name, extra=extra, **changes)
    assert found[name].outcome is Outcome.NOT_TRIED
    assert reason in found[name].follows
    assert "+1415" not in found[name].follows


async def test_an_interaction_that_flex_cannot_set_up(bench: Bench) -> None:
    bench.control.settings(interaction_failures={"*": {"error_code": 45780, "error_message": "busy"}})
    found = await bench.findings("conversations", "second-interaction")
    assert found["second-interaction"].follows == (
        "Flex does not set up an interaction (45780); check workflow_sid"
    )
