"""The funnel of a broadcast."""

from __future__ import annotations

import sys
from itertools import repeat

from flexsms.core.broadcast import BroadcastResult, Outcome
from flexsms.core.broadcast_totals import WORDS, BroadcastTotals


def result(outcome: Outcome, code: int | None = None, segments: int = 1) -> BroadcastResult:
    return BroadcastResult(1, "0100", outcome, code, segments=segments)


def test_totals_tell_by_outcome_and_by_code() -> None:
    totals = BroadcastTotals.of(
        [
            *repeat(result(Outcome.DELIVERED, segments=2), 1200),
            *repeat(result(Outcome.NOT_DELIVERED, 30003), 3),
            result(Outcome.NOT_DELIVERED, 30007),
            result(Outcome.SENT),
            *repeat(result(Outcome.INVALID), 2),
            result(Outcome.SUPPRESSED),
            result(Outcome.FAILED, 30003),
            result(Outcome.FAILED),
            result(Outcome.UNKNOWN),
        ]
    )
    found = totals.to_json()
    assert found["rows"] == 1211
    assert found["texted"] == 1205
    assert found["segments"] == 2405
    assert found["failed_by_code"] == {"0": 1, "30003": 1}
    assert found["not_delivered_by_code"] == {"30003": 3, "30007": 1}
    assert {name: found[name] for name in map(str, Outcome)} == {
        **dict.fromkeys(map(str, Outcome), 0),
        "delivered": 1200,
        "not_delivered": 4,
        "sent": 1,
        "invalid": 2,
        "suppressed": 1,
        "failed": 2,
        "unknown": 1,
    }
    assert totals.missing == 3
    assert totals.sentence().startswith(
        "1 211 rows: 1 205 texted (1 200 delivered, 4 not delivered, 1 not known yet), "
        "6 not (2 invalid, 1 opted out, 2 failed, 1 whose batch ended early). "
        "4 × 30003: the handset is switched off or out of reach; "
    )
    assert "1 × 30007: the carrier or Twilio filtered the text as spam" in totals.sentence()


def test_nothing_is_told_of_nothing() -> None:
    assert BroadcastTotals().sentence() == "0 rows: 0 texted."


def test_every_outcome_has_words_and_what_is_counted_is_every_row() -> None:
    assert set(WORDS) == set(Outcome)
    totals = BroadcastTotals.of(map(result, Outcome))
    assert totals.rows == sum(totals.to_json()[outcome] for outcome in Outcome) == len(Outcome)


def test_a_million_rows_take_no_more_memory_than_one() -> None:
    totals = BroadcastTotals.of(repeat(result(Outcome.DELIVERED), 1_000_000))
    assert totals.rows == 1_000_000
    assert sys.getsizeof(totals.counts) < 1000
