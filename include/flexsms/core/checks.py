"""What an examination finds, and the part of judging that asks nobody."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from flexsms.core.exceptions import FlexSmsError, TwilioError
from flexsms.core.redaction import redact

# Cleanup compares dates of Twilio's with this clock, and tracking reads 15 minutes back.
MOST_SKEW = timedelta(seconds=60)
# Event Streams delivers within seconds; Twilio promises nothing.
LATE_AFTER = timedelta(minutes=5)
# A run reads what has come within a minute, or ten minutes later if the one before failed.
READ_WITHIN = timedelta(minutes=20)
# Good posts are kept for at least so long after they came; rejected ones for ever.
KEPT_FOR = timedelta(days=1)
# What a limit may be set for: an endpoint or a host. Any other name counts for nothing.
_LIMIT = re.compile(r"(GET|POST|DELETE) [a-z-]+\.twilio\.com/\S+|[a-z-]+\.twilio\.com")


class Verdict(StrEnum):
    """Whether something is as it should be."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of an examination.

    :param about: what was looked at
    :param text: what was found, and if it is wrong, what to do about it
    """

    about: str
    verdict: Verdict
    text: str


@dataclass(frozen=True, slots=True)
class Failed(Finding):
    """A check that came to no end. What stopped it may stop others.

    :param call: method and URL of the call that failed, empty if none did
    """

    call: str = ""

    @classmethod
    def of(cls, about: str, error: FlexSmsError) -> Failed:
        """The check that an error has stopped."""
        if isinstance(error, TwilioError):
            return cls(about, Verdict.WRONG, error.cause, error.where)
        return cls(about, Verdict.WRONG, str(error))


def once_each(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, with what has stopped several checks said once, by the first of them."""
    stopped: dict[str, list[Failed]] = {}
    told: list[Finding | str] = []
    for one in findings:
        if not isinstance(one, Failed):
            told.append(one)
        elif one.text in stopped:
            stopped[one.text].append(one)
        else:
            stopped[one.text] = [one]
            told.append(one.text)
    return [_joined(stopped[one]) if isinstance(one, str) else one for one in told]


def _joined(stopped: Sequence[Failed]) -> Failed:
    first, *others = stopped
    if not others:
        return first
    return replace(first, text=f"{first.text} The same stops: {', '.join(one.about for one in others)}.")


