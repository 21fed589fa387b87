"""The result of a broadcast for people: a line per row of the list, in the list's order, by the newest that is known.

A list may have a million rows, and what is known of them is in several files. So they meet in a database on disk, which
SQLite removes by itself, and not in memory.
"""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing

from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, Outcome
from flexsms.core.redaction import mask_number
from flexsms.recipients.folder import DELIVERY, LEFT_OUT, REPORT, BroadcastFolder, results_of

COLUMNS = (
    "row",
    "to",
    "outcome",
    "code",
    "reason",
    "at_utc",
    "segments",
    "channel_sid",
    "message_sid",
    "sms_sid",
)
# A spreadsheet takes what begins so for a formula. https://owasp.org/www-community/attacks/CSV_Injection
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def settle(folder: BroadcastFolder, batch: BroadcastBatch, outcome: Outcome, reason: str) -> None:
    """Say something of the texts of which a batch has said nothing: it has ended without a word, or while it waited.

    Results that it leaves later, because its task is cleared, take their place.

    :raises PermanentError: when there are such texts, and the work list is gone
    """
    name = results_of(batch)
    known = {result.row: result for result in folder.results(name)}
    if len(known) >= batch.texts:
        return
    for text in folder.texts(batch):
        if text.row not in known:
            to = mask_number(text.to_number)[1:]
            known[text.row] = BroadcastResult(text.row, to, outcome, reason=reason)
    folder.write_results(name, known.values())


def newest(folder: BroadcastFolder, batches: Iterable[BroadcastBatch]) -> Iterator[BroadcastResult]:
    """What is known of each row: left out, what its batch says, what became of the text. Ordered by row."""
    with closing(sqlite3.connect("")) as rows:
        rows.execute("CREATE TABLE rows (row INTEGER PRIMARY KEY, line BLOB)")
        for name in (LEFT_OUT, *map(results_of, batches), DELIVERY):
            found = ((result.row, result.to_line()) for result in folder.results(name))
            rows.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?)", found)
        for (line,) in rows.execute("SELECT line FROM rows ORDER BY row"):
            yield BroadcastResult.from_line(line)


def write_report(folder: BroadcastFolder, results: Iterable[BroadcastResult]) -> Iterator[BroadcastResult]:
    """Write ``report.csv``, and pass the results on. It has no text, and of a number the last four digits.

    It is UTF-8 with a mark, which spreadsheets want.
    """
    with folder.write(REPORT) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(COLUMNS)
        for result in results:
            lines.writerow(map(cell, _values(result)))
            yield result


def _values(result: BroadcastResult) -> Iterable[object]:
    return (
        result.row,
        f"…{result.to}",
        result.outcome,
        result.code or "",
        result.reason,
        result.at,
        result.segments or "",
        result.channel_sid,
        result.message_sid,
        result.sms_sid,
    )


def cell(value: object) -> object:
    """A cell that a spreadsheet shows and does not run."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
