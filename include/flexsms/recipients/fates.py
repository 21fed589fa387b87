"""Which of the texts that Twilio lists are a broadcast's, and what they say became of it.

A broadcast may have a million texts, and the list of messages comes in pages, in another order. So they meet in a
database on disk, which SQLite removes by itself, and not in memory. Numbers and texts are nowhere else than there and
in the work list.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Self
from unicodedata import normalize

from flexsms.core.broadcast import BroadcastBatch, BroadcastResult, Outcome
from flexsms.core.delivery_status import Delivery, DeliveryStatus, reason
from flexsms.core.opt_out import OPTED_OUT
from flexsms.recipients.folder import DELIVERY, BroadcastFolder, results_of
from flexsms.twilio.broadcast.deliveries import CLOCKS, ListedText

# Seconds. Twilio may alter more of a text than letters tell, like a shortened link; then the moment tells.
NEAR_S = 30
# A text that only the moment tells is further away than any other. It may be of another broadcast, whose text to the
# same person is listed first, so it counts only if no other one is found in time.
FAR_S = 1e9
# A batch says that a text has left a few calls after it was given to Twilio. What was given much earlier may be the
# same text of another broadcast, while the own one is not listed yet.
EARLY_S = 10
_TABLE = """CREATE TABLE texts (
    row INTEGER PRIMARY KEY, batch INTEGER, from_number TEXT, to_number TEXT, body TEXT, line BLOB,
    learnt TEXT, distance REAL, at TEXT, status TEXT, code INTEGER, sms_sid TEXT,
    is_early INTEGER DEFAULT 0, alike INTEGER DEFAULT 0, is_certain INTEGER DEFAULT 0,
    is_doubtful INTEGER AS (NOT is_certain AND (is_early OR alike > 1)),
    told TEXT AS (iif(is_doubtful, NULL, status))
)"""
_OF_NUMBER = """SELECT row, body, line, distance FROM texts
    WHERE to_number = ? AND from_number = ? AND line IS NOT NULL AND NOT is_certain"""
_SENDERS = "SELECT DISTINCT from_number FROM texts WHERE line IS NOT NULL AND learnt IS NOT 'texted_before'"
_COUNTS = """SELECT CASE WHEN is_certain OR distance < ? THEN told END AS counted, count(*) FROM texts
    WHERE line IS NOT NULL AND learnt IS NOT 'texted_before' GROUP BY counted"""
_FOUND = (
    "UPDATE texts SET distance = ?, is_early = ?, at = ?, status = ?, code = ?, sms_sid = ? WHERE row = ?"
)
_ALIKE = "UPDATE texts SET alike = alike + 1 WHERE row = ?"
_SETTLED = "UPDATE texts SET is_certain = 1, at = ?, status = ?, code = ?, sms_sid = ? WHERE row = ?"


class BroadcastFates:
    """The texts of a broadcast that have left, or may have: those of a batch that ended without a word too.

    Only a text that is known to have left is looked for in a list of messages. The same text may have gone to the same
    person in another broadcast, so a number and a body alone prove nothing.

    :param folder: of the broadcast, with its work list
    :raises PermanentError: when the work list is gone
    """

    def __init__(self, folder: BroadcastFolder, batches: Iterable[BroadcastBatch]) -> None:
        self._folder = folder
        self._texts = sqlite3.connect("")
        try:
            self._fill(batches)
        except BaseException:
            self._texts.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._texts.close()

    def _fill(self, batches: Iterable[BroadcastBatch]) -> None:
        self._texts.execute(_TABLE)
        for batch in batches:
            self._load(batch)
        for result in self._folder.results(DELIVERY):
            # What an earlier look has found out of a text whose batch ended without a word.
            is_left = result.outcome.has_left
            self.learn(replace(result, outcome=Outcome.SENT, code=None, reason="") if is_left else result)
        self._texts.execute("CREATE INDEX by_number ON texts (to_number, from_number)")

    def _load(self, batch: BroadcastBatch) -> None:
        texts = (
            (text.row, batch.number, text.from_number, text.to_number, text.body)
            for text in self._folder.texts(batch)
        )
        self._texts.executemany(
            "INSERT INTO texts (row, batch, from_number, to_number, body) VALUES (?, ?, ?, ?, ?)", texts
        )
        for result in self._folder.results(results_of(batch)):
            if result.outcome.has_left:
                self._texts.execute("UPDATE texts SET line = ? WHERE row = ?", (result.to_line(), result.row))
            elif result.outcome is not Outcome.UNKNOWN:
                self._texts.execute("DELETE FROM texts WHERE row = ?", (result.row,))

    @property
    def senders(self) -> list[str]:
        """The numbers that texts have left from."""
        return [number for (number,) in self._texts.execute(_SENDERS)]

    def silent(self, most: int) -> list[tuple[int, str, str]]:
        """Row, number and body of texts of which nobody has said anything, those of the first batches first.

        :param most: so many at most
        """
        query = "SELECT row, to_number, body FROM texts WHERE line IS NULL ORDER BY batch, row LIMIT ?"
        return self._texts.execute(query, (most,)).fetchall()

    def learn(self, result: BroadcastResult) -> None:
        """Take in what somebody knows of a text of which its batch has said nothing."""
        self._texts.execute(
            "UPDATE texts SET line = ?, learnt = ? WHERE row = ? AND line IS NULL",
            (result.to_line(), result.outcome, result.row),
        )

    def match(self, from_number: str, listed: Iterable[ListedText]) -> None:
        """Take in a page of the list of messages. Each of them is the one text that it is nearest to."""
        for one in listed:
            near: list[tuple[float, bool, int]] = []
            for row, body, line, known in self._texts.execute(
                _OF_NUMBER, (one.to_number, from_number)
            ).fetchall():
                sent = BroadcastResult.from_line(line)
                if sent.message_sid and one.delivery.sms_sid == sent.message_sid:
                    near.clear()
                    self.settle(row, sent, one.delivery)
                    break
                distance = _distance(one, body, sent)
                if distance is None:
                    continue
                if distance <= CLOCKS.total_seconds():
                    self._texts.execute(_ALIKE, (row,))
                if known is None or distance < known:
                    near.append((distance, _is_early(one, sent), row))
            if near and one.at:
                distance, is_early, row = min(near)
                found = one.delivery
                told = (one.at.isoformat(), found.status, found.error_code, found.sms_sid)
                self._texts.execute(_FOUND, (distance, is_early, *told, row))

    def doubtful(self, most: int) -> list[tuple[int, BroadcastResult]]:
        """Texts of which the list alone does not tell what became of them, those of the first rows first.

        The same text has left the same number for the same person within minutes of them, as in another broadcast.
        Twilio's list names no conversation. So only the receipt of the message tells which SMS it is.

        :param most: so many at most
        """
        query = "SELECT row, line FROM texts WHERE line IS NOT NULL AND is_doubtful ORDER BY row LIMIT ?"
        found = self._texts.execute(query, (most,)).fetchall()
        return [(row, BroadcastResult.from_line(line)) for row, line in found]

    def settle(self, row: int, sent: BroadcastResult, found: Delivery) -> None:
        """Take in what is known of a text by its SID."""
        told = (sent.at, found.status, found.error_code, found.sms_sid)
        self._texts.execute(_SETTLED, (*told, row))

    def counts(self) -> dict[str, int]:
        """How many have arrived, how many have not, and of how many nobody knows yet.

        A text that may not have left does not count.
        """
        counts = {"delivered": 0, "not_delivered": 0, "unknown": 0}
        for status, count in self._texts.execute(_COUNTS, (FAR_S,)):
            outcome = _outcome(status)
            counts["unknown" if outcome is Outcome.SENT else str(outcome)] += count
        return counts

    def opted_out(self) -> list[tuple[str, datetime]]:
        """Who has opted out, as their texts say, and when that was found out."""
        query = "SELECT to_number, at FROM texts WHERE code = ? AND at != '' AND NOT is_doubtful"
        return [
            (number, datetime.fromisoformat(at)) for number, at in self._texts.execute(query, (OPTED_OUT,))
        ]

    def write(self) -> None:
        """Write ``delivery.jsonl``: what is known of texts beyond that they left."""
        self._folder.write_results(DELIVERY, self._results())

    def _results(self) -> Iterator[BroadcastResult]:
        rows = self._texts.execute(
            "SELECT line, learnt, told, code, sms_sid FROM texts WHERE line IS NOT NULL ORDER BY row"
        )
        for line, learnt, status, code, sms_sid in rows:
            outcome = _outcome(status)
            if outcome is Outcome.SENT and not learnt:
                continue
            sent = BroadcastResult.from_line(line)
            if status is None:
                yield sent
                continue
            why = reason(code) if outcome is Outcome.NOT_DELIVERED else ""
            yield replace(
                sent,
                outcome=outcome,
                code=code,
                reason=why and f"{why[0].upper()}{why[1:]}.",
                sms_sid=sms_sid,
            )


def _is_early(listed: ListedText, sent: BroadcastResult) -> bool:
    """Whether a listed text was given to Twilio well before a text of the broadcast had left."""
    return listed.at is not None and (datetime.fromisoformat(sent.at) - listed.at).total_seconds() > EARLY_S


def _outcome(status: str | None) -> Outcome:
    match status:
        case DeliveryStatus.DELIVERED:
            return Outcome.DELIVERED
        case DeliveryStatus.UNDELIVERED | DeliveryStatus.FAILED:
            return Outcome.NOT_DELIVERED
    return Outcome.SENT


def _distance(listed: ListedText, body: str, sent: BroadcastResult) -> float | None:
    """How far a listed text is from one of the broadcast, None: it is another text, like an agent's answer."""
    if not (listed.at and sent.at and sent.outcome.has_left):
        return None
    behind = listed.at - datetime.fromisoformat(sent.at)
    if behind < -CLOCKS:
        return None
    seconds = abs(behind.total_seconds())
    letters = _letters(body)
    if letters and letters in _letters(listed.body):
        return seconds
    return seconds + FAR_S if seconds <= NEAR_S else None


def _letters(body: str) -> str:
    """What a trial account's first words, or another quotation mark, leave as it was."""
    return "".join(filter(str.isalnum, normalize("NFKD", body).casefold()))
