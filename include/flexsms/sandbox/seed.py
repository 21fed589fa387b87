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

from . import actors, channels, sessions, tasks
from .bulk import customer_number, flow_of
from .clock import iso
from .store import Channel
from .world import NUMBER, World

HOUR = 3600.0
DAY = 86400.0

Act = Callable[[], None]


class Plan:
    """Actions at moments, played in order; an action may plan more. Timers of the world fire in between."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._acts: list[tuple[float, int, Act]] = []
        self._number = count()

    def at(self, moment: float, act: Act) -> None:
        heappush(self._acts, (moment, next(self._number), act))

    def play(self) -> None:
        while self._acts:
            moment, _, act = heappop(self._acts)
            with self.world.clock.at(moment):
                self.world.settle()
                act()
        self.world.settle()


class Life:
    """One customer's conversation: verbs that act now, for use in a plan."""

    def __init__(self, world: World, number: str, name: str) -> None:
        self.world, self.number, self.name = world, number, name
        self.channel_sid = ""
        self.task_sids: list[str] = []

    @property
    def channel(self) -> Channel:
        channel = self.world.store.channels.get(self.channel_sid)
        assert channel is not None  # noqa: S101 (the plan opened it before)
        return channel

    def _remember(self, result: dict[str, Any]) -> None:
        self.channel_sid = result["channel_sid"] or self.channel_sid
        if result["task_sid"] and result["task_sid"] not in self.task_sids:
            self.task_sids.append(result["task_sid"])

    def send(self, body: str) -> None:
        """The outbound recipe: the channel with its task, the session, the text."""
        world = self.world
        # Whatever flow it came from: a second channel of the pair could not have a session beside the first
        # (80103).
        channel = channels.find_any(world, self.number, NUMBER)
        if channel is None:
            flow = flow_of(world, "task")
            channel = channels.start(world, flow, self.number, self.name, friendly_name=f"SMS{self.number}")
        task = channels.ensure_task(world, channel, "outbound", {"name": self.name})
        actors.ensure_session(world, channel)
        channels.post(world, channel, "system", body)
        self._remember({"channel_sid": channel.sid, "task_sid": task.sid})

    def write(self, body: str) -> None:
        self._remember(actors.customer(self.world, self.number, NUMBER, body))

    def agent(self, action: str, **more: Any) -> None:
        # The plan may be late: a task that timed out meanwhile is nobody's any more.
        if self.task_sids and tasks.open_task(self.world, self.channel_sid):
            actors.agent(self.world, action, task_sid=self.task_sids[-1], **more)

    def retire(self) -> None:
        """What an earlier clean-up would have done."""
        if session := sessions.of_channel(self.world, self.channel):
            sessions.change_status(self.world, session, "closed")
        channels.merge_attributes(self.world, self.channel, long_lived=False, status="INACTIVE")


def from_option(world: World, option: str) -> None:
    """`empty`, `story`, a number of channels, or both with a comma: what --seed takes."""
    parts = {part.strip() for part in option.split(",") if part.strip()} - {"empty"}
    numbers = [int(part) for part in parts if part.isdigit()]
    if unknown := parts - {"story"} - {str(number) for number in numbers}:
        raise ValueError(f"unknown seed {', '.join(sorted(unknown))}: story, a number of channels, or empty")
    crowd_and_story(world, channels=sum(numbers), story="story" in parts)


def crowd_and_story(
    world: World,
    channels: int = 0,
    due: int | None = None,
    days: float = 30.0,
    story: bool = False,
    documents: bool = False,
) -> dict[str, Any]:
    """Play histories that end now.

    Parameters
    ----------
    channels: how many customers beside the story's.
    due: exactly so many of them ended their last task more than two days ago, on a living long-lived channel
        with no open task; without it the mix is drawn.
    days: how far back the history reaches.
    documents: leave a Sync document per channel as the original recipe did (`ChannelSIDIS<channel>`).
    """
    plan = Plan(world)
    rng = Random(world.sids.seed)
    now = world.clock.now()
    lives = []
    first = len(world.store.channels)
    for n in range(channels):
        life = Life(world, customer_number(first + n), f"Customer {first + n + 1}")
        lives.append(life)
        fate = _fate(rng) if due is None else "due" if n < due else "fresh"
        _plan_life(plan, rng, life, now, days, fate)
    named = _plan_story(plan, world, now) if story else {}
    plan.play()
    if named:
        world.story = {name: _told(life) for name, life in named.items()}
    if documents:
        for life in lives:
            _recipe_document(world, life)
    return {"channels": [life.channel_sid for life in lives], "story": world.story}


FATES = {"once": 50, "several": 18, "open": 10, "waiting": 5, "canceled": 7, "deleted": 3, "retired": 7}


def _fate(rng: Random) -> str:
    return rng.choices(list(FATES), weights=list(FATES.values()))[0]


