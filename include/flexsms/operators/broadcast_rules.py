"""Reads when and how fast the texts of a broadcast may leave."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unicodedata import normalize

from flexsms.arguments import moment, number, whole_number
from flexsms.core.exceptions import InvalidInput
from flexsms.core.outbound_message import Route
from flexsms.core.sending_hours import SendingHours
from flexsms.core.validation import parse_choice, parse_text

if TYPE_CHECKING:
    from flexsms.twilio.broadcast.rules import BroadcastRules

SLOWEST, FASTEST = 0.001, 1000.0  # texts a second
MOST_TASKS = 1_000_000


def parse_rules(
    *,
    route: str,
    hours: str,
    days: str,
    not_before: str | None,
    not_after: str | None,
    max_per_second: float | str | None,
    max_open_tasks: int | str | None,
    stop_over: float | str | None,
) -> BroadcastRules:
    """The rules, from arguments as forms and templates give them; see :class:`.broadcast.FlexBroadcastOperator`.

    :raises InvalidInput: naming the first one that is wrong
    """
    from flexsms.twilio.broadcast.rules import BroadcastRules

    return BroadcastRules(
        hours=SendingHours.parse(hours, days=days),
        route=parse_choice(Route, "route", "is not a route", route),
        not_before=moment("not_before", not_before),
        not_after=moment("not_after", not_after),
        max_per_second=None
        if _is_empty(max_per_second)
        else number("max_per_second", max_per_second, low=SLOWEST, high=FASTEST),
        max_open_tasks=None
        if _is_empty(max_open_tasks)
        else whole_number("max_open_tasks", max_open_tasks, low=0, high=MOST_TASKS),
        stop_over=1.0 if _is_empty(stop_over) else number("stop_over", stop_over, low=0, high=1),
    )


def parse_campaign(value: str) -> str:
    """The name of a campaign, in Unicode's composed form: a Mac and a phone write the é of café differently.

    :raises InvalidInput: when it is empty
    """
    name = parse_text("campaign", value)
    if not name:
        raise InvalidInput("campaign", "is empty", "give it a name; nobody is texted twice under one")
    return normalize("NFC", name)


def _is_empty(value: object) -> bool:
    return value is None or value == ""
