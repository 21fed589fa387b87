"""Kill a send and a cleanup at random instants, try again, and see that nothing is doubled, lost or half done.

    python tests/kill/kill_and_retry.py --stack conversations --instants 20 --seed 7

On `conversations` a send also waits for Flex to set up the interaction, and is killed while it does.

Every job runs in a process of its own against a sandbox over real HTTP; SIGKILL gives it no chance to tidy up. The
second process has what an Airflow retry has: the same arguments, and what was saved in the checkpoint.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flexsms.core.exceptions import ChannelInSetup, RetryableError
from flexsms.core.outbound_message import OutboundMessage
from flexsms.core.retention import window_ms
from flexsms.core.stack_name import StackName
from flexsms.core.task_events import to_ms
from flexsms.sandbox.client import SandboxProcess, connection_extra
from flexsms.twilio.account import Account, connect
from flexsms.twilio.cleanup.attempt import KEY
from flexsms.twilio.cleanup.outcomes import Action
from flexsms.twilio.cleanup.scan import DueChannel, Rule, find_due
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.tracking.tracker import track

LATENCY_MS = 10
CHANNELS = 16
TRIES = 6
SETUP_S = 0.02
LONG_SETUP_S = 0.6
OPEN_TASK = ("pending", "reserved", "assigned", "wrapping")
# What becomes of a text that reaches somebody.
ARRIVED = ("session", "reopened", "started", "conversation", "reactivated")
NUMBERS = {StackName.CHAT: "twilio", StackName.CONVERSATIONS: "conversations"}
Job = Callable[[], Coroutine[Any, Any, None]]


@dataclass
class FileCheckpoint:
    """What Airflow's task_state_store does: durable before `save` returns."""

    path: Path

    def _read(self) -> dict[str, Any]:
        saved: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}
        return saved

    async def get(self, key: str) -> Any:
        return self._read().get(key)

    async def set(self, key: str, value: Any) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps({**self._read(), key: value}))
        fresh.rename(self.path)

    def end(self) -> None:
        """Say that the try before is certainly dead."""
        saved = self._read()
        if KEY in saved:
            saved[KEY]["ended"] = True
            self.path.write_text(json.dumps(saved))


class Violation(AssertionError):
    """A promise was broken."""


def check(holds: bool, promise: str) -> None:
    """Raise when a promise is broken."""
    if not holds:
        raise Violation(promise)


