"""Plays a schedule: the sandbox, the people around it, the runs of Airflow, and the end in which all comes to rest."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from airflow.sdk import timezone
from sqlalchemy.util import await_only

from flexsms.cli import suppress
from flexsms.core import broadcast_tally
from flexsms.hooks.twilio import TwilioHook
from flexsms.operators.send import FlexSendOperator
from flexsms.operators.track import FlexTrackOperator
from flexsms.recipients import work_list
from flexsms.sandbox.client import connection_extra
from flexsms.sandbox.control import simulate
from flexsms.sandbox.control.routes import Control
from flexsms.sandbox.http import Problem
from flexsms.sandbox.products.chat import channels
from flexsms.sandbox.products.conversations import behaviour as conversations
from flexsms.sandbox.products.proxy import sessions
from flexsms.sandbox.products.taskrouter import tasks
from flexsms.sandbox.server.app import App
from flexsms.sandbox.state.account import NUMBER, NUMBER_CONVERSATIONS, EmulatedAccount
from flexsms.sandbox.state.clock import Clock
from flexsms.twilio.account import connect
from flexsms.twilio.client import clock, http_client
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.sync import digest_key

from . import broadcasts, promises
from .airflow import Airflow, Log, Run, TaskRun
from .broadcasts import Broadcast
from .cleanups import Cleanup
from .opt_outs import InboundFeed, SuppressCommand
from .promise import Broken
from .schedule import Schedule
from .universe import EPOCH_S, Process, Universe
from .wire import Step, Wire

DAY_S = 86_400.0
# Agents who catch up where a broadcast waits for them.
SHIFT_EVERY_S = 900.0


class VirtualClock(Clock):
    """The sandbox's clock, which tells the universe's time."""

    universe: Universe

    def present(self) -> float:
        """Seconds since 1970."""
        return EPOCH_S + self.universe.now_s + self.offset


@dataclass(slots=True)
class Inbound:
    """A text of a customer, and where it ended."""

    at_s: float
    who: int
    words: str
    sms_sid: str
    result: dict[str, Any]


@dataclass
class Seen:
    """What the sandbox forgets, kept for the promises.

    :param rows: every channel, conversation, participant and task there ever was, by SID
    :param disturbed: customers whose channel somebody else closed, deleted or changed
    :param attended: tasks that an agent has touched
    :param listed: when an event was listed that came late
    :param written: the attributes that somebody else wrote last: channel, name -> value, and when
    """

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    inbound: list[Inbound] = field(default_factory=list)
    disturbed: set[int] = field(default_factory=set)
    attended: set[str] = field(default_factory=set)
    listed: dict[str, float] = field(default_factory=dict)
    written: dict[tuple[str, str], tuple[Any, float]] = field(default_factory=dict)


class Player:
    """One schedule in play.

    :param schedule: what is to happen
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.universe = Universe()
        self.seen = Seen()
        self.world = self._make_world(schedule.seed)
        control = Control.__new__(Control)
        self.control = _furnish(control, self.world)
        self.wire = Wire(self.universe, App(self.control), schedule.seed, self._land)
        self.airflow = Airflow(self.universe, heartbeat_s=schedule.heartbeat_s)
        self.airflow.note = lambda what: self.wire.tape.note(self.universe.now_s, what)
        self.number = NUMBER if schedule.stack == "chat" else NUMBER_CONVERSATIONS
        self.runs: dict[str, Run] = {}
        self.sends: dict[str, Step] = {}
        self.broadcasts: list[Broadcast] = []
        self.folder = Path()
        self.broken: list[Broken] = []
        self._cleanups: list[Callable[[], None]] = []
        self._event_delay_s = 0.0
        self._settings = TwilioSettings.from_connection(
            self.world.account_sid,
            self.world.auth_token,
            {
                **connection_extra(self.world.describe(), stack=schedule.stack),
                **({} if schedule.stack == "chat" else {"session_service_sid": ""}),
                "rate_limits": "documented",
            },
        )
        self._landings: dict[str, dict[int, list[Step]]] = {}

    # The world

    def _make_world(self, seed: int) -> EmulatedAccount:
        kind = type("Clock", (VirtualClock,), {"universe": self.universe})
        with patch("flexsms.sandbox.state.account.Clock", kind):
            world = EmulatedAccount(seed)
        for name in ("channels", "conversations", "members", "tasks"):
            self._watch(world, name)
        self.inbound_feed = InboundFeed(world)
        receive = world.store.inbox.add

        def hear(row: Any) -> Any:
            self.inbound_feed.hear(row)
            return receive(row)

        world.store.inbox.add = hear  # type: ignore[method-assign]
        table = world.store.events
        add = table.add

        def add_late(row: Any) -> Any:
            if self._event_delay_s and row.type.startswith("task."):
                self.seen.listed[row.sid] = row.created + self._event_delay_s
                self.universe.after(self._event_delay_s, lambda: add(row))
                return row
            return add(row)

        table.add = add_late  # type: ignore[method-assign]
        return world

    def _watch(self, world: EmulatedAccount, name: str) -> None:
        table = getattr(world.store, name)
        kept = self.seen.rows.setdefault(name, {})
        add = table.add

        def keep(row: Any) -> Any:
            kept[row.sid] = row
            return add(row)

        table.add = keep

    # A schedule

    def play(self) -> None:
        """Let all of it happen, until nothing is left to happen."""
        for step in self.schedule.steps:
            if "on" in step:
                times = range(step["n"], step["n"] + step.get("times", 1))
                for number in times:
                    self._landings.setdefault(step["on"], {}).setdefault(number, []).append(step)
            else:
                self.universe.at(step["at"], lambda step=step: self._do(step))  # type: ignore[misc]
        self.universe.run()

    def _land(self, steps: list[Step], process: Process) -> None:
        for step in steps:
            if step["do"] == "kill":
                process.owner.die(process)
            elif step["do"] == "freeze":
                how = {"asleep": step.get("asleep", False), "goes_on_s": step.get("goes_on_s", 7.5)}
                process.owner.freeze(process, step["for_s"], **how)
            elif step["do"] == "term":
                process.owner.terminate(process)
            elif step["do"] != "fault":
                self._do(step)

    def _do(self, step: Step) -> None:
        self.world.run_due_timers()
        getattr(self, f"_do_{step['do']}")(step)

    def _note(self, what: str) -> None:
        self.wire.tape.note(self.universe.now_s, what)

    # People

    def customer(self, who: int) -> str:
        """The number of a customer."""
        return f"+1202555{110 + who:04d}"

    def write(self, who: int, words: str = "") -> dict[str, Any]:
        """A customer writes."""
        body = words or f"inbound-{len(self.seen.inbound)}-of-{who}"
        result = simulate.customer(self.world, self.customer(who), self.number, body)
        sms_sid = self.inbound_feed.newest_sid
        self.seen.inbound.append(Inbound(self.universe.now_s, who, body, sms_sid, result))
        self._note(
            f"customer {who} writes{f' {words}' if words else ''}: {result['outcome']} {result['channel_sid']}"
        )
        return result

    def open_tasks(self, who: int) -> list[Any]:
        """The tasks of a customer that are not over."""
        return [
            task for task in self.world.store.tasks if task.status in tasks.OPEN and self.whose(task) == who
        ]

    def whose(self, task: Any) -> int | None:
        """Which customer a task is about."""
        return self.owner_of(task.conversation_sid or task.channel_sid, task.attributes)

    def owner_of(self, channel_sid: str | None, attributes: str = "") -> int | None:
        """Which customer a channel is of."""
        channel = self.seen.rows["channels"].get(channel_sid)
        number = channel.customer if channel else None
        if number is None and channel_sid in self.seen.rows["conversations"]:
            number = self._bound.get(channel_sid)
        for who in range(self.schedule.customers):
            if number == self.customer(who) or self.customer(who) in attributes:
                return who
        return None

    @property
    def _bound(self) -> dict[str, str]:
        return {
            member.parent: member.address
            for member in self.seen.rows["members"].values()
            if member.address is not None
        }

    def _do_write(self, step: Step) -> None:
        for _ in range(step.get("n_texts", 1)):
            self.write(step["who"], step.get("words", ""))

    def _do_agent(self, step: Step) -> None:
        found = self.open_tasks(step["who"])
        for task in found[-1:] if step.get("newest") else found[:1]:
            with contextlib.suppress(Problem):
                simulate.agent(self.world, step["action"], task_sid=task.sid)
                self._note(f"agent: {step['action']} of customer {step['who']}, {task.sid}")
                self.seen.attended.add(task.sid)

    def _do_chat(self, step: Step) -> None:
        """Many tasks one after the other, each written for and completed."""
        for _ in range(step["rounds"]):
            self.write(step["who"])
            self._do_agent({**step, "action": "complete"})

    def channel_of(self, who: int) -> Any:
        """The newest channel of a customer that is in use, whatever the stack."""
        number = self.customer(who)
        if self.schedule.stack == "chat":
            return channels.find_any(self.world, number, self.number)
        return conversations.of_pair(self.world, number, self.number)

    def _do_other(self, step: Step) -> None:
        """Other code that uses the account."""
        row, what, who = self.channel_of(step["who"]), step["what"], step["who"]
        if row is None:
            return
        self._note(f"somebody else: {what} of customer {who}, {row.sid}")
        module: Any = channels if self.schedule.stack == "chat" else conversations
        if what == "attributes":
            if self.schedule.stack == "conversations" and not row.open:
                return
            values = {"crm": step["value"], f"note{step['value'] % 3}": [step["value"]]}
            module.merge_attributes(self.world, row, **values)
            for name, value in values.items():
                self.seen.written[row.sid, name] = value, self.universe.now_s
            return
        self.seen.disturbed.add(who)
        if what == "delete":
            module.drop(self.world, row)
        elif what == "short_lived":
            # Where it is short-lived by our hand right now, nobody can tell theirs from ours.
            is_free = self.schedule.stack == "chat" or row.open
            if is_free and row.parsed_attributes().get("long_lived") is not False:
                module.merge_attributes(self.world, row, long_lived=False)
                self.seen.written[row.sid, "long_lived"] = False, self.universe.now_s
        elif self.schedule.stack == "conversations":
            conversations.close(self.world, row)
        elif session := sessions.of_channel(self.world, row):
            sessions.change_status(self.world, session, "closed")

    # Twilio

    def _do_outage(self, step: Step) -> None:
        now_s = self.universe.now_s
        self._note(f"{step['host']} is out for {step['for_s']} s: {step['kind']}")
        self.wire.outages.append({**step, "from_s": now_s, "until_s": now_s + step["for_s"]})

    def _do_setup(self, step: Step) -> None:
        """Flex takes its time to set up interactions, or gives them up."""
        config = self.world.settings
        before = config.interaction_setup_s, config.interaction_failures

        def over() -> None:
            config.interaction_setup_s, config.interaction_failures = before

        config.interaction_setup_s = step["takes_s"]
        if step["fails"]:
            config.interaction_failures = {"*": {"error_code": 45780, "error_message": promises.NO_SETUP}}
        self.universe.after(step["for_s"], over)

    def _do_late_events(self, step: Step) -> None:
        self._event_delay_s = step["by_s"]

        def over() -> None:
            self._event_delay_s = 0.0

        self.universe.after(step["for_s"], over)

    # Runs

    def body_of(self, job: str) -> str:
        """The text of a send: the same wherever the key is."""
        return f"text {self.sends[job].get('key') or job} for you"

    def key_of(self, job: str) -> str:
        """The digest of the key under which a send goes."""
        key = self.sends[job].get("key") or f"flexsms_{job}/{job}/send/-1"
        return hashlib.sha256(key.encode()).hexdigest()[:32]

    def run(self, name: str) -> Run:
        """A new run."""
        run = self.runs[name] = Run(name, self._landings.get(name, {}))
        return run

    def _do_send(self, step: Step) -> None:
        if step["job"] in self.runs:
            return
        run = self.run(step["job"])
        self.sends[step["job"]] = step
        body = self.body_of(step["job"])

        def make() -> FlexSendOperator:
            return FlexSendOperator(
                task_id="send",
                from_number=self.number,
                to_number=self.customer(step["who"]),
                to_name=f"Customer Nr{step['who']}",
                body=body if step.get("text", True) else "",
                route=step["route"],
                idempotency_key=step.get("key"),
                target_worker_sid=self.world.worker_sids[1] if step.get("worker") else None,
            )

        def ended(task: TaskRun) -> None:
            _finish(run)
            self.broken += promises.of_a_send(self, task)
            # What a failed one has left half done, it finishes when it is cleared.
            if all(one.state == "success" for name in self.sends for one in self.runs[name].tasks):
                self.broken += promises.agent_and_flow(self)

        TaskRun(self.airflow, run, "send", make, ended, timeout_s=600).start()

    def _do_clear(self, step: Step) -> None:
        for broadcast in self.broadcasts:
            if broadcast.run.name == step["job"]:
                broadcast.clear()
                return
        for task in self.runs[step["job"]].tasks if step["job"] in self.runs else ():
            self.runs[step["job"]].is_over = False
            task.clear()

    def _do_track(self, step: Step) -> None:
        if step["job"] in self.runs:
            return
        run = self.run(step["job"])
        source = step.get("source", "taskrouter")
        TaskRun(
            self.airflow,
            run,
            "track",
            lambda: FlexTrackOperator(task_id="track", source=source),
            lambda _task: _finish(run),
        ).start()

    def _do_cleanup(self, step: Step) -> None:
        if step["job"] in self.runs:
            return
        run = self.run(step["job"])

        def over() -> None:
            self._cleanups.pop(0)
            if self._cleanups:
                self._cleanups[0]()

        begin = Cleanup(self, run, over).begin
        # One run at a time, as the DAG has it.
        self._cleanups.append(begin)
        if len(self._cleanups) == 1:
            begin()

    def _do_broadcast(self, step: Step) -> None:
        if step["job"] in self.runs:
            return
        run = self.run(step["job"])
        broadcast = Broadcast(self, run, step)
        self.broadcasts.append(broadcast)
        broadcast.begin()

        def shift() -> None:
            if run.is_over:
                return
            for who in range(self.schedule.customers):
                self._do_agent({"who": who, "action": "complete"})
            self.universe.after(SHIFT_EVERY_S, shift)

        if "max_open_tasks" in step:
            self.universe.after(SHIFT_EVERY_S, shift)

    def _do_cancel(self, step: Step) -> None:
        for broadcast in self.broadcasts:
            if broadcast.run.name == step["job"]:
                broadcast.cancel()

    def _do_suppress(self, step: Step) -> None:
        """Somebody says for a customer that they want no texts, or want them again."""
        if step["job"] in self.runs:
            return
        run = self.run(step["job"])
        number = self.customer(step["who"])
        TaskRun(
            self.airflow,
            run,
            "suppress",
            lambda: SuppressCommand(step["action"], number),
            lambda _task: _finish(run),
        ).start()

    # The end

    def calm_down(self) -> None:
        """Nothing goes wrong any more."""
        self.wire.calm = True
        self._event_delay_s = 0.0

    def pass_time(self, seconds: float) -> None:
        """Let time pass in which nothing happens but what is under way."""
        self.universe.after(seconds, lambda: None)
        self.universe.run()

    def go(self, what: str, name: str, **more: Any) -> Run:
        """One more run, until it is over."""
        self._do({"do": what, "job": name, **more})
        self.universe.run()
        return self.runs[name]


