"""What can become of a due channel, and the report of a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from flexsms.core.exceptions import FlexSmsError, RetryableError, TwilioError
from flexsms.core.validation import parse_choice

NAMED_FAILURES = 50


class Action(StrEnum):
    """How a channel is retired."""

    DEACTIVATE = "deactivate"
    DELETE = "delete"


parse_action = partial(parse_choice, Action, "action", "is no way to retire a channel")


class Outcome(StrEnum):
    """What became of a due channel."""

    DEACTIVATED = "deactivated"
    DELETED = "deleted"
    SKIPPED_OPEN_TASK = "skipped_open_task"
    SKIPPED_CHANGED = "skipped_changed"
    ALREADY_GONE = "already_gone"
    SKIPPED_TYPE = "skipped_type"
    FAILED = "failed"


DONE = {Action.DEACTIVATE: Outcome.DEACTIVATED, Action.DELETE: Outcome.DELETED}


@dataclass(slots=True)
class BatchReport:
    """What became of each channel of a batch; its ``to_json`` goes to XCom.

    :param interactions_left: channels that are closed, and whose interaction may be open because no task named it
    :param unanswered: channels in which a customer wrote after the last task's end, and nobody was told
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    errors: dict[str, FlexSmsError] = field(default_factory=dict)
    interactions_left: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    @property
    def worth_retrying(self) -> bool:
        """Whether another try could do better."""
        return any(isinstance(error, RetryableError) for error in self.errors.values())

    def to_json(self) -> dict[str, Any]:
        """A count per outcome, and the failures by name."""
        counts: dict[str, Any] = {str(outcome): 0 for outcome in Outcome}
        for outcome in self.outcomes.values():
            counts[outcome] += 1
        failures = [failure(sid, error) for sid, error in list(self.errors.items())[:NAMED_FAILURES]]
        return {
            **counts,
            "failures": failures,
            "failed_by_code": by_code(self.errors.values()),
            "interactions_left": len(self.interactions_left),
            "unanswered": len(self.unanswered),
            "unanswered_channels": self.unanswered[:NAMED_FAILURES],
        }

    def add(self, other: BatchReport) -> None:
        """Take in what became of further channels."""
        self.outcomes |= other.outcomes
        self.errors |= other.errors
        self.interactions_left += other.interactions_left
        self.unanswered += other.unanswered


def failure(channel_sid: str, error: FlexSmsError) -> dict[str, Any]:
    """A failure as the summary names it."""
    return {"channel_sid": channel_sid, "code": _code(error), "message": error.cause_first}


def by_code(errors: Iterable[FlexSmsError]) -> dict[str, int]:
    """How many failures have which of Twilio's error codes; ``0`` where there is none."""
    return dict(Counter(str(_code(error)) for error in errors))


def _code(error: FlexSmsError) -> int:
    return (error.code or 0) if isinstance(error, TwilioError) else 0
