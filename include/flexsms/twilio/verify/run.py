"""Runs the experiments, one after the other, each with what it made taken away behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from flexsms.core.assumptions import ASSUMPTIONS
from flexsms.core.exceptions import FlexSmsError
from flexsms.core.verify import Finding, Price
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.client.unexpected_errors import contained
from flexsms.twilio.verify import chat, conversations, event_streams, interactions, sync, taskrouter
from flexsms.twilio.verify.experiment import Experiment
from flexsms.twilio.verify.own import NotPossible, Own, Wishes

# Those that wait for a person come last.
EXPERIMENTS: Sequence[Experiment] = (
    sync.answers,
    taskrouter.tasks,
    taskrouter.events,
    event_streams.sinks,
    conversations.pairs,
    conversations.messages,
    conversations.dates,
    conversations.lives,
    interactions.lives,
    interactions.workers,
    chat.products,
    chat.channels,
    chat.sessions,
    interactions.agents,
    interactions.late_texts,
    chat.late_texts,
)
OPTIONS = {"number": "--number", "handset": "--handset", "worker_sid": "--worker"}


def price(settings: TwilioSettings, wishes: Wishes) -> Price:
    """What the experiments cost at most that can be made."""
    return sum(
        (one.price for one in EXPERIMENTS if _wanted(one, wishes) and not why_not(one, settings, wishes)),
        Price(),
    )


def why_not(one: Experiment, settings: TwilioSettings, wishes: Wishes) -> str:
    """Why an experiment cannot be made, empty: it can."""
    missing = [OPTIONS[name] for name in one.needs if not getattr(wishes, name)]
    if missing:
        return f"give {' and '.join(missing)}"
    empty = [name for name in one.fields if not getattr(settings, name)]
    return f"{empty[0]} of the connection is empty" if empty else ""


async def run(own: Own, add: Callable[[Finding], None]) -> None:
    """Make all experiments that are wished for.

    :param add: takes the findings, each as soon as it is there
    """
    for one in EXPERIMENTS:
        await _make(one, own, add)


async def _make(one: Experiment, own: Own, add: Callable[[Finding], None]) -> None:
    open_ones = _wanted(one, own.wishes)
    if not open_ones:
        return

    def note(name: str, found: str) -> None:
        if name in open_ones:
            open_ones.remove(name)
            add(ASSUMPTIONS[name].judge(found))

    reason = why_not(one, own.settings, own.wishes)
    try:
        if not reason:
            with contained():
                await one.run(own, note)
    except (NotPossible, FlexSmsError) as error:
        reason = str(error)
    finally:
        await own.clear()
    for name in open_ones:
        add(ASSUMPTIONS[name].not_tried(reason or "what came before it differs"))


def _wanted(one: Experiment, wishes: Wishes) -> list[str]:
    """The assumptions that an experiment is to answer."""
    if wishes.stack and one.stack and one.stack is not wishes.stack:
        return []
    return [name for name in one.names if wishes.wants(name)]
