"""What flexsms assumes of Twilio where nobody could tell, and what an experiment's answer means for it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from flexsms.core.redaction import redact

REPORT = "report this"
NOTHING = "nothing to do, flexsms works either way"
NOBODY = "nobody documents it"
ERRORS = "https://www.twilio.com/docs/api/errors/"
_SID = re.compile(r"\b[A-Z]{2}[0-9a-fA-F]{32}\b")


class Outcome(StrEnum):
    """What became of an assumption."""

    AS_ASSUMED = "as assumed"
    DIFFERS = "differs"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Assumption:
    """Something that Twilio's pages leave open, or contradict each other about.

    :param name: how ``--only`` and a bug report call it
    :param about: Twilio's product
    :param question: what an experiment looks at
    :param assumed: the answer that flexsms was built for
    :param source: the page that comes closest, or "nobody documents it"
    :param otherwise: other answers, each with what follows from it
    :param rest: what follows from an answer that nobody thought of
    """

    name: str
    about: str
    question: str
    assumed: str
    source: str
    otherwise: Mapping[str, str] = field(default_factory=dict)
    rest: str = REPORT

    def judge(self, found: str) -> Finding:
        """What an answer means.

        :param found: Twilio's answer, in the words of ``assumed`` or ``otherwise`` where it is one of those
        """
        if found == self.assumed:
            return Finding(self, Outcome.AS_ASSUMED, found)
        return Finding(self, Outcome.DIFFERS, found, self.otherwise.get(found, self.rest))

    def not_tried(self, reason: str) -> Finding:
        """That there is no answer, and why."""
        return Finding(self, Outcome.NOT_TRIED, follows=reason)


@dataclass(frozen=True, slots=True)
class Finding:
    """What an experiment found about an assumption.

    :param found: Twilio's answer; empty where it was not tried
    :param follows: what to do about it, or why it was not tried
    """

    assumption: Assumption
    outcome: Outcome
    found: str = ""
    follows: str = ""


@dataclass(frozen=True, slots=True)
class Price:
    """What experiments cost.

    :param tasks: opened at most, each canceled at once
    :param texts: sent at most to the handset, one segment each
    :param requests: what a person is asked to do
    """

    tasks: int = 0
    texts: int = 0
    requests: int = 0

    def __add__(self, other: Price) -> Price:
        return Price(self.tasks + other.tasks, self.texts + other.texts, self.requests + other.requests)

    def told(self) -> str:
        """The price in a sentence."""
        tasks = (
            f"opens at most {_counted(self.tasks, 'task')} and ends each" if self.tasks else "opens no task"
        )
        texts = (
            f"sends at most {_counted(self.texts, 'text')} of one segment" if self.texts else "sends no text"
        )
        asks = f", and asks you {_counted(self.requests, 'time')} for help" if self.requests else ""
        return f"This {tasks}, {texts}{asks}."


def exit_status(findings: Sequence[Finding], left: Sequence[str]) -> int:
    """What a command ends with: 0 as assumed, 1 something differs, 2 it could not be run or did not clean up."""
    if left or all(one.outcome is Outcome.NOT_TRIED for one in findings):
        return 2
    return int(any(one.outcome is Outcome.DIFFERS for one in findings))


def as_json(findings: Iterable[Finding], left: Iterable[str], own: Collection[str]) -> dict[str, Any]:
    """The findings as a bug report may show them to everybody: no number, and no SID but those of ``own``."""
    return {
        "findings": [_finding_json(one, own) for one in findings],
        "left": [anonymous(one, own) for one in left],
    }


def anonymous(text: str, own: Collection[str]) -> str:
    """The text without numbers, and with the kind alone of every SID that is not one of ``own``."""

    def masked(match: re.Match[str]) -> str:
        return match[0] if match[0] in own else f"{match[0][:2]}…"

    return _SID.sub(masked, redact(text))


def _finding_json(one: Finding, own: Collection[str]) -> dict[str, Any]:
    told = asdict(one.assumption)
    return {
        **{name: told[name] for name in ("name", "about", "question", "assumed")},
        "found": anonymous(one.found, own),
        "outcome": str(one.outcome),
        "follows": anonymous(one.follows, own),
        "source": told["source"],
    }


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