def start(job: Job) -> int:
    """Run a job in a process of its own; returns its process ID."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        asyncio.run(job())
        status = 0
    except RetryableError:
        status = 75
    finally:
        os._exit(status)


def run_until_it_succeeds(job: Job, kill_after_s: float | None) -> bool:
    """Start a job, kill it after a while, and try again until it succeeds; returns whether the kill came in time."""
    killed = False
    for attempt in range(TRIES):
        pid = start(job)
        if attempt == 0 and kill_after_s is not None:
            time.sleep(kill_after_s)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
            return killed
        killed = killed or os.WIFSIGNALED(status)
    raise Violation(f"not through after {TRIES} tries")


def duration_of(job: Job) -> float:
    """Seconds that an undisturbed run takes."""
    began = time.monotonic()
    run_until_it_succeeds(job, None)
    return time.monotonic() - began


def until(kills: int, longest_s: float, play_round: Callable[[int, float], bool]) -> int:
    """Play rounds until so many jobs were killed; a kill that came too late proves nothing. Returns the rounds.

    :param longest_s: how long a job took. The machine may be faster or slower by now, so the rounds correct it
    """
    done = 0
    for number in range(5 * kills):
        in_time = play_round(number, longest_s)
        longest_s *= 1.1 if in_time else 0.7
        done += in_time
        if done == kills:
            return number + 1
    raise Violation(f"only {done} of {kills} kills came in time")


class Rig:
    """A sandbox, and the two jobs on it."""

    def __init__(
        self, sandbox: SandboxProcess, scratch: Path, chance: random.Random, stack: StackName
    ) -> None:
        self.stack = stack
        self.control = sandbox.control
        self.base_url = sandbox.base_url
        self.scratch = scratch
        self.chance = chance
        self.reset()

    def reset(self) -> None:
        """An empty account."""
        self.world = self.control.reset(latency_ms=LATENCY_MS, interaction_setup_s=SETUP_S)
        self.ahead = timedelta()
        extra = {
            **connection_extra(self.world, stack=self.stack),
            "base_url": self.base_url,
            "rate_limits": "off",
            "timeout_s": 0.5,
        }
        self.settings = TwilioSettings.from_connection(
            self.world["account_sid"], self.world["auth_token"], {**extra, "max_in_flight": 4}
        )
        self.number = self.world["numbers"][NUMBERS[self.stack]]

    def now(self) -> datetime:
        """The sandbox's present."""
        return datetime.now(UTC) + self.ahead

    def ask(self, work: Callable[[Account], Coroutine[Any, Any, Any]]) -> Any:
        """Do something with the account, in this process."""

        async def with_account() -> Any:
            async with connect(self.settings, now=self.now) as account:
                return await work(account)

        return asyncio.run(with_account())

    # -- send ----------------------------------------------------------------------------------------------------

    def send_job(self, customer: str, body: str, key: str, owner: str = "") -> Job:
        """Sends one text, as one task or, with an owner, as one of several."""

        async def job() -> None:
            message = OutboundMessage.parse(from_number=self.number, to_number=customer, body=body)
            async with connect(self.settings, now=self.now) as account:
                while True:
                    try:
                        await account.sender().send(message, key=key, owner=owner or f"task of {key}")
                    except ChannelInSetup as setup:
                        await wait_for(account, setup)
                    else:
                        return

        return job

    def kill_a_send(self, number: int, longest_s: float) -> bool:
        """One round: exactly one text, one channel, one task, and the customer's answer gets through."""
        customer, body = f"+1415555{2000 + number}", f"Text {number}"
        job = self.send_job(customer, body, f"key {number}")
        killed = run_until_it_succeeds(job, self.chance.uniform(0, longest_s))
        sent = [sms for sms in self.control.outbox() if sms["to"] == customer]
        check([sms["body"] for sms in sent] == [body], f"{len(sent)} texts to one customer instead of 1")
        again = self.ask(
            lambda account: account.sender().send(
                OutboundMessage.parse(from_number=self.number, to_number=customer, body=body),
                key=f"key {number}",
                owner="somebody else",
            )
        )
        check(again.duplicate, "the key is not known as used")
        answer = self.control.customer(customer, self.number, "Thanks")
        check(answer["channel_sid"] == again.channel_sid, "the answer went to another channel")
        check(answer["task_sid"] == again.task_sid, "the answer went to another task")
        self.nothing_twice(again.channel_sid)
        return killed

    def race(self, number: int, *, same_key: bool) -> None:
        """Two processes send to one customer at the same moment: one channel, with both texts, or with the one."""
        customer = f"+1415555{4000 + number}"
        keys = ["shared", "shared"] if same_key else ["left", "right"]
        jobs = [
            self.send_job(customer, f"Text {key}", f"{key} {number}", owner=str(n))
            for n, key in enumerate(keys)
        ]
        pids = [start(job) for job in jobs]
        endings = [os.waitpid(pid, 0)[1] for pid in pids]
        # Who is told that the other one is sending tries again, and finds that it was done.
        for job, ending in zip(jobs, endings, strict=True):
            if os.WEXITSTATUS(ending) != 0:
                self.advance(minutes=5)
                run_until_it_succeeds(job, None)
        sent = [sms["body"] for sms in self.control.outbox() if sms["to"] == customer]
        check(sorted(sent) == sorted({f"Text {key}" for key in keys}), f"the customer got {sent}")
        answer = self.control.customer(customer, self.number, "Thanks")
        self.nothing_twice(answer["channel_sid"])

    def advance(self, **by: float) -> None:
        """Move both clocks on."""
        self.control.advance(timedelta(**by).total_seconds())
        self.ahead += timedelta(**by)

    def nothing_twice(self, channel_sid: str) -> None:
        """One task and, on conversations, one interaction; and no channel that nobody has a use for."""
        tables = self.control.state()["tables"]
        tasks = [row for row in tables["tasks"] if channel_sid in row["attributes"]]
        check(len(tasks) == 1, f"{len(tasks)} tasks on one channel")
        if self.stack is StackName.CONVERSATIONS:
            channels = [row for row in tables["flex_channels"] if row["conversation_sid"] == channel_sid]
            check(len(channels) == 1, f"{len(channels)} interactions on one conversation")
            used = {row["parent"] for row in tables["members"]}
            orphans = [row for row in tables["conversations"] if row["sid"] not in used]
            check(not orphans, f"{len(orphans)} conversations with nobody in them")

    # -- cleanup -------------------------------------------------------------------------------------------------

    def fill(self) -> None:
        """Due channels, whose customers were answered three days ago."""
        self.reset()
        self.channels: dict[str, str] = {}
        for n in range(CHANNELS):
            customer = f"+1415555{3000 + n}"
            came = self.control.customer(customer, self.number, "Hello")
            self.control.agent("complete", task_sid=came["task_sid"])
            self.channels[customer] = came["channel_sid"]
        self.before = {sid: self.attributes(sid) for sid in self.channels.values()}

        async def scan(account: Account) -> list[DueChannel]:
            async def save(_: str) -> None: ...

            await track(account.taskrouter(), account.store, cursor=None, save_cursor=save, at_once=4)
            now_ms = to_ms("now", self.now())
            rule = Rule(now_ms, window_ms(2), 1000, account.home.workspace_sid)
            found = await find_due(account.store.scan(adopt=True), rule)
            return found.due

        self.advance(days=3)
        self.scanned_at = self.now()
        self.due: list[DueChannel] = self.ask(scan)
        check(len(self.due) == CHANNELS, "the scan missed a channel")

    def clean_job(self, checkpoint: Path) -> Job:
        """Retires the batch."""

        async def job() -> None:
            async with connect(self.settings, now=self.now) as account:
                cleaner = account.cleaner(action=Action.DEACTIVATE, run_id="kill")
                attempt = account.attempt(FileCheckpoint(checkpoint), batch="kill", number=time.time_ns())
                report = await cleaner.retire(self.due, scanned_at=self.scanned_at, attempt=attempt)
            if report.errors:
                raise next(iter(report.errors.values()))

        return job

    def kill_a_cleanup(self, number: int, longest_s: float) -> bool:
        """One round: every channel is either wholly retired or wholly live, and no customer's text is lost."""
        self.fill()
        checkpoint = self.scratch / f"checkpoint-{number}.json"
        job = self.clean_job(checkpoint)
        pid = start(job)
        kill_at = self.chance.uniform(0, longest_s)
        writer, other = self.chance.sample(sorted(self.channels), 2)
        time.sleep(kill_at / 2)
        texts = {writer: self.control.customer(writer, self.number, "While it runs")}
        time.sleep(kill_at / 2)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        texts[other] = self.control.customer(other, self.number, "While it is dead")
        # What it had sent has arrived, so its successor need not wait until that must be so.
        time.sleep(5 * LATENCY_MS / 1000)
        FileCheckpoint(checkpoint).end()
        run_until_it_succeeds(job, None)
        open_channels = self.ask(lambda account: account.taskrouter().open_channels())
        for customer, text in texts.items():
            check(text["outcome"] in ARRIVED, f"a text was {text['outcome']}")
            # Closing a conversation is final: who wrote in that moment goes on in another, which names the first.
            attended = {*open_channels, *self.referred_to()}
            check(text["channel_sid"] in attended, "nobody is assigned to a customer's text")
            arrived = self.control.customer(customer, self.number, "Still there?")
            in_place = arrived["channel_sid"] == text["channel_sid"]
            check(in_place or text["channel_sid"] in self.referred_to(), "a live conversation was cut off")
            check(arrived["task_sid"] is not None, "nobody is assigned to the next text")
        for sid in self.channels.values():
            self.whole(sid, live=sid in open_channels)
        return os.WIFSIGNALED(status)

    def referred_to(self) -> set[str]:
        """The channels that an open task names as the earlier one."""
        tasks = self.control.state()["tables"]["tasks"]
        facts = [json.loads(task["attributes"]) for task in tasks if task["status"] in OPEN_TASK]
        return {fact["sourceChatChannelSid"] for fact in facts if "sourceChatChannelSid" in fact}

    def whole(self, sid: str, *, live: bool) -> None:
        """A channel is as it was, or retired with texts kept out and its state retired."""
        usable = self.is_usable(sid)
        if live:
            check(
                self.attributes(sid) == self.before[sid],
                f"{sid} is live and has other attributes than before",
            )
            check(usable, f"{sid} is live and texts do not get through")
            return
        expected = {**self.before[sid], "status": "INACTIVE", "long_lived": False}
        check(self.attributes(sid) == expected, f"{sid} is half done: {self.attributes(sid)}")
        check(not usable, f"{sid} is retired and texts still get through")
        stored = self.ask(lambda account: account.store.load(sid))
        check(
            stored is not None and stored.state.is_retired, f"{sid} is retired and its state is not retired"
        )

    def attributes(self, sid: str) -> dict[str, Any]:
        """A channel's attributes, as Twilio has them."""
        return dict(
            self.ask(lambda account: account.retiring_stacks[account.settings.stack].fetch(sid)).attributes
        )

    def is_usable(self, sid: str) -> bool:
        """Whether a customer's text would get to a channel."""
        tables = self.control.state()["tables"]
        if self.stack is StackName.CONVERSATIONS:
            return any(row["sid"] == sid and row["state"] == "active" for row in tables["conversations"])
        return any(
            row["name"] == sid and row["status"] in ("open", "in-progress") for row in tables["sessions"]
        )


