"""What an experiment's answer means, and what of it everybody may see."""

from __future__ import annotations

import json

import pytest

from flexsms.core.assumptions import ASSUMPTIONS
from flexsms.core.verify import (
    REPORT,
    Assumption,
    Finding,
    Outcome,
    Price,
    anonymous,
    as_json,
    exit_status,
)

OURS, THEIRS = "CH" + "a" * 32, "CH" + "b" * 32
ONE = Assumption("one", "Sync", "a code", "54300", "https://www.twilio.com/docs", {"54100": "nothing to do"})


@pytest.mark.parametrize(
    ("found", "outcome", "follows"),
    [
        ("54300", Outcome.AS_ASSUMED, ""),
        ("54100", Outcome.DIFFERS, "nothing to do"),
        ("20404", Outcome.DIFFERS, REPORT),
    ],
)
def test_what_an_answer_means(found: str, outcome: Outcome, follows: str) -> None:
    assert ONE.judge(found) == Finding(ONE, outcome, found, follows)


def test_no_answer_has_a_reason() -> None:
    assert ONE.not_tried("no number") == Finding(ONE, Outcome.NOT_TRIED, "", "no number")


@pytest.mark.parametrize(
    ("found", "left", "status"),
    [
        ([ONE.judge("54300"), ONE.not_tried("no number")], [], 0),
        ([ONE.judge("54300"), ONE.judge("54100")], [], 1),
        ([ONE.not_tried("no number")], [], 2),
        ([], [], 2),
        ([ONE.judge("54300")], ["a Sync service"], 2),
    ],
)
def test_exit_status(found: list[Finding], left: list[str], status: int) -> None:
    assert exit_status(found, left) == status


@pytest.mark.parametrize(
    ("price", "told"),
    [
        (Price(), "This opens no task, sends no text."),
        (Price(1), "This opens at most 1 task and ends each, sends no text."),
        (
            Price(2, 1) + Price(1, 1, 1),
            "This opens at most 3 tasks and ends each, sends at most 2 texts of one segment, and asks you 1 time for "
            "help.",
        ),
    ],
)
def test_the_price_in_a_sentence(price: Price, told: str) -> None:
    assert price.told() == told


def test_nobody_is_named_in_a_report() -> None:
    said = f"conversation {OURS}: the handset +14155550142 is in {THEIRS} (50416)"
    assert anonymous(said, {OURS}) == f"conversation {OURS}: the handset …0142 is in CH… (50416)"
    told = json.dumps(as_json([ONE.judge(said), ONE.not_tried(said)], [said], {OURS}))
    assert THEIRS not in told
    assert "+1415" not in told
    assert told.count(OURS) == 3


def test_assumptions_are_told_alike() -> None:
    for name, one in ASSUMPTIONS.items():
        assert name == one.name
        assert one.source.startswith("https://www.twilio.com/") or one.source == "nobody documents it"
        assert one.assumed not in one.otherwise
        said = [one.question, one.assumed, one.rest, *one.otherwise, *one.otherwise.values()]
        assert not any(text != text.strip() or text.endswith(".") or not text for text in said)
