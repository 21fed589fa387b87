"""The story told: who plays in it, what was expected of each, and the tables that show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flexsms.core.redaction import mask_number
from flexsms.demo.console import View
from flexsms.demo.event_latency import PROMISED_S, Followed
from flexsms.demo.expectations import Cleaned
from flexsms.demo.sandbox_state import SECONDS_PER_DAY, Channel, Json

COUNTED = ("scanned", "due", "deactivated", "already_gone", "failed")
LIVES: dict[object, str] = {True: "long-lived", False: "short-lived"}


@dataclass(frozen=True, slots=True)
class Role:
    """A customer of the story, and what is expected to become of the channel.

    :param why: what the customer did, which is why
    """

    name: str
    number: str
    channel_sid: str
    retired: bool
    why: str


@dataclass(frozen=True, slots=True)
class Told:
    """The story's end.

    :param number: the Twilio number that it was told on
    :param followed: an agent's click, and what came of it
    :param first: the cleanup that had something to do, and ``second``: the one right after it
    :param texts: what left for handsets during the story
    :param problems: everything that is not as it should be
    """

    number: str
    roles: Sequence[Role]
    followed: Followed
    first: Cleaned
    second: Cleaned
    texts: Sequence[Json]
    problems: Sequence[str]


def problems_of_roles(roles: Sequence[Role], cleaned: Cleaned) -> list[str]:
    """Customers of the story whose channel is not as the story promises."""
    problems = []
    for role in roles:
        before, after = cleaned.before.get(role.channel_sid), cleaned.after.get(role.channel_sid)
        if before is None or after is None:
            problems.append(f"{role.name}'s channel {role.channel_sid} is not there.")
        elif role.retired and not after.retired:
            problems.append(f"{role.name}'s channel should be retired ({role.why}) and is not.")
        elif not role.retired and not after.same(before):
            problems.append(f"{role.name}'s channel should be kept ({role.why}) and was touched.")
    return problems


def show(told: Told, view: View) -> None:
    """The tables: the stream, every channel before and after, what cleanup did, what left for handsets."""
    view.table(
        "From an agent's click to the state in Sync, through Event Streams",
        ("posted to Airflow", "trigger fired", "run started", "state in Sync", "promised", ""),
        [_seconds(told.followed)],
    )
    view.table(
        "The channels of the story, before and after the cleanup",
        ("customer", "last task", "before", "after", "expected", ""),
        [_row(role, told.first) for role in told.roles],
    )
    view.table(
        f"The cleanup, with a crowd of {len(told.first.before) - len(told.roles)} more channels",
        ("", "scanned", "due", "deactivated", "already gone", "failed", "calls", "writes"),
        [_counts("first run", told.first), _counts("right after", told.second)],
    )
    view.table(
        "The single texts, as they left for handsets",
        ("to", "text", "status"),
        [(mask_number(sms["to"]), sms["body"], sms["status"]) for sms in told.texts],
    )


def _seconds(followed: Followed) -> tuple[str, ...]:
    stages = (followed.posted_s, followed.fired_s, followed.started_s, followed.stored_s)
    right = not list(followed.problems())
    return (
        *(f"{seconds:.1f} s" for seconds in stages),
        f"{PROMISED_S:.0f} s",
        "[green]✓[/]" if right else "[red]✗[/]",
    )


def _row(role: Role, cleaned: Cleaned) -> tuple[str, ...]:
    before, after = cleaned.before.get(role.channel_sid), cleaned.after.get(role.channel_sid)
    right = not problems_of_roles([role], cleaned)
    return (
        f"{role.name} {mask_number(role.number)}",
        f"{_task(before, cleaned.started)}\n[dim]{role.why}[/]",
        _look(before),
        "[dim]unchanged[/]" if before and after and after.same(before) else _look(after),
        "[bold]retired[/]" if role.retired else "kept",
        "[green]✓[/]" if right else "[red]✗[/]",
    )


def _task(channel: Channel | None, now: float) -> str:
    if channel and channel.open_tasks:
        return f"open ({channel.open_tasks[-1]})"
    if channel and channel.last_ended:
        days = (now - channel.last_ended) / SECONDS_PER_DAY
        return f"ended {days:.1f} days ago" if days > 1 else "ended today"
    return "none"


def _look(channel: Channel | None) -> str:
    """The two attributes, where it has them, and what is open of it."""
    if channel is None:
        return "not there"
    marks = (channel.attributes.get("status"), LIVES.get(channel.attributes.get("long_lived")))
    return "\n".join(filter(None, (", ".join(filter(None, marks)), *channel.words)))


def _counts(name: str, cleaned: Cleaned) -> tuple[str, ...]:
    numbers = [*(cleaned.summary[key] for key in COUNTED), len(cleaned.calls), len(cleaned.writes)]
    return (name, *map(str, numbers))
