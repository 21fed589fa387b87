"""Each assumption both ways: as the sandbox is, and with its switch turned."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from flexsms.core.assumptions import ASSUMPTIONS
from flexsms.core.verify import NOTHING, REPORT, Outcome
from flexsms.twilio.account import connect
from flexsms.twilio.verify.run import EXPERIMENTS

from .conftest import PATIENCE, Bench

CHAT, CONVERSATIONS = "chat", "conversations"
NAMES_NONE = {"pair_refusal_names_conversation": False}
# Nothing comes, and that shows soon.
SOON = replace(PATIENCE, machine=timedelta(seconds=1.2))
# Assumption, switches, what is found then, and what has to be said about it.
EITHER: list[tuple[str, dict[str, Any], str, str]] = [
    ("sync-missing", {"sync_missing": "object"}, "54100, 54200", NOTHING),
    ("sync-missing", {"sync_missing": "generic"}, "20404", NOTHING),
    ("sync-too-large", {"sync_too_large_status": 400}, "400 with 54006", NOTHING),
    ("sync-name-length", {"sync_longest_name": 320}, "yes", NOTHING),
    ("sync-if-match", {"sync_if_match": "quoted"}, "the revision in quotes", "adds them"),
    ("task-list-attributes", {"task_list_attributes": False}, "no", "fetches each"),
    ("task-list-pages", {"task_pages": "unlinked"}, "no", "2000"),
    ("task-list-pages", {"task_pages": "refused"}, "refused with 20001", "2000"),
    ("task-list-keeps-ended", {"task_kept_s": 0}, "no", REPORT),
    ("event-list-delay", {"event_list_delay_s": 3600}, "later", "lookback_minutes"),
    ("event-list-pages", {"event_pages": False}, "no", "halves"),
    ("event-list-order", {"event_order": "oldest"}, "oldest first", NOTHING),
    ("sink-active", {"sink_setup_s": 0.05}, "later", "waits for it"),
    ("sink-active", {"sinks_to_validate": ["webhook"]}, "not by itself", "--test-id"),
    ("sink-configuration", {"sink_list_shows_configuration": False}, "no", REPORT),
]
ON_CONVERSATIONS: list[tuple[str, dict[str, Any], str, str]] = [
    ("pair-refusal", NAMES_NONE, "50416, names none", "looks for it"),
    ("inactive-holds-pair", {"inactive_holds_pair": False}, "no", NOTHING),
    ("message-reactivates", {"message_reactivates": False}, "no", NOTHING),
    ("message-list-attributes", {"message_list_attributes": False}, "no", "fetches each"),
    ("message-date", {"message_moves_date": False}, "no", "newest message of every due channel"),
    ("closed-name", {"closed_keeps_name": False}, "no", NOTHING),
    ("longest-timer", {"longest_timer_days": 100.0}, "90 days", "at 90 or below"),
    ("longest-timer", {"longest_timer_days": 1.0}, "less than 30 days", REPORT),
    ("second-interaction", {"second_interaction": "opened"}, "opened", NOTHING),
    (
        "second-interaction",
        {"refusal_names_channel": False},
        "refused with 45353, names none",
        NOTHING,
    ),
    ("closing-interaction", {"closing_ends_conversation": False}, "task", REPORT),
    ("closed-invite", {"closed_invite_code": 45008}, "refused with 45008", NOTHING),
    ("interaction-worker", {"api_interaction_heeds_worker": False}, "no, another one", "targetWorkerSid"),
    ("agent-completes", {"keep_conversations_open": False}, "is closed", "Leave"),
    ("task-channel-type", {"task_channel_type": "none"}, "none", "asks the channel"),
    ("task-channel-type", {"task_channel_type": "custom"}, "custom", "channel_types"),
    ("late-text", {"message_reactivates": False}, "stays in the inactive conversation", NOTHING),
    ("late-text", {"inactive_holds_pair": False}, "starts another conversation", NOTHING),
]
ON_CHAT: list[tuple[str, dict[str, Any], str, str]] = [
    ("channel-matching", {"channel_matches_identity": True}, "more than the numbers", REPORT),
    ("channel-reuse-task", {"channel_reuse_opens_task": False}, "no new task", "opens the task"),
    ("inactive-header", {"inactive_needs_webhook": True}, "needed", "sends it"),
    ("session-by-name", {"session_by_name": False}, "no", "session-stamped"),
    ("session-stamped", {"stamp_proxy_session": False}, "no", "a call more"),
    ("pair-taken", {"pair_taken_code": 80103}, "80103, names none", NOTHING),
    ("pair-taken", {"pair_taken_names_session": True}, "80604, names the session", NOTHING),
    ("reopen-taken", {"reopen_taken_code": 80604}, "80604, names none", NOTHING),
    ("relay-named", {"relay_names_message": False}, "no", "wait_for_delivery"),
    ("inactive-captures", {"dead_session_captures": False}, "no, it starts another channel", NOTHING),
]
WAYS = [
    *((CONVERSATIONS, *way) for way in (*EITHER, *ON_CONVERSATIONS)),
    *((CHAT, *way) for way in ON_CHAT),
]
# Those that no switch turns, and where they are turned.
OTHERWISE = {
    "late-text-task": "test_a_number_whose_texts_open_no_task",
    "chat-served": "test_products_that_are_gone",
}


@pytest.mark.parametrize("stack", [CHAT, CONVERSATIONS])
async def test_the_sandbox_is_as_assumed(bench: Bench, stack: str) -> None:
    found = await bench.findings(stack)
    assert {name: (one.outcome, one.found, one.follows) for name, one in found.items()} == {
        name: (Outcome.AS_ASSUMED, ASSUMPTIONS[name].assumed, "") for name in found
    }
    wanted = [name for one in EXPERIMENTS if one.stack in (None, stack) for name in one.names]
    assert sorted(found) == sorted(wanted)
    assert bench.own.named_left() == []


@pytest.mark.parametrize(
    ("stack", "name", "switches", "answer", "follows"), WAYS, ids=[f"{way[1]}: {way[3]}" for way in WAYS]
)
async def test_what_differs_is_said(
    bench: Bench, name: str, stack: str, switches: dict[str, Any], answer: str, follows: str
) -> None:
    bench.control.settings(**switches)
    waits_for_nothing = answer in ("later", "not by itself", "task") or name == "session-stamped"
    patience = SOON if waits_for_nothing else PATIENCE
    found = await bench.findings(stack, name, patience=patience)
    assert found.keys() == {name}
    assert (found[name].outcome, found[name].found) == (Outcome.DIFFERS, answer)
    assert follows in found[name].follows
    assert bench.own.named_left() == []


async def test_a_number_whose_texts_open_no_task(bench: Bench) -> None:
    async with connect(bench.settings(CONVERSATIONS)) as account:
        addresses = account.client.conversations.v1.address_configurations
        await addresses(bench.sandbox.settings["address_sid"]).update_async(auto_creation_type="default")
    found = await bench.findings(CONVERSATIONS, "late-text-task", patience=SOON)
    assert (found["late-text-task"].outcome, found["late-text-task"].found) == (Outcome.DIFFERS, "no")
    assert "flexsms setup --number" in found["late-text-task"].follows


@pytest.mark.parametrize(("status", "code", "answer"), [(410, 20410, "no, 410"), (404, 20404, "no, 404")])
async def test_products_that_are_gone(bench: Bench, status: int, code: int, answer: str) -> None:
    match = {"method": "GET", "path": "/v[12]/Services/[^/]+$"}
    bench.control.fault(match=match, action="status", status=status, code=code)
    found = await bench.findings(CHAT, "chat-served")
    assert (found["chat-served"].outcome, found["chat-served"].found) == (Outcome.DIFFERS, answer)
    assert "migrate" in found["chat-served"].follows


# Switches of what nobody documents that no experiment is about, and why.
NOT_ASSUMED = {
    "page_size_out_of_bounds": "flexsms asks for no page of such a size",
    "page_without_token": "flexsms follows the links",
    "stop_reaches_conversation": "flexsms learns of STOP from Event Streams, wherever it goes",
    "interaction_conflict_fails": "flexsms starts no interaction that makes its own conversation",
}
# Switches that the main stories (tests/twilio/test_both_ways.py) are not told with, and where they are tried instead.
ELSEWHERE = {
    "sync_too_large_status": "tests/core/test_channel_state.py keeps documents small",
    "sync_longest_name": "no name of ours is so long",
    "sink_setup_s": "tests/twilio/setup/test_run.py",
    "sinks_to_validate": "tests/twilio/setup/test_run.py",
    "sink_list_shows_configuration": "tests/twilio/setup/test_run.py",
    "keep_conversations_open": "tests/twilio/cleanup/test_stacks.py",
    "longest_timer_days": "tests/twilio/sending/test_conversations.py",
    "channel_matches_identity": "tests/twilio/client/test_not_found.py: the send is refused",
    "message_moves_date": "tests/twilio/cleanup/test_unanswered.py",
    "closing_ends_conversation": "flexsms relies on it",
}


def test_the_main_stories_are_told_both_ways() -> None:
    from tests.twilio.test_both_ways import WAYS as STORIES

    told = {name for _, switches in STORIES for name in switches}
    turned = {name for way in WAYS for name in way[2]}
    assert turned - told == ELSEWHERE.keys()


def test_every_open_switch_has_an_experiment(bench: Bench) -> None:
    turned = {name for way in WAYS for name in way[2]}
    nobody = {one["name"] for one in bench.control.switches() if one["source"] == "nobody documents it"}
    assert nobody - turned == NOT_ASSUMED.keys()


def test_every_assumption_is_tried_both_ways() -> None:
    assert {way[1] for way in WAYS} | OTHERWISE.keys() == ASSUMPTIONS.keys()
    assert OTHERWISE.keys() & {way[1] for way in WAYS} == set()
    assert all(test in globals() for test in OTHERWISE.values())
    answered = [name for one in EXPERIMENTS for name in one.names]
    assert sorted(answered) == sorted(ASSUMPTIONS)