def total(findings: Collection[Finding]) -> str:
    """How many findings there are, by verdict."""
    counts = Counter(one.verdict for one in findings)
    return f"{counts[Verdict.WRONG]} wrong, {counts[Verdict.NOTE]} to note, {counts[Verdict.OK]} ok"


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The posts in an inbox.

    :param last: when the newest came that was not rejected, None: there is none
    :param rejected: how many are in ``rejected/``
    :param last_rejected: when the newest of those came
    :param unread: how many wait to be read
    :param first_unread: when the oldest of those came
    """

    last: datetime | None = None
    rejected: int = 0
    last_rejected: datetime | None = None
    unread: int = 0
    first_unread: datetime | None = None


def judge_skew(ahead: timedelta | None) -> Finding:
    """Twilio's clock against ours.

    :param ahead: how far ours is ahead; negative: behind, None: nobody knows
    """
    if ahead is None:
        return Finding("Clock", Verdict.NOTE, "Twilio's answer has no date to compare with")
    seconds = round(ahead.total_seconds())
    if abs(ahead) > MOST_SKEW:
        which = "ahead of" if seconds > 0 else "behind"
        return Finding(
            "Clock",
            Verdict.WRONG,
            f"this machine is {abs(seconds)} s {which} Twilio; let NTP set its clock, or channels are retired at the "
            "wrong time",
        )
    return Finding("Clock", Verdict.OK, f"is within {max(abs(seconds), 1)} s of Twilio's")


def judge_limits(
    limits: str | Mapping[str, float], documented: Callable[[str], float | None], *, for_twilio: bool
) -> Finding:
    """The setting ``rate_limits``.

    :param documented: tells the requests per second that Twilio documents for an endpoint, None: it documents none
    :param for_twilio: whether calls go to Twilio itself
    """
    about = "Rate limits"
    if limits == "off":
        if for_twilio:
            return Finding(
                about,
                Verdict.WRONG,
                "rate_limits is off; set it to documented, or Twilio refuses calls with 429",
            )
        return Finding(about, Verdict.OK, "are off, and calls go to base_url")
    if isinstance(limits, str):
        return Finding(about, Verdict.OK, "are as Twilio documents them")
    for name, per_second in limits.items():
        if not _LIMIT.fullmatch(name):
            example = '"POST flex-api.twilio.com/v1/Channels" or "proxy.twilio.com"'
            return Finding(
                about,
                Verdict.WRONG,
                f"rate_limits has {redact(name)!r}, which is no endpoint; write it like {example}",
            )
        most = documented(name)
        if most is not None and per_second > most:
            return Finding(
                about,
                Verdict.WRONG,
                f"rate_limits allows {per_second:g}/s for {name}, and Twilio {most:g}/s; lower it",
            )
    for_all = [f"{limits[name]:g}/s for all of {name} together" for name in limits if " " not in name]
    replaced = [f"{limits[name]:g}/s for {name}" for name in limits if " " in name]
    told = ["are as Twilio documents them"]
    told += [f"but {', '.join(replaced)}"] if replaced else []
    told += [f"and {', '.join(for_all)}"] if for_all else []
    return Finding(about, Verdict.OK, ", ".join(told))


def judge_last_event(last: datetime | None, arrivals: Arrivals | None, now: datetime) -> Finding:
    """How old the newest event is, and whether it has come in.

    :param last: the newest task event by TaskRouter's own list, None: none within a day
    :param arrivals: what has come to the inbox, None: events are not to come to one
    """
    about = "Last event"
    if last is None:
        return Finding(about, Verdict.NOTE, "TaskRouter has had no task of a channel within a day")
    found = f"TaskRouter's newest is {_age(now - last)} old"
    if arrivals is None or now - last < LATE_AFTER:
        return Finding(about, Verdict.OK, found)
    enough = last - LATE_AFTER
    came = f"the inbox's newest {_age(now - arrivals.last)}" if arrivals.last else "nothing is in the inbox"
    if arrivals.last and arrivals.last >= enough:
        return Finding(about, Verdict.OK, f"{found}, {came}")
    if arrivals.last_rejected and arrivals.last_rejected >= enough:
        return Finding(
            about,
            Verdict.WRONG,
            f"{found}, and what has come since was rejected; read the .txt beside it in rejected/",
        )
    return Finding(
        about,
        Verdict.WRONG,
        f"{found}, and {came}; look for 91302 to 91308 in the Console's error log, and whether events_url is right",
    )


def judge_rejected(arrivals: Arrivals, now: datetime) -> Finding:
    """What cannot be read, and whether that is all there is now."""
    about = "Rejected posts"
    if arrivals.last_rejected is None:
        return Finding(about, Verdict.OK, "none")
    age = now - arrivals.last_rejected
    found = f"{arrivals.rejected} in rejected/, the newest {_age(age)} old"
    # Without a good post nobody knows whether one came since, once it would have been removed again.
    only_rejected = arrivals.last < arrivals.last_rejected if arrivals.last else age <= KEPT_FOR
    if only_rejected:
        return Finding(
            about,
            Verdict.WRONG,
            f"{found}, and no good post has come since; its .txt says what cannot be read",
        )
    return Finding(about, Verdict.NOTE, f"{found}; the .txt beside each says what cannot be read")


def judge_unread(arrivals: Arrivals, now: datetime) -> Finding:
    """Whether what has come is read."""
    about = "Unread posts"
    if arrivals.first_unread is None:
        return Finding(about, Verdict.OK, "none")
    age = now - arrivals.first_unread
    found = f"{arrivals.unread} in new/, the oldest {_age(age)} old"
    if age <= READ_WITHIN:
        return Finding(about, Verdict.OK, found)
    return Finding(
        about,
        Verdict.WRONG,
        f"{found}; unpause flexsms_track, and see that a triggerer runs and can read inbox_path",
    )


def _age(age: timedelta) -> str:
    seconds = max(round(age.total_seconds()), 0)
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
