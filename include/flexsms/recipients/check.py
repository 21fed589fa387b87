"""Checks a list row by row, before anybody is texted: who gets which text, who does not and why, in constant memory."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import BinaryIO, NamedTuple

from flexsms.core.broadcast import BroadcastResult, BroadcastText, Outcome
from flexsms.core.broadcast_samples import BroadcastSamples
from flexsms.core.exceptions import InvalidInput
from flexsms.core.list_problems import ListProblems
from flexsms.core.message_fields import MessageFields
from flexsms.core.number_digest import NumberDigest
from flexsms.core.recipient import TO_NUMBER, Recipient, parse_recipient, told_character
from flexsms.core.redaction import mask_number
from flexsms.core.sending_hours import Opening, SendingHours
from flexsms.recipients.check_file import Cells, WriteLines
from flexsms.recipients.rows import Row
from flexsms.recipients.spool import Known, Spool

ROWS_AT_ONCE = 500
READY = "ready"
DRY_RUN = "Dry run: nothing was sent."
COLUMNS = ("row", "to", "outcome", "reason", "segments", "encoding", "ucs2_because_of", "leaves_from_utc")
# What is longer is no number, and is not looked through for its last digits.
_LONGEST_NUMBER = 64

Zones = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """What a broadcast is to be.

    :param from_numbers: E.164; each recipient always gets the same one
    :param since: nothing leaves before
    :param not_after: nothing leaves from then on
    :param dry_run: nobody is texted, so no text is kept
    """

    body: MessageFields
    from_numbers: tuple[str, ...] = field(repr=False)
    hours: SendingHours
    since: datetime
    not_after: datetime | None = None
    dry_run: bool = False


@dataclass(slots=True)
class Checked:
    """What a check has found so far.

    :param groups: the number of each set of zones, in the spool
    :param texts: how many there are by set of zones
    :param segments: by country, ISO 3166
    :param senders: how many texts leave from each, by its last four digits
    """

    rows: int = 0
    left_out: Counter[Outcome] = field(default_factory=Counter)
    groups: dict[Zones, int] = field(default_factory=dict)
    texts: Counter[Zones] = field(default_factory=Counter)
    segments: Counter[str] = field(default_factory=Counter)
    encodings: Counter[str] = field(default_factory=Counter)
    senders: Counter[str] = field(default_factory=Counter)
    samples: BroadcastSamples = field(default_factory=BroadcastSamples)
    problems: ListProblems = field(default_factory=ListProblems)


class _Found(NamedTuple):
    """Who may be texted, if nothing that came before is against it."""

    recipient: Recipient
    sender: str
    digest: str
    opens: str


class _LeftOut(NamedTuple):
    """Why a row is not texted.

    :param told: the sentence behind "row 3"; empty where nobody has to do anything
    """

    outcome: Outcome
    reason: str
    told: str = ""


class ListCheck:
    """Checks the rows of one list.

    :param spool: knows who is suppressed and who was texted before
    :param digest: turns numbers into what the spool knows
    :param left_out: gets a line per row that is not texted
    :param report: gets lines, one per row
    """

    def __init__(
        self,
        order: Order,
        *,
        spool: Spool,
        digest: NumberDigest,
        left_out: BinaryIO,
        report: WriteLines,
    ) -> None:
        self._order = order
        self._spool = spool
        self._digest = digest
        self._left_out = left_out
        self._report = report
        self._openings: dict[Zones, tuple[Opening, str] | None] = {}
        self.checked = Checked()

    def run(self, rows: Iterable[Row]) -> Checked:
        """Go through all rows. The texts are then in the spool."""
        rest = iter(rows)
        # Some rows at each step: a processor does the same work again in half the time.
        while some := list(islice(rest, ROWS_AT_ONCE)):
            found = [self._read(row) for row in some]
            self._report([self._settle(row, one) for row, one in zip(some, found, strict=True)])
            self.checked.rows += len(some)
        return self.checked

    def _read(self, row: Row) -> _Found | _LeftOut:
        """What a row says by itself."""
        if row.problem:
            return _LeftOut(Outcome.INVALID, f"the row {row.problem}.", f" {row.problem}.")
        try:
            recipient = parse_recipient(row.values, self._order.body)
            opening, opens = self._opening(recipient.zones)
            digest = self._digest.of(recipient.number)
            sender = self._sender(recipient.number, digest)
        except InvalidInput as error:
            return _LeftOut(Outcome.INVALID, str(error), f", {error}")
        if self._order.not_after and opening.opens >= self._order.not_after:
            reason = f"may leave from {opens} only, which is after not_after"
            return _LeftOut(Outcome.TOO_LATE, f"the text {reason}.", f" {reason}; give a later one.")
        return _Found(recipient, sender, digest, opens)

    def _settle(self, row: Row, found: _Found | _LeftOut) -> Cells:
        """Write down what becomes of a row, by all that came before; returns what people read of it."""
        if isinstance(found, _LeftOut):
            return self._leave_out(row, found)
        known = self._spool.add(found.digest, row.number)
        return self._take(row.number, found) if known is None else self._leave_out(row, _known(known))

    def _take(self, row: int, found: _Found) -> Cells:
        checked, recipient, segments = self.checked, found.recipient, found.recipient.segments
        zones, to = recipient.zones, last_digits(recipient.number)
        group = checked.groups.setdefault(zones, len(checked.groups))
        if self._order.dry_run:
            self._left_out.write(BroadcastResult(row, to, Outcome.STOPPED, reason=DRY_RUN).to_line())
        else:
            text = BroadcastText(row, found.sender, recipient.number, recipient.body, recipient.name, zones)
            self._spool.keep(group, row, text.to_line())
        checked.texts[zones] += 1
        checked.segments[recipient.country] += segments.count
        checked.encodings[segments.encoding] += 1
        checked.senders[found.sender[-4:]] += 1
        place = (zones, checked.texts[zones])
        checked.samples.add(place, len(recipient.body), segments, recipient.unusual)
        because_of = told_character(recipient.unusual)
        return (row, f"…{to}", READY, "", segments.count, segments.encoding, because_of, found.opens)

    def _leave_out(self, row: Row, left: _LeftOut) -> Cells:
        number = row.values.get(TO_NUMBER)
        to = last_digits(number) if isinstance(number, str) else ""
        self.checked.left_out[left.outcome] += 1
        if left.told:
            self.checked.problems.add(row.number, left.told)
        result = BroadcastResult(row.number, to, left.outcome, reason=left.reason)
        self._left_out.write(result.to_line())
        return (row.number, f"…{to}", left.outcome, left.reason, "", "", "", "")

    def _opening(self, zones: Zones) -> tuple[Opening, str]:
        """When texts may leave, and from when as people read it."""
        if zones not in self._openings:
            found = self._order.hours.opening(zones, self._order.since)
            opens = max(found.opens, self._order.since).isoformat(timespec="seconds") if found else ""
            self._openings[zones] = (found, opens) if found else None
        opening = self._openings[zones]
        if opening is None:
            problem = f"can be any of {len(zones)}, which have no time within hours in common"
            raise InvalidInput(
                "zone", problem, "give the recipient's own in the column zone, or widen the hours"
            )
        return opening

    def _sender(self, number: str, digest: str) -> str:
        """The sender of a recipient: the same one in every broadcast, also when others come and go beside it.

        That is rendezvous hashing: each sender draws a lot for the recipient, and the highest one counts.
        """
        senders = self._order.from_numbers
        sender = senders[0] if len(senders) == 1 else max(senders, key=lambda one: _lot(one, digest))
        if number in senders:
            raise InvalidInput(TO_NUMBER, "is one of from_number", "give the customer's number")
        return sender


def _lot(sender: str, digest: str) -> bytes:
    return hashlib.blake2b(f"{sender}/{digest}".encode(), digest_size=8).digest()


def _known(known: int) -> _LeftOut:
    match known:
        case Known.SUPPRESSED:
            return _LeftOut(Outcome.SUPPRESSED, "has opted out")
        case Known.TEXTED_BEFORE:
            return _LeftOut(Outcome.TEXTED_BEFORE, "was texted in this campaign before")
    return _LeftOut(Outcome.REPEATED, f"the same number is in row {known}")


def last_digits(number: str) -> str:
    """The last four digits of a number; empty where it has no more than these, or is no number."""
    return mask_number(number[:_LONGEST_NUMBER])[1:]
