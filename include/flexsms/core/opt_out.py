"""Opt-outs: the words by which customers opt out and in again, and what is known of a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from flexsms.core.exceptions import InvalidInput
from flexsms.core.task_events import TOO_EARLY_MS, TOO_LATE_MS, from_ms

# Twilio's own. https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out
OUT_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
# Not YES, by which Twilio lifts an opt-out of its own as well: it may answer any question.
IN_WORDS = frozenset({"START", "UNSTOP"})
OPTED_OUT = 21610  # Twilio's code for a text to a number that has opted out


class Why(StrEnum):
    """How it became known."""

    STOP = "stop"
    REFUSED = str(OPTED_OUT)
    IMPORT = "import"
    MANUAL = "manual"
    START = "start"

    @property
    def phrase(self) -> str:
        """For a sentence, behind a moment."""
        return _PHRASES[self]


_PHRASES: Mapping[Why, str] = {
    Why.STOP: "by a word like STOP",
    Why.REFUSED: f"Twilio refused a text with error {OPTED_OUT}",
    Why.IMPORT: "by an import",
    Why.MANUAL: "by flexsms suppress",
    Why.START: "by a word like START",
}


def opts_out(body: str) -> bool | None:
    """What the body of a customer's text says, as Twilio reads it: only as a whole, in capitals or not.

    :return: True: no more texts; False: texts again; None: something else
    """
    word = body.strip().upper()
    if word in OUT_WORDS:
        return True
    return False if word in IN_WORDS else None


@dataclass(frozen=True, slots=True)
class OptOut:
    """What is known of a number.

    :param at_ms: since when, milliseconds since 1970 UTC
    :param out: whether it has opted out; else it has opted in again
    """

    at_ms: int
    out: bool
    why: Why

    def merge(self, other: OptOut) -> OptOut:
        """What is known once both are: the later one, and of the same moment who opts out.

        Commutative, associative, idempotent.
        """
        return max(self, other, key=lambda one: (one.at_ms, one.out, one.why))

    @property
    def since(self) -> str:
        """Since when, for a sentence, UTC."""
        return f"{from_ms(self.at_ms):%Y-%m-%d %H:%M} UTC"

    def to_json(self) -> dict[str, Any]:
        """What is stored: no number."""
        return {"v": 1, **asdict(self), "why": str(self.why)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` wrote.

        :raises InvalidInput: when it is something else
        """
        at_ms, out, why = (value.get(name) for name in ("at_ms", "out", "why"))
        if type(at_ms) is not int or not TOO_EARLY_MS <= at_ms <= TOO_LATE_MS:
            raise InvalidInput("at_ms", "is no moment", "give milliseconds since 1970")
        if type(out) is not bool:
            raise InvalidInput("out", "is neither true nor false", "say whether the number has opted out")
        if why not in list(Why):
            raise InvalidInput("why", "is no known reason", f"choose one of {', '.join(Why)}")
        return cls(at_ms, out, Why(why))