async def wait_for(account: Account, setup: ChannelInSetup) -> None:
    """What the trigger does."""
    interaction = account.client.flex_api.v1.interaction(setup.interaction_sid)
    while True:
        channel: Any = await interaction.channels(setup.interaction_channel_sid).fetch_async()
        if channel.status != "setup":
            return
        await asyncio.sleep(0.05)


def main(arguments: list[str] | None = None) -> int:
    """Run the rounds; returns 0 when every promise held."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--instants", type=int, default=20, help="kills per job (default: 20)")
    parser.add_argument("--seed", type=int, default=None, help="of the random instants (default: a new one)")
    parser.add_argument("--stack", choices=list(StackName), default=StackName.CHAT, type=StackName)
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    print(f"seed {seed}", flush=True)
    with SandboxProcess() as sandbox, tempfile.TemporaryDirectory() as scratch:
        rig = Rig(sandbox, Path(scratch), random.Random(seed), options.stack)
        longest = duration_of(rig.send_job("+14155551999", "Warm-up", "warm-up"))
        rounds = until(options.instants, longest, rig.kill_a_send)
        print(f"send: {options.instants} killed in {rounds} rounds, no text twice, no text lost", flush=True)
        if options.stack is StackName.CONVERSATIONS:
            rig.reset()
            rig.control.settings(interaction_setup_s=LONG_SETUP_S)
            longest = duration_of(rig.send_job("+14155551998", "Warm-up", "warm-up"))
            rounds = until(options.instants, longest, rig.kill_a_send)
            print(f"wait: {options.instants} killed in {rounds} rounds, no second interaction", flush=True)
        rig.reset()
        for n in range(options.instants):
            rig.race(n, same_key=n % 2 == 0)
        print(f"race: {options.instants} times two processes, one channel and no text twice", flush=True)
        rig.fill()
        longest = duration_of(rig.clean_job(Path(scratch) / "warm-up.json"))
        rounds = until(options.instants, longest, rig.kill_a_cleanup)
        print(
            f"cleanup: {options.instants} killed in {rounds} rounds of {CHANNELS} channels, "
            "no channel half done, no live one closed",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
