"""A contact centre in virtual time: its agents, its customers, what else runs in its workspace, and its nightly jobs.

It keeps its own account of every task and every text, to which what flexsms did is compared.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from unittest.mock import patch

from flexsms.operators.track import FlexTrackOperator
from flexsms.sandbox.control import simulate
from flexsms.sandbox.products.chat import channels
from flexsms.sandbox.products.conversations import behaviour as conversations
from flexsms.sandbox.products.event_streams.cloud_events import cloud_event
from flexsms.sandbox.products.taskrouter import tasks
from tests.chaos.airflow import TaskRun
from tests.chaos.player import Player, _finish, installed
from tests.chaos.schedule import Schedule

HOUR_S = 3_600
DAY_S = 24 * HOUR_S
RETENTION_DAYS = 2.0
CLEANUP_HOUR = 3
SHIFT = range(8, 20)  # the hours in which agents work, UTC
SCHEMA_VERSION = "2"
ENDS = ("task.completed", "task.canceled", "task.deleted", "task.system-deleted")

Script = Callable[[], object]


@dataclass
class Life:
    """A task as it really was.

    :param channel_sid: where it belonged when it was made
    :param ended_s: when it came to its end, None while it has not
    :param taken_s: when an agent took it
    """

    channel_sid: str | None
    created_s: float
    ended_s: float | None = None
    taken_s: float | None = None


@dataclass
class Feed:
    """What the account's sink delivers to a collector, in place of the one behind an Airflow connection."""

    events: list[Callable[[], dict[str, Any]]] = field(default_factory=list)
    scope: str = "feed"

    async def fetch(self, after: str | None, limit: int) -> Any:
        """A page, and where to go on."""
        first = int(after or 0)
        page = [make() for make in self.events[first : first + limit]]
        return {"events": page, "next": str(first + len(page)) if page else None}


