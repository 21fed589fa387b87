"""report.csv: a line per row, in order, by the newest that is known."""

from __future__ import annotations

import csv
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, BroadcastText, Outcome, digest_of
from flexsms.core.exceptions import PermanentError
from flexsms.recipients.check import COLUMNS as CHECK_COLUMNS
from flexsms.recipients.folder import DELIVERY, LEFT_OUT, REPORT, WORK_LIST, BroadcastFolder, results_of
from flexsms.recipients.report import newest, settle, write_report

SENT = BroadcastResult(
    1, "0201", Outcome.SENT, at="2026-11-21T10:00:00+00:00", segments=2, channel_sid="CH1", message_sid="IM1"
)


@pytest.fixture
def folder(tmp_path: Path) -> BroadcastFolder:
    return BroadcastFolder(tmp_path.as_uri())


def batch(number: int, texts: int = 2, start: int = 0, lines: bytes = b"") -> BroadcastBatch:
    return BroadcastBatch(number, "some", "", start, start + len(lines), texts, digest=digest_of(lines))


def report(folder: BroadcastFolder, *batches: BroadcastBatch) -> list[dict[str, str]]:
    deque(write_report(folder, newest(folder, batches)), maxlen=0)
    with folder.path(REPORT).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_rows_come_in_the_order_of_the_list_and_delivery_outranks_sent(folder: BroadcastFolder) -> None:
    folder.write_results(LEFT_OUT, [BroadcastResult(2, "0202", Outcome.INVALID, reason="No number.")])
    folder.write_results(results_of(batch(0)), [replace(SENT, row=3), SENT])
    folder.write_results(results_of(batch(1)), [replace(SENT, row=10), replace(SENT, row=9)])
    folder.write_results(DELIVERY, [replace(SENT, row=9, outcome=Outcome.NOT_DELIVERED, code=30003)])
    lines = report(folder, batch(0), batch(1))
    assert [(line["row"], line["outcome"]) for line in lines] == [
        ("1", "sent"),
        ("2", "invalid"),
        ("3", "sent"),
        ("9", "not_delivered"),
        ("10", "sent"),
    ]
    assert lines[0] == {
        "row": "1",
        "to": "…0201",
        "outcome": "sent",
        "code": "",
        "reason": "",
        "at_utc": "2026-11-21T10:00:00+00:00",
        "segments": "2",
        "channel_sid": "CH1",
        "message_sid": "IM1",
        "sms_sid": "",
    }


def test_check_and_report_are_read_by_a_spreadsheet_in_the_same_way(folder: BroadcastFolder) -> None:
    report(folder)
    assert folder.path(REPORT).read_bytes().startswith(BOM_UTF8 + b"row,to,outcome,")
    assert CHECK_COLUMNS[:3] == ("row", "to", "outcome")


@pytest.mark.parametrize("reason", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", '=HYPERLINK("http://x")'])
def test_no_cell_is_a_formula(folder: BroadcastFolder, reason: str) -> None:
    folder.write_results(LEFT_OUT, [BroadcastResult(1, "0202", Outcome.INVALID, reason=reason)])
    assert report(folder)[0]["reason"] == f"'{reason}"


def test_quotes_commas_and_line_ends_stay_in_their_cell(folder: BroadcastFolder) -> None:
    reason = 'a "quoted", thing\nand more'
    folder.write_results(LEFT_OUT, [BroadcastResult(1, "0202", Outcome.INVALID, reason=reason)])
    assert report(folder)[0]["reason"] == reason


def test_a_batch_that_ended_without_a_word_is_told_row_by_row(folder: BroadcastFolder) -> None:
    texts = [BroadcastText(n, "+14155550100", f"+1415555020{n}", "secret body") for n in (1, 2, 3)]
    lines = [text.to_line() for text in texts]
    folder.path(WORK_LIST).write_bytes(b"".join(lines))
    told, silent = batch(0, 1, 0, lines[0]), batch(1, 2, len(lines[0]), b"".join(lines[1:]))
    folder.write_results(results_of(told), [SENT])
    folder.write_results(results_of(silent), [replace(SENT, row=3)])  # before it waited for its hours
    for one in (told, silent, batch(2, 0)):
        settle(folder, one, Outcome.UNKNOWN, "The batch ended without a word.")
    assert [(line["to"], line["outcome"]) for line in report(folder, told, silent)] == [
        ("…0201", "sent"),
        ("…0202", "unknown"),
        ("…0201", "sent"),
    ]
    folder.forget_texts()
    settle(folder, silent, Outcome.UNKNOWN, "once more")  # it is settled
    with pytest.raises(PermanentError, match="work list of the broadcast is gone"):
        settle(folder, batch(3, 1, 0, lines[0]), Outcome.UNKNOWN, "nobody can say of whom")


def test_nothing_is_read_ahead(folder: BroadcastFolder) -> None:
    """A million rows are never in memory at once: each is passed on as it is written."""

    def endless() -> Iterator[BroadcastResult]:
        row = 0
        while True:
            row += 1
            yield replace(SENT, row=row)

    passed = write_report(folder, endless())
    assert [next(passed).row for _ in range(3)] == [1, 2, 3]