def _finish(run: Run) -> None:
    run.is_over = True


def _furnish(control: Control, world: EmulatedAccount) -> Control:
    """A control plane around this world."""
    with patch("flexsms.sandbox.control.routes.EmulatedAccount", lambda _seed: world):
        control.__init__()  # type: ignore[misc]
    control.journal.enabled = False
    return control


class _Handler(logging.Handler):
    """Hands on what modules of flexsms log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._said = log

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self._said.info("%s", record.getMessage())


@contextlib.contextmanager
def installed(player: Player) -> Iterator[None]:
    """Let flexsms live in the player's universe for as long as the block lasts."""

    async def settings(_hook: TwilioHook) -> TwilioSettings:
        return player._settings

    def run(_hook: TwilioHook, work: Any) -> Any:
        async def connected() -> Any:
            async with connect(player._settings) as account:
                return await work(account)

        return await_only(connected())

    universe, logger = player.universe, logging.getLogger("flexsms")
    handler = _Handler(Log(player.airflow.logs))
    level, propagates, state = logger.level, logger.propagate, random.getstate()
    random.seed(player.schedule.seed)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        with (
            patch.object(clock, "utc_now", universe.utc_now),
            patch.object(clock, "monotonic_s", universe.monotonic_s),
            patch.object(http_client, "open_session", player.wire.open_session),
            patch.object(TwilioHook, "asettings", settings),
            patch.object(TwilioHook, "run", run),
            patch.object(digest_key, "new_key", lambda: broadcasts.DIGEST_KEY),
            patch.object(timezone, "utcnow", universe.utc_now),
            patch.object(work_list, "BATCH_SIZE", broadcasts.BATCH_SIZE),
            patch.object(broadcast_tally, "FEWEST_TRIED", broadcasts.FEWEST_TRIED),
            patch("flexsms.sources.http_collector.HttpCollector", lambda *_: player.inbound_feed),
            patch.object(suppress, "_asking", lambda _args, work: TwilioHook().run(work)),
            patch.object(suppress, "print", lambda said, **_: player.airflow.logs.append(said), create=True),
            TemporaryDirectory() as folder,
        ):
            player.folder = Path(folder)
            try:
                yield
            finally:
                universe.bury()
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagates
        random.setstate(state)