class Centre(Player):
    """A contact centre on one stack.

    :param seed: of everything that is left to chance
    """

    def __init__(self, stack: str, seed: int, customers: int) -> None:
        self.lives: dict[str, Life] = {}
        self.feed = Feed()
        self.lost_events = 0
        self._is_lost: Callable[[Any], bool] = lambda _row: False
        self._left_alone: set[str] = set()
        super().__init__(
            Schedule(
                stack=stack,
                seed=seed,
                customers=customers,
                retention_days=RETENTION_DAYS,
                action="deactivate",
                heartbeat_s=300,
                steps=[],
            )
        )
        self.random = Random(f"month/{stack}/{seed}")
        self.tracked: list[dict[str, Any]] = []

    def _make_world(self, seed: int) -> Any:
        world = super()._make_world(seed)
        add = world.store.events.add

        def listen(row: Any) -> Any:
            self._take_note(row)
            if self._is_lost(row):
                self.lost_events += 1
                return row
            self.feed.events.append(lambda: cloud_event(world, [row.sid, SCHEMA_VERSION]))
            return add(row)

        world.store.events.add = listen  # type: ignore[method-assign]
        return world

    def _take_note(self, row: Any) -> None:
        now_s = self.universe.now_s
        if row.type == "task.created":
            given = json.loads(row.data["task_attributes"])
            place = given.get("conversationSid") or given.get("channelSid")
            self.lives[row.data["task_sid"]] = Life(place, now_s)
        elif row.type in ENDS:
            self.lives[row.data["task_sid"]].ended_s = now_s
        elif row.type == "reservation.accepted":
            self.lives[row.data["task_sid"]].taken_s = now_s

    # Time

    def at_hour(self, day: float, hour: float, script: Script) -> None:
        """Let something happen on a day of the month, at an hour UTC."""

        def happen() -> None:
            self.world.run_due_timers()
            script()

        # The universe begins at eight in the morning.
        self.universe.at((day * 24 + hour - 8) * HOUR_S, happen)

    # Agents

    def shift(self) -> None:
        """Whoever is at work takes what waits, and completes what was taken two hours ago or earlier."""
        now_s = self.universe.now_s
        for task in list(self.world.store.tasks):
            life = self.lives[task.sid]
            if task.status not in tasks.OPEN or task.sid in self._left_alone:
                continue
            if task.status in ("pending", "reserved"):
                simulate.agent(self.world, "accept", task_sid=task.sid)
            elif now_s - (life.taken_s or 0) >= 2 * HOUR_S:
                simulate.agent(self.world, "complete", task_sid=task.sid)

    def leave_alone(self, task_sid: str) -> None:
        """No agent minds this task by himself."""
        self._left_alone.add(task_sid)

    def task_of(self, who: int) -> Any:
        """The newest open task of a customer."""
        return self.open_tasks(who)[-1]

    def transfer(self, who: int) -> None:
        """As the plug-ins for chat do it: a second task on the channel, and the first one no longer names it."""
        first = self.task_of(who)
        given = json.loads(first.attributes)
        second = {**given, "chatTransferData": {"transferTargetType": "queue"}}
        tasks.create(self.world, json.dumps(second), channel_name=first.channel_name)
        place = "channelSid" if self.schedule.stack == "chat" else "conversationSid"
        tasks.change(self.world, first, attributes=json.dumps({**given, place: None}))
        if first.status == "pending":
            tasks.accept(self.world, first)
        tasks.finish(self.world, first, "completed", "transferred")

    def survey(self, who: int) -> Any:
        """A survey on the channel of a customer, beside the task that is about to end."""
        first = self.task_of(who)
        given = {
            **json.loads(first.attributes),
            "surveyTask": True,
            "conversations": {"followed_by": "survey"},
        }
        survey = tasks.create(self.world, json.dumps(given), channel_name=first.channel_name)
        self.leave_alone(survey.sid)
        return survey

    def write_to_nobody(self, who: int) -> None:
        """A customer writes into a conversation where no flow is at work any more, so that no task is made."""
        address = self.world.store.addresses.get(self.world.address_sid)
        assert address is not None
        before, address.auto_creation = address.auto_creation, {**address.auto_creation, "type": "default"}
        try:
            self.write(who)
        finally:
            address.auto_creation = before

    # Whatever else is in the workspace

    def other_channel(self, kind: str, address: str) -> Any:
        """A channel that is no SMS, with a task on it; nobody but its own people may touch it."""
        if self.schedule.stack == "chat":
            flow = next(iter(self.world.store.flows))
            sid, seq, created, updated = self.world.stamp("FO")
            other = replace(
                flow,
                sid=sid,
                seq=seq,
                created=created,
                updated=updated,
                channel_type=kind,
                contact_identity=kind,
            )
            self.world.store.flows.add(other)
            row: Any = channels.start(self.world, other, address, address, friendly_name=kind)
            given = {"channelSid": row.sid}
        else:
            row = conversations.start(self.world, friendly_name=kind)
            if kind == "whatsapp":
                ours = f"whatsapp:{self.number}"
                conversations.add_member(self.world, row, address=address, proxy_address=ours)
            else:
                conversations.add_member(self.world, row, identity=address)
            given = {"conversationSid": row.sid}
        given |= {"channelType": kind, "direction": "inbound", "customerName": "Somebody"}
        return tasks.create(self.world, json.dumps(given), channel_name="chat")

    def call(self) -> None:
        """A voice call: a task without any channel."""
        given = {
            "call_sid": "CA" + self.world.sids.token("call"),
            "direction": "inbound",
            "from": "+12025550199",
        }
        tasks.create(self.world, json.dumps(given), channel_name="voice")

    def foreign(self, workspace_sid: str) -> str:
        """A conversation of this account that another workspace minds, whose events come by the same feed."""
        address = f"+1202555{9000 + len(self.feed.events) % 900:04d}"
        if self.schedule.stack == "chat":
            flow = next(iter(self.world.store.flows))
            row: Any = channels.start(self.world, flow, address, address, friendly_name="theirs")
        else:
            row = conversations.start(self.world, friendly_name="theirs")
            conversations.add_member(self.world, row, address=address, proxy_address=self.number)
        place = "channelSid" if self.schedule.stack == "chat" else "conversationSid"
        task_sid = "WT" + self.world.sids.token(f"theirs {row.sid}")
        given = json.dumps({place: row.sid, "channelType": "sms"})
        sample = next(event for event in self.world.store.events if event.type == "task.created")
        for number, kind in enumerate(("task.created", "task.completed")):
            envelope = copy.deepcopy(cloud_event(self.world, [sample.sid, SCHEMA_VERSION]))
            moment = self.universe.utc_now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
            envelope["id"] = "EZ" + self.world.sids.token(f"theirs {row.sid} {number}")
            envelope["type"] = f"com.twilio.taskrouter.{kind}"
            envelope["data"]["timestamp"] = moment
            envelope["data"]["payload"] |= {
                "sid": "EV" + self.world.sids.token(f"theirs {row.sid} {number}"),
                "eventtype": kind,
                "timestamp": moment,
                "workspace_sid": workspace_sid,
                "resource_sid": task_sid,
                "task_sid": task_sid,
                "task_attributes": given,
            }
            self.feed.events.append(lambda envelope=envelope: envelope)  # type: ignore[misc]
        return str(row.sid)

    def lose_events(self, is_lost: Callable[[Any], bool]) -> None:
        """From now on, such events are neither delivered nor listed."""
        self._is_lost = is_lost

    # Jobs

    def _do_track(self, step: dict[str, Any]) -> None:
        run = self.run(step["job"])

        def over(task: TaskRun) -> None:
            _finish(run)
            assert task.state == "success", task.error
            self.tracked.append(task.result)

        def make() -> FlexTrackOperator:
            return FlexTrackOperator(task_id="track", source="http")

        TaskRun(self.airflow, run, "track", make, over).start()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let flexsms live here for as long as the block lasts."""
        with installed(self), patch("flexsms.sources.http_collector.HttpCollector", lambda *_: self.feed):
            yield

    # What is true

    def is_down(self, channel_sid: str) -> bool:
        """Whether a channel is retired."""
        if self.schedule.stack == "chat":
            row = self.world.store.channels.get(channel_sid)
            return row is None or not row.active
        conversation = self.world.store.conversations.get(channel_sid)
        return conversation is None or not conversation.open

    def lives_on(self, channel_sid: str) -> list[Life]:
        """The tasks that a channel had."""
        return [life for life in self.lives.values() if life.channel_sid == channel_sid]
