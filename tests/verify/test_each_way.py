"""Each assumption both ways: as the sandbox is, and with its switch turned."""

from __future__ import annotations

from typing import Any

import pytest

from flexsms.core.assumptions import ASSUMPTIONS
from flexsms.core.verify import NOTHING, Outcome
from flexsms.twilio.verify.run import EXPERIMENTS

from .conftest import Bench

BOTH, CHAT, CONVERSATIONS = "conversations", "chat", "conversations"
# Assumption, stack, switches, what is found then, and what has to be said about it.
WAYS: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("sync-missing", BOTH, {"sync_missing": "object"}, "54100, 54200", NOTHING),
    ("sync-missing", BOTH, {"sync_missing": "generic"}, "20404", NOTHING),
    ("sync-too-large", BOTH, {"sync_too_large_status": 400}, "400 with 54006", NOTHING),
    ("sync-name-length", BOTH, {"sync_longest_name": 320}, "yes", NOTHING),
    ("sync-if-match", BOTH, {"sync_if_match": "quoted"}, "the revision in quotes", "adds them"),
    ("task-list-attributes", BOTH, {"task_list_attributes": False}, "no", "fetches each"),
    ("task-list-pages", BOTH, {"task_pages": "unlinked"}, "no", "2000"),
    ("task-list-pages", BOTH, {"task_pages": "refused"}, "refused with 20001", "2000"),
    ("task-list-keeps-ended", BOTH, {"task_kept_s": 0}, "no", "report this"),
    ("event-list-delay", BOTH, {"event_list_delay_s": 3600}, "later", "lookback_minutes"),
    ("event-list-pages", BOTH, {"event_pages": False}, "no", "halves"),
    ("event-list-order", BOTH, {"event_order": "oldest"}, "oldest first", NOTHING),
]
# Those that no switch turns, and why.
ONE_WAY: dict[str, str] = {}


@pytest.mark.parametrize("stack", [CHAT, CONVERSATIONS])
async def test_the_sandbox_is_as_assumed(bench: Bench, stack: str) -> None:
    found = await bench.findings(stack)
    assert {name: (one.outcome, one.found, one.follows) for name, one in found.items()} == {
        name: (Outcome.AS_ASSUMED, ASSUMPTIONS[name].assumed, "") for name in found
    }
    assert bench.own.left == []


@pytest.mark.parametrize(("name", "stack", "switches", "answer", "follows"), WAYS)
async def test_what_differs_is_said(
    bench: Bench, name: str, stack: str, switches: dict[str, Any], answer: str, follows: str
) -> None:
    bench.control.settings(**switches)
    found = await bench.findings(stack, name)
    assert found.keys() == {name}
    assert (found[name].outcome, found[name].found) == (Outcome.DIFFERS, answer)
    assert follows in found[name].follows
    assert bench.own.left == []


def test_every_assumption_is_tried_both_ways() -> None:
    assert {way[0] for way in WAYS} | ONE_WAY.keys() == ASSUMPTIONS.keys()
    answered = [name for one in EXPERIMENTS for name in one.names]
    assert sorted(answered) == sorted(ASSUMPTIONS)
