"""Histories: the story of three customers, and a crowd with a realistic past.

Nothing is written into the tables: a plan of actions is played, in the order of time, with the clock at each
moment. So events, tasks, sessions, attributes and texts agree, as they would after a month of real work.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

import orjson

from ..state.account import EmulatedAccount
from ..state.clock import iso
from .bulk_load import customer_number
from .customer_history import CustomerHistory, history_of

HOUR = 3600.0
DAY = 86400.0

Act = Callable[[], None]


class Plan:
    """Actions at moments, played in order; an action may plan more. Timers of the account fire in between."""

    def __init__(self, account: EmulatedAccount) -> None:
        self.account = account
        self._acts: list[tuple[float, int, Act]] = []
        self._number = count()

    def at(self, moment: float, act: Act) -> None:
        heappush(self._acts, (moment, next(self._number), act))

    def play(self) -> None:
        while self._acts:
            moment, _, act = heappop(self._acts)
            with self.account.clock.at(moment):
                self.account.run_due_timers()
                act()
        self.account.run_due_timers()


def from_option(account: EmulatedAccount, option: str) -> None:
    """What --seed takes: `empty`, or `story` and numbers of channels, with commas between them.

    Each is of the chat stack, or with `:conversations` behind it of that one: `story:conversations,200:conversations`.
    """
    wanted: dict[str, dict[str, Any]] = {}
    for part in option.split(","):
        what, _, stack = part.strip().partition(":")
        here = wanted.setdefault(stack or "chat", {"channels": 0, "story": False})
        if what.isdigit():
            here["channels"] += int(what)
        elif what == "story":
            here["story"] = True
        elif what not in ("", "empty"):
            raise ValueError(f"unknown seed {what}: story, a number of channels, or empty")
    for stack, what_of in wanted.items():
        crowd_and_story(account, **what_of, stack=stack)


def crowd_and_story(
    account: EmulatedAccount,
    channels: int = 0,
    due: int | None = None,
    days: float = 30.0,
    story: bool = False,
    documents: bool = False,
    stack: str = "chat",
) -> dict[str, Any]:
    """Play histories that end now.

    Parameters
    ----------
    channels: how many customers beside the story's.
    due: exactly so many of them ended their last task more than two days ago, on a living long-lived channel
        with no open task; without it the mix is drawn.
    days: how far back the history reaches.
    documents: leave a Sync document per channel as the original recipe did (`ChannelSIDIS<channel>`).
    stack: `chat`, or `conversations` for conversations between the same customers and the migrated number.
    """
    plan = Plan(account)
    rng = Random(account.sids.seed)
    now = account.clock.now()
    lives = []
    first = len(account.store.channels) + len(account.store.conversations)
    for n in range(channels):
        history = history_of(account, stack, customer_number(first + n), f"Customer {first + n + 1}")
        lives.append(history)
        fate = _draw_outcome(rng) if due is None else "due" if n < due else "fresh"
        _plan_history(plan, rng, history, now, days, fate)
    named = _plan_story(plan, account, now, stack) if story else {}
    plan.play()
    if named:
        account.story = {name: history.told() for name, history in named.items()}
    if documents:
        for history in lives:
            _recipe_document(account, history)
    return {"channels": [history.channel_sid for history in lives], "story": account.story}


OUTCOMES = {"once": 50, "several": 18, "open": 10, "waiting": 5, "canceled": 7, "deleted": 3, "retired": 7}


def _draw_outcome(rng: Random) -> str:
    return rng.choices(list(OUTCOMES), weights=list(OUTCOMES.values()))[0]


def _plan_history(
    plan: Plan, rng: Random, history: CustomerHistory, now: float, days: float, fate: str
) -> None:
    """Plan one conversation by its fate. `end` is when the last thing happens."""
    newest = 2.2 if fate in ("due", "retired") else 0.05
    oldest = 1.8 if fate == "fresh" else max(days - 0.5, newest)
    end = now - DAY * (newest + (oldest - newest) * rng.random())
    if fate in ("open", "waiting"):
        end = now - rng.uniform(0.2, 18) * HOUR
        _open(plan, rng, history, end)
        if fate == "open":
            plan.at(end + rng.uniform(30, 600), lambda: history.agent("accept"))
        return
    tries = rng.randint(2, 3) if fate == "several" or (fate == "due" and rng.random() < 0.2) else 1
    before = end
    for back in range(tries):
        _one_task(plan, rng, history, before, "once" if back else fate)
        before -= rng.uniform(0.6, 2.5) * DAY
    if fate == "retired":
        plan.at(min(end + 2 * DAY, now), history.retire)


def _open(plan: Plan, rng: Random, history: CustomerHistory, moment: float) -> None:
    if rng.random() < 0.6:
        plan.at(
            moment,
            lambda: history.send(f"Hello {history.name}, your appointment is on Friday. Does that suit you?"),
        )
    else:
        plan.at(moment, lambda: history.write("Hello, I have a question about my appointment."))


def _one_task(plan: Plan, rng: Random, history: CustomerHistory, end: float, fate: str) -> None:
    """One task that ends at `end`: the opening text, an agent, some chat, the end."""
    length = rng.uniform(5, 120) * 60
    _open(plan, rng, history, end - length)
    if fate == "canceled":
        plan.at(end, lambda: history.agent("cancel", reason="nobody was free"))
        return
    plan.at(end - length * 0.9, lambda: history.agent("accept"))
    plan.at(
        end - length * 0.7,
        lambda: history.agent("write", body="Good to hear from you. Shall we say 10 o'clock?"),
    )
    plan.at(end - length * 0.5, lambda: history.write("Yes, thank you."))
    if fate == "deleted":
        plan.at(end, lambda: history.agent("delete"))
        return
    plan.at(end - 40, lambda: history.agent("wrap"))
    plan.at(end, lambda: history.agent("complete"))


def _plan_story(plan: Plan, account: EmulatedAccount, now: float, stack: str) -> dict[str, CustomerHistory]:
    """Ada: done three days ago. Ben: done three days ago, wrote again an hour ago. Cleo: opened, still assigned."""
    ada, ben, cleo = (
        history_of(account, stack, f"+1415555{last}", name)
        for last, name in (("0161", "Ada"), ("0162", "Ben"), ("0163", "Cleo"))
    )
    for history, shift in ((ada, 0.0), (ben, 20 * 60.0)):
        start = now - 3 * DAY - 2 * HOUR + shift
        hello = f"Hello {history.name}, your new glasses are ready to be picked up."
        plan.at(start, lambda history=history, hello=hello: history.send(hello))  # type: ignore[misc]
        plan.at(start + 5 * 60, lambda history=history: history.agent("accept"))  # type: ignore[misc]
        plan.at(start + 12 * 60, lambda history=history: history.write("Great, are you open on Saturday?"))  # type: ignore[misc]
        plan.at(start + 15 * 60, lambda history=history: history.agent("write", body="Yes, from 9 to 4."))  # type: ignore[misc]
        plan.at(start + 30 * 60, lambda history=history: history.agent("wrap"))  # type: ignore[misc]
        plan.at(start + 31 * 60, lambda history=history: history.agent("complete"))  # type: ignore[misc]
    plan.at(now - HOUR, lambda: ben.write("Sorry, I could not come. Can I come tomorrow?"))
    plan.at(now - 8 * HOUR, lambda: cleo.send("Hello Cleo, we have a question about your prescription."))
    plan.at(now - 7.5 * HOUR, lambda: cleo.agent("accept"))
    plan.at(now - 7 * HOUR, lambda: cleo.write("Yes, what is it?"))
    return {"ada": ada, "ben": ben, "cleo": cleo}


def _recipe_document(account: EmulatedAccount, history: CustomerHistory) -> None:
    """The last task event of the channel, as the original event stream function stored it."""
    from ..products.sync import routes as sync

    mine = set(history.task_sids)
    last = next(
        (
            event
            for _, event in account.store.events.under(account.workspace_sid).backward()
            if event.resource_sid in mine
        ),
        None,
    )
    if last is None:
        return
    data = {
        "eventtype": last.type,
        "timestamp": iso(last.created),
        "taskattributes": orjson.loads(last.data["task_attributes"]),
        "channelsid": history.channel_sid,
        "msg": last.description,
    }
    values = {"UniqueName": f"ChannelSIDIS{history.channel_sid}", "Data": data}
    sync.new_object(account, sync.DOCUMENT, account.sync_service_sid, values)
