"""Kill the workers of a broadcast at random instants, lose answers, and see that each text left once and is told of.

    python tests/kill/broadcast_kills.py --stack conversations --texts 5000 --kills 20 --seed 7

Each try of a batch is `FlexBroadcastOperator` in a process of its own, against a sandbox over real HTTP; SIGKILL gives
it no chance to tidy up. What Airflow would do is done here: so many tries at once, another try of what was killed or
failed, and a wait for the hours. Halfway the hours end, by the sandbox's clock, and go on on the next day.
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
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import Value
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import TaskDeferred

from flexsms.core.broadcast import BroadcastBatch, BroadcastText, Outcome, digest_of
from flexsms.core.exceptions import RetryableError
from flexsms.core.opt_out import Why
from flexsms.core.stack_name import StackName
from flexsms.operators.broadcast import FlexBroadcastOperator
from flexsms.recipients.folder import WORK_LIST, BroadcastFolder, results_of
from flexsms.sandbox.client import SandboxProcess, connection_extra
from flexsms.sandbox.control.bulk_load import customer_number
from flexsms.twilio.account import Account, connect
from flexsms.twilio.client import clock
from flexsms.twilio.client.settings import TwilioSettings

LATENCY_MS = 5
WORKERS = 4
BATCHES = 20
TRIES = 60
IN_FLIGHT = 16
FAILED, DEFERRED = 75, 76
# Of the recipients, before anything is sent.
OPTED_OUT = 0.02
# A lost, refused or late answer per so many requests.
FAULT_EVERY = 40
FAULTS: tuple[dict[str, Any], ...] = (
    {"action": "drop_after"},
    {"action": "drop_before"},
    {"action": "drop_midway"},
    {"action": "delay", "delay_ms": 1500},
    {"action": "status", "status": 429},
    {"action": "status", "status": 503},
)
NUMBERS = {StackName.CHAT: "twilio", StackName.CONVERSATIONS: "conversations"}
HOURS, ZONE = ("08:00", "20:00"), "UTC"
CAMPAIGN = "Appointments"
# Of batches that must not take longer than a text needs to leave.
LONGEST_S = 900.0


class Violation(AssertionError):
    """A promise was broken."""


def check(holds: bool, promise: str) -> None:
    """Raise when a promise is broken."""
    if not holds:
        raise Violation(promise)


@dataclass
class Try:
    """A batch, and how often it was tried."""

    batch: BroadcastBatch
    number: int = 1
    resumes: bool = False


@dataclass
class Contact:
    """A contact centre with a list to be texted."""

    sandbox: SandboxProcess
    folder: Path
    stack: StackName
    count: int
    chance: random.Random
    ahead: Any = field(default_factory=lambda: Value("d", 0.0))

    def __post_init__(self) -> None:
        self.log = self.folder.with_suffix(".log")
        self.control = self.sandbox.control
        self.world = self.control.reset(latency_ms=LATENCY_MS)
        self.control.journal_enabled(False)
        extra = {
            **connection_extra(self.world, stack=self.stack),
            "base_url": self.sandbox.base_url,
            "rate_limits": "off",
            "timeout_s": 1,
            "max_in_flight": IN_FLIGHT,
        }
        login = {"login": self.world["account_sid"], "password": self.world["auth_token"]}
        self.settings = TwilioSettings.from_connection(login["login"], login["password"], extra)
        os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"] = json.dumps(
            {"conn_type": "twilio", **login, "extra": extra}
        )
        self.to_time(9)

    # -- time ----------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The sandbox's present."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead.value)

    def to_time(self, hour: int, minute: int = 0) -> None:
        """Move both clocks to the next time of the day."""
        now = self.now()
        then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
        then += timedelta(days=1) if then <= now else timedelta()
        seconds = (then - now).total_seconds()
        self.control.advance(seconds)
        self.ahead.value += seconds

    # -- the list ------------------------------------------------------------------------------------------------

    def write_list(self) -> list[BroadcastBatch]:
        """The work list and its batches; some of its people have opted out."""
        url = f"file://{self.folder}"
        number = self.world["numbers"][NUMBERS[self.stack]]
        texts = [
            BroadcastText(row, number, customer_number(row), f"Text {row}", zones=(ZONE,))
            for row in range(1, self.count + 1)
        ]
        self.texts = {text.to_number: text for text in texts}
        self.opted_out = set(self.chance.sample(sorted(self.texts), round(self.count * OPTED_OUT)))

        async def opt_out() -> None:
            async with connect(self.settings, now=self.now) as account:
                for one in sorted(self.opted_out):
                    await self.learn(account, one)

        asyncio.run(opt_out())
        batches: list[BroadcastBatch] = []
        begin = 0
        size = max(1, -(-self.count // BATCHES))
        with BroadcastFolder(url).path(WORK_LIST).open("wb") as file:
            for start in range(0, self.count, size):
                part = texts[start : start + size]
                lines = b"".join(text.to_line() for text in part)
                file.write(lines)
                end = begin + len(lines)
                batches.append(
                    BroadcastBatch(
                        len(batches), f"from {start}", url, begin, end, len(part), (ZONE,), digest_of(lines)
                    )
                )
                begin = end
        return batches

    @staticmethod
    async def learn(account: Account, number: str) -> None:
        await account.suppressions().learn(number, out=True, at=account.now(), why=Why.IMPORT)

    def spoil(self) -> None:
        """Answers that are lost, late or refused, each somewhere among the requests to come."""
        requests = self.count * 8
        hosts = {
            "sync.twilio.com": 0.5,
            "chat.twilio.com": 0.2,
            "conversations.twilio.com": 0.3,
            "proxy.twilio.com": 0.2,
            "flex-api.twilio.com": 0.1,
        }
        for number in range(requests // FAULT_EVERY):
            host = self.chance.choice(sorted(hosts))
            skip = self.chance.randrange(max(1, round(requests * hosts[host])))
            self.control.fault(
                name=f"fault {number}",
                match={"host": host},
                skip=skip,
                times=1,
                **self.chance.choice(FAULTS),
            )

    # -- the tries -----------------------------------------------------------------------------------------------

    def start(self, one: Try) -> int:
        """One try of a batch in a process of its own; returns its process ID."""
        pid = os.fork()
        if pid:
            return pid
        status = 1
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        try:
            clock.utc_now = self.now
            task = FlexBroadcastOperator(
                task_id="send",
                batch=one.batch.to_json(),
                campaign=CAMPAIGN,
                hours="-".join(HOURS),
                max_per_second=1000,
            )
            ti = SimpleNamespace(
                dag_id="flexsms_broadcast",
                run_id="manual",
                task_id="send",
                map_index=one.batch.number,
                try_number=one.number,
                xcom_push=lambda *_: None,
            )
            context: Any = {"ti": ti, "dag_run": SimpleNamespace(clear_number=0)}
            task.execute_complete(context, None) if one.resumes else task.execute(context)
            status = 0
        except TaskDeferred:
            status = DEFERRED
        except RetryableError:
            status = FAILED
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)

    def run(self, batches: list[BroadcastBatch], kills: int) -> Counter[str]:
        """All batches, `WORKERS` at once, until each is through. Some workers are killed on the way.

        :return: how often tries ended in which way
        """
        waiting, running = [Try(batch) for batch in batches], dict[int, Try]()
        deferred: list[Try] = []
        ends: Counter[str] = Counter()
        until = time.monotonic() + LONGEST_S
        half = len(batches) // 2
        next_kill = time.monotonic() + self._pause(kills)
        while waiting or running or deferred:
            check(time.monotonic() < until, f"not through after {LONGEST_S:.0f} s")
            while waiting and len(running) < WORKERS:
                one = waiting.pop(0)
                running[self.start(one)] = one
            if ends["through"] >= half and not ends["days"] and running:
                # Five minutes before their end nothing begins any more; what is under way still leaves in time.
                self.to_time(19, 55)
                ends["days"] += 1
            if deferred and not running and not waiting:
                self.to_time(8)
                waiting, deferred = deferred, []
            if ends["killed"] < kills and running and time.monotonic() >= next_kill:
                with suppress(ProcessLookupError):
                    os.kill(self.chance.choice(sorted(running)), signal.SIGKILL)
                next_kill = time.monotonic() + self._pause(kills)
            for pid, status in list(_ended(running)):
                one = running.pop(pid)
                end = _name(status)
                ends[end] += 1
                if end == "deferred":
                    deferred.append(Try(one.batch, one.number, resumes=True))
                elif end != "through":
                    check(one.number < TRIES, f"{one.batch.label}: not through after {TRIES} tries")
                    waiting.append(Try(one.batch, one.number + 1))
            time.sleep(0.01)
        return ends

    def _pause(self, kills: int) -> float:
        # A guess at how long all of it takes, so that the kills come while it lasts.
        return self.chance.uniform(0, self.count / 150 / kills)

    # -- the promises --------------------------------------------------------------------------------------------

    def judge(self, batches: list[BroadcastBatch]) -> Counter[str]:
        """Compare what has left with the list and with the results; returns how many had which outcome."""
        sent = Counter(sms["to"] for sms in self.control.outbox())
        outcomes: dict[int, Outcome] = {}
        for batch in batches:
            for result in BroadcastFolder(batch.folder).results(results_of(batch)):
                check(result.row not in outcomes, f"row {result.row} is told of twice")
                outcomes[result.row] = result.outcome
        check(outcomes.keys() == set(range(1, self.count + 1)), "not every row is told of")
        for number, text in self.texts.items():
            is_out = number in self.opted_out
            left, told = sent.pop(number, 0), outcomes[text.row]
            check(left <= 1, f"row {text.row} was texted {left} times")
            check(left == 0 or not is_out, f"row {text.row} was texted although they have opted out")
            check(left == 1 or is_out, f"row {text.row} was not texted, and is told as {told}")
            wanted = Outcome.SUPPRESSED if is_out else Outcome.SENT
            check(told is wanted, f"row {text.row} is told as {told}, and was texted {left} times")
        check(not sent, "somebody was texted who is not in the list")
        for sms in self.control.outbox():
            at = f"{datetime.fromisoformat(sms['date_created'].replace('Z', '+00:00')):%H:%M}"
            check(HOURS[0] <= at < HOURS[1], f"a text left at {at}")
            check(sms["body"] == self.texts[sms["to"]].body, "somebody got another one's text")
        return Counter(str(outcome) for outcome in outcomes.values())


def _ended(running: Mapping[int, Try]) -> Iterator[tuple[int, int]]:
    for pid in list(running):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            yield pid, status


def _name(status: int) -> str:
    if os.WIFSIGNALED(status):
        return "killed"
    found = {0: "through", FAILED: "failed", DEFERRED: "deferred"}.get(os.WEXITSTATUS(status))
    check(found is not None, "a try ended with an error that no other try would help")
    return str(found)


def main() -> int:
    """Play one broadcast."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", type=StackName, choices=list(StackName), default=StackName.CONVERSATIONS)
    parser.add_argument("--texts", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, SandboxProcess() as sandbox:
        centre = Contact(
            sandbox, Path(scratch) / "list", options.stack, options.texts, random.Random(options.seed)
        )
        batches = centre.write_list()
        centre.spoil()
        try:
            ends = centre.run(batches, options.kills)
            outcomes = centre.judge(batches)
        except Violation:
            print(centre.log.read_text()[-20_000:], flush=True)
            raise
    seconds = time.monotonic() - began
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{options.texts} texts: {told}; each once, in {seconds:.0f} s", flush=True)
    print(f"tries: {', '.join(f'{count} {end}' for end, count in sorted(ends.items()))}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
