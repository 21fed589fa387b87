"""The contact centre that a broadcast is played in: its account, its clock, its list, and what people do meanwhile."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing import Value
from pathlib import Path
from typing import Any

from flexsms.core.opt_out import Why
from flexsms.core.stack_name import StackName
from flexsms.sandbox.client import SandboxProcess, connection_extra
from flexsms.sandbox.control.bulk_load import customer_number
from flexsms.twilio.account import connect
from flexsms.twilio.client.settings import TwilioSettings

HOURS = ("08:00", "20:00")
# It begins at 9 o'clock UTC. The first ones have hours then, and theirs end first; the last two end after NOT_AFTER.
ZONES = {
    "Asia/Tokyo": 2,
    "Asia/Seoul": 2,
    "Asia/Jayapura": 2,
    "Africa/Abidjan": 3,
    "Africa/Accra": 3,
    "Atlantic/Reykjavik": 3,
    "America/Phoenix": 2,
    "America/Hermosillo": 2,
    "America/Whitehorse": 2,
    "Pacific/Honolulu": 2,
    "Pacific/Tahiti": 2,
    "Pacific/Rarotonga": 2,
}
BEGIN_HOUR = 9
NOT_AFTER = timedelta(hours=25)
LATENCY_MS = 5
# From queued to sent, and from sent to delivered: the first looks at the delivery come too early for the last texts.
SMS_STEP_S = 40
MOST_OPEN_TASKS = 5
MANY_TASKS = 8
# Of the recipients: before anything is sent, and while it is.
OPTED_OUT, OPT_OUT_MEANWHILE = 0.02, 0.03
# Whose carrier says that they are not there, or nothing at all; and each how manieth text it takes for spam.
UNREACHABLE, SWITCHED_OFF, FILTER_EVERY = 0.02, 0.01, 30
# Rows that cannot be texted, and numbers that come twice.
WRONG_ROWS, REPEATED_ROWS = 3, 3
# A lost, refused or late answer per so many requests, of so many per text.
FAULT_EVERY, REQUESTS_PER_TEXT = 40, 8
FAULTS: tuple[dict[str, Any], ...] = (
    {"action": "drop_after"},
    {"action": "drop_before"},
    {"action": "drop_midway"},
    {"action": "delay", "delay_ms": 1500},
    {"action": "status", "status": 429},
    {"action": "status", "status": 503},
)
# Where, and to which share of all requests.
HOSTS = {
    "sync.twilio.com": 0.5,
    "chat.twilio.com": 0.2,
    "conversations.twilio.com": 0.3,
    "proxy.twilio.com": 0.2,
    "flex-api.twilio.com": 0.1,
    "taskrouter.twilio.com": 0.02,
}
NUMBERS = {StackName.CHAT: "twilio", StackName.CONVERSATIONS: "conversations"}


@dataclass(frozen=True, slots=True)
class Recipient:
    """A row of the list that can be texted."""

    row: int
    number: str
    zone: str

    @property
    def body(self) -> str:
        return f"Text {self.row}"


@dataclass
class Centre:
    """An account, and who is in touch with it.

    :ivar recipients: by number
    :ivar opted_out: before the broadcast
    :ivar stopped: when a customer has written STOP meanwhile, by number
    """

    sandbox: SandboxProcess
    path: Path
    stack: StackName
    count: int
    chance: random.Random
    ahead: Any = field(default_factory=lambda: Value("d", 0.0))

    def __post_init__(self) -> None:
        self.control = self.sandbox.control
        filters = [{"code": 30007, "every": FILTER_EVERY}]
        self.world = self.control.reset(latency_ms=LATENCY_MS, sms_step_s=SMS_STEP_S, sms_filters=filters)
        self.control.journal_enabled(False)
        extra = {
            **connection_extra(self.world, stack=self.stack),
            "base_url": self.sandbox.base_url,
            "rate_limits": "off",
            "timeout_s": 1,
            "max_in_flight": 16 if self.count >= 1000 else 4,
        }
        login = {"login": self.world["account_sid"], "password": self.world["auth_token"]}
        self.settings = TwilioSettings.from_connection(login["login"], login["password"], extra)
        os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"] = json.dumps(
            {"conn_type": "twilio", **login, "extra": extra}
        )
        self.stopped: dict[str, datetime] = {}
        self._leaps: list[tuple[datetime, float]] = []
        self.number: str = self.world["numbers"][NUMBERS[self.stack]]
        now = self.now()
        begin = now.replace(hour=BEGIN_HOUR, minute=0, second=0, microsecond=0)
        self.to(begin if begin > now else begin + timedelta(days=1))
        self.not_after = self.now() + NOT_AFTER
        self._tasks: list[str] = []
        self._write_list()
        self._hold_some_back()

    # -- time ------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The present, which is also the sandbox's."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead.value)

    def to(self, moment: datetime) -> None:
        """Move all clocks forward."""
        now = self.now()
        seconds = max(0.0, (moment - now).total_seconds())
        self._leaps.append((now, seconds))
        self.control.advance(seconds)
        self.ahead.value += seconds

    def passed(self, one: datetime, other: datetime) -> timedelta:
        """How much of the time between two moments somebody has lived through, and not the clock alone."""
        first, last = sorted((one, other))
        leapt = sum(seconds for at, seconds in self._leaps if first < at <= last)
        return abs(last - first - timedelta(seconds=leapt))

    # -- the list --------------------------------------------------------------------------------------------------

    def _write_list(self) -> None:
        zones = self.chance.choices(list(ZONES), list(ZONES.values()), k=self.count)
        people = [Recipient(row, customer_number(row), zone) for row, zone in enumerate(zones, 1)]
        self.recipients = {one.number: one for one in people}
        again = self.chance.sample(people, REPEATED_ROWS)
        more = [*[("+1415", "UTC")] * WRONG_ROWS, *((one.number, one.zone) for one in again)]
        self.wrong_rows = range(self.count + 1, self.count + 1 + WRONG_ROWS)
        self.repeated_rows = range(self.wrong_rows.stop, self.wrong_rows.stop + REPEATED_ROWS)
        with self.path.open("w", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(("to_number", "zone", "text"))
            for row, (number, zone) in enumerate([*((one.number, one.zone) for one in people), *more], 1):
                lines.writerow((number, zone, row))

    def _hold_some_back(self) -> None:
        """Some have opted out by an import, some have a handset that is not reached."""
        numbers = sorted(self.recipients)
        self.opted_out = frozenset(self.chance.sample(numbers, round(self.count * OPTED_OUT)))

        async def opt_out() -> None:
            async with connect(self.settings, now=self.now) as account:
                suppressions = account.suppressions()
                for one in sorted(self.opted_out):
                    await suppressions.learn(one, out=True, at=account.now(), why=Why.IMPORT)

        asyncio.run(opt_out())
        gone, off = (
            self.chance.sample(numbers, round(self.count * share)) for share in (UNREACHABLE, SWITCHED_OFF)
        )
        outcomes: dict[str, dict[str, Any]] = {one: {"status": "sent"} for one in off}
        outcomes |= {one: {"status": "undelivered", "error_code": 30003} for one in gone}
        self.control.settings(sms_outcomes=outcomes)

    # -- meanwhile -------------------------------------------------------------------------------------------------

    def spoil(self) -> None:
        """Answers that are lost, late or refused, each somewhere among the requests to come."""
        requests = self.count * REQUESTS_PER_TEXT
        for number in range(requests // FAULT_EVERY):
            host = self.chance.choice(sorted(HOSTS))
            self.control.fault(
                name=f"fault {number}",
                match={"host": host},
                skip=self.chance.randrange(max(1, round(requests * HOSTS[host]))),
                times=1,
                **self.chance.choice(FAULTS),
            )

    def heard_of(self) -> int:
        """How many people got a text or wrote one."""
        return int(self.control.call("POST", "handsets", {})["count"])

    def somebody_stops(self) -> None:
        """A customer writes STOP, whether or not their text has left."""
        number = self.chance.choice(sorted(self.recipients.keys() - self.opted_out - self.stopped.keys()))
        self.control.customer(number, self.number, "STOP")
        self.stopped[number] = self.now()

    def agents_fall_behind(self) -> None:
        """Customers of another number open more tasks than the broadcast waits for."""
        people = [{"customer": customer_number(70_000 + one)} for one in range(MANY_TASKS)]
        channels = self.control.load(channels=people)["channels"]
        self._tasks = self.control.tasks(channels)["tasks"]

    def agents_catch_up(self) -> None:
        """Agents complete these tasks."""
        for sid in self._tasks:
            self.control.agent("complete", task_sid=sid)
        self._tasks = []