def _plan_life(plan: Plan, rng: Random, life: Life, now: float, days: float, fate: str) -> None:
    """Plan one conversation by its fate. `end` is when the last thing happens."""
    newest = 2.2 if fate in ("due", "retired") else 0.05
    oldest = 1.8 if fate == "fresh" else max(days - 0.5, newest)
    end = now - DAY * (newest + (oldest - newest) * rng.random())
    if fate in ("open", "waiting"):
        end = now - rng.uniform(0.2, 18) * HOUR
        _open(plan, rng, life, end)
        if fate == "open":
            plan.at(end + rng.uniform(30, 600), lambda: life.agent("accept"))
        return
    tries = rng.randint(2, 3) if fate == "several" or (fate == "due" and rng.random() < 0.2) else 1
    before = end
    for back in range(tries):
        _one_task(plan, rng, life, before, "once" if back else fate)
        before -= rng.uniform(0.6, 2.5) * DAY
    if fate == "retired":
        plan.at(min(end + 2 * DAY, now), life.retire)


def _open(plan: Plan, rng: Random, life: Life, moment: float) -> None:
    if rng.random() < 0.6:
        plan.at(
            moment,
            lambda: life.send(f"Hello {life.name}, your appointment is on Friday. Does that suit you?"),
        )
    else:
        plan.at(moment, lambda: life.write("Hello, I have a question about my appointment."))


def _one_task(plan: Plan, rng: Random, life: Life, end: float, fate: str) -> None:
    """One task that ends at `end`: the opening text, an agent, some chat, the end."""
    length = rng.uniform(5, 120) * 60
    _open(plan, rng, life, end - length)
    if fate == "canceled":
        plan.at(end, lambda: life.agent("cancel", reason="nobody was free"))
        return
    plan.at(end - length * 0.9, lambda: life.agent("accept"))
    plan.at(
        end - length * 0.7,
        lambda: life.agent("write", body="Good to hear from you. Shall we say 10 o'clock?"),
    )
    plan.at(end - length * 0.5, lambda: life.write("Yes, thank you."))
    if fate == "deleted":
        plan.at(end, lambda: life.agent("delete"))
        return
    plan.at(end - 40, lambda: life.agent("wrap"))
    plan.at(end, lambda: life.agent("complete"))


def _plan_story(plan: Plan, world: World, now: float) -> dict[str, Life]:
    """Ada: done three days ago. Ben: done three days ago, wrote again an hour ago. Cleo: opened, still assigned."""
    ada, ben, cleo = (
        Life(world, f"+1415555{last}", name)
        for last, name in (("0161", "Ada"), ("0162", "Ben"), ("0163", "Cleo"))
    )
    for life, shift in ((ada, 0.0), (ben, 20 * 60.0)):
        start = now - 3 * DAY - 2 * HOUR + shift
        hello = f"Hello {life.name}, your new glasses are ready to be picked up."
        plan.at(start, lambda life=life, hello=hello: life.send(hello))  # type: ignore[misc]
        plan.at(start + 5 * 60, lambda life=life: life.agent("accept"))  # type: ignore[misc]
        plan.at(start + 12 * 60, lambda life=life: life.write("Great, are you open on Saturday?"))  # type: ignore[misc]
        plan.at(start + 15 * 60, lambda life=life: life.agent("write", body="Yes, from 9 to 4."))  # type: ignore[misc]
        plan.at(start + 30 * 60, lambda life=life: life.agent("wrap"))  # type: ignore[misc]
        plan.at(start + 31 * 60, lambda life=life: life.agent("complete"))  # type: ignore[misc]
    plan.at(now - HOUR, lambda: ben.write("Sorry, I could not come. Can I come tomorrow?"))
    plan.at(now - 8 * HOUR, lambda: cleo.send("Hello Cleo, we have a question about your prescription."))
    plan.at(now - 7.5 * HOUR, lambda: cleo.agent("accept"))
    plan.at(now - 7 * HOUR, lambda: cleo.write("Yes, what is it?"))
    return {"ada": ada, "ben": ben, "cleo": cleo}


def _told(life: Life) -> dict[str, Any]:
    session = sessions.of_channel(life.world, life.channel)
    return {
        "name": life.name,
        "customer_number": life.number,
        "twilio_number": NUMBER,
        "channel_sid": life.channel_sid,
        "task_sids": life.task_sids,
        "session_sid": session and session.sid,
    }


def _recipe_document(world: World, life: Life) -> None:
    """The last task event of the channel, as the original event stream function stored it (facts H.4)."""
    from .products import sync

    mine = set(life.task_sids)
    last = next(
        (
            event
            for _, event in world.store.events.under(world.workspace_sid).backward()
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
        "channelsid": life.channel_sid,
        "msg": last.description,
    }
    values = {"UniqueName": f"ChannelSIDIS{life.channel_sid}", "Data": data}
    sync.new_object(world, sync.DOCUMENT, world.sync_service_sid, values)
