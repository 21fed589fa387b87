"""What the tasks of a broadcast hand on to each other: who is texted what, in which batches, and what became of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self


class Outcome(StrEnum):
    """What became of a recipient, as the result file and the totals say it."""

    # The check leaves them out.
    INVALID = "invalid"
    REPEATED = "repeated"
    TEXTED_BEFORE = "texted_before"
    # Sending.
    SENT = "sent"
    SUPPRESSED = "suppressed"
    TOO_LATE = "too_late"
    STOPPED = "stopped"
    FAILED = "failed"
    # Its batch ended without a word, and nobody has looked since.
    UNKNOWN = "unknown"
    # Known later, of what was sent.
    DELIVERED = "delivered"
    NOT_DELIVERED = "not_delivered"

    @property
    def has_left(self) -> bool:
        """Whether a text is on its way, or was."""
        return self in (Outcome.SENT, Outcome.DELIVERED, Outcome.NOT_DELIVERED)

    @property
    def is_final(self) -> bool:
        """Whether the recipient has a text of the campaign, so that no later try has anything to do for them."""
        return self.has_left or self is Outcome.TEXTED_BEFORE


@dataclass(frozen=True, slots=True)
class BroadcastText:
    """One text of a broadcast: a line of the work list, which the check writes and the batches read.

    :param row: of the recipient in the list as it was given, the first one is 1
    :param to_number: E.164
    :param body: rendered, so that what was approved is what is sent
    :param zones: IANA names; the text leaves only while it is within hours in all of them
    """

    row: int
    from_number: str = field(repr=False)
    to_number: str = field(repr=False)
    body: str = field(repr=False)
    to_name: str = field(default="", repr=False)
    zones: tuple[str, ...] = ()

    def to_line(self) -> bytes:
        """A line of the work list, with its end."""
        return _line(self)

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Read what :meth:`to_line` wrote."""
        data = json.loads(line)
        return cls(**{**data, "zones": tuple(data["zones"])})


@dataclass(frozen=True, slots=True)
class BroadcastBatch:
    """Texts that one mapped task sends. It says where they are, for they are personal and XCom is not.

    :param number: the first batch is 0; names the batch's file of results
    :param folder: URL of the broadcast's folder; see :class:`flexsms.recipients.folder.BroadcastFolder`
    :param start: byte at which its first line begins in the work list
    :param end: byte behind its last line
    :param texts: how many there are
    :param zones: those of all its texts, which have them in common
    :param digest: of its lines, see :func:`digest_of`, so that what was checked and approved is what is sent
    """

    number: int
    label: str
    folder: str
    start: int
    end: int
    texts: int
    zones: tuple[str, ...] = ()
    digest: str = ""

    def to_json(self) -> dict[str, Any]:
        """The XCom value: no number and no text."""
        return {**asdict(self), "zones": list(self.zones)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote."""
        return cls(**{**value, "zones": tuple(value["zones"])})


@dataclass(frozen=True, slots=True)
class BroadcastResult:
    """What became of one recipient: a line of a batch's results, or of what the check left out.

    :param to: the number's last four digits
    :param code: Twilio's, where it gave one
    :param reason: one sentence; empty where there is nothing to say
    :param at: when, ISO 8601, UTC; empty where nothing was done
    :param sms_sid: SM…, where Twilio's list of messages was looked at
    :param may_retry: it failed for a reason that may be over by now, so another try of its batch may send it
    """

    row: int
    to: str
    outcome: Outcome
    code: int | None = None
    reason: str = ""
    at: str = ""
    segments: int = 0
    channel_sid: str = ""
    message_sid: str = ""
    sms_sid: str = ""
    may_retry: bool = False

    def to_line(self) -> bytes:
        """A line of a file of results, with its end."""
        return _line(self)

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Read what :meth:`to_line` wrote."""
        data = json.loads(line)
        return cls(**{**data, "outcome": Outcome(data["outcome"])})


def digest_of(lines: bytes) -> str:
    """What stands for some lines of a work list: their SHA-256, hexadecimal."""
    return hashlib.sha256(lines).hexdigest()


def _line(one: BroadcastText | BroadcastResult) -> bytes:
    # Not dataclasses.asdict, which copies every value: there may be a million lines.
    values = {name: getattr(one, name) for name in one.__slots__}
    return json.dumps(values, ensure_ascii=True).encode() + b"\n"
