"""What a run of a campaign that is over costs.

Nobody waits until 100 000 texts have been sent for it. A run of such a campaign asks for its packs alone: whoever is
in one is left out by the check, and the ledger is asked about nobody. So the packs are made by what a batch makes them
with, from results as a batch has them, and the texts themselves are left out. ``tests/bench/test_again.py`` sends 500
texts, and finds the same packs and the same calls.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console, Group

from bench.again_work import BODY
from bench.figures import Spread, Target
from bench.report import columns, targets_table
from bench.scenarios import LATENCY_MS
from flexsms.core.broadcast import BroadcastText
from flexsms.core.stack_name import StackName
from flexsms.recipients.work_list import BATCH_SIZE
from flexsms.sandbox.client import SandboxProcess, connection_extra
from flexsms.twilio.account import Account, connect
from flexsms.twilio.broadcast.outcomes import BatchOutcomes
from flexsms.twilio.client.endpoints import endpoint
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.sending.progress import SendResult

CAMPAIGN = "bench"
NUMBERS = {StackName.CHAT: "twilio", StackName.CONVERSATIONS: "conversations"}


@dataclass(frozen=True, slots=True)
class Finished:
    """How many recipients the campaign has had."""

    recipients: int = 100_000


QUICK = Finished(recipients=10_000)


@dataclass(frozen=True, slots=True)
class Again:
    """The run of one stack.

    :param texted_before: recipients that get none, because the campaign has texted them
    :param calls: requests that reached the sandbox, by endpoint
    :param seconds: of the tasks, imports left out
    :param peak_mb: the most that was resident at any time, MiB, the interpreter and Airflow included
    """

    recipients: int
    texted_before: int
    calls: Mapping[str, int]
    seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of it, by stack."""

    runs: Mapping[str, Again]

    @property
    def targets(self) -> list[Target]:
        """A call per 100 recipients at most."""
        return [
            Target(
                f"{stack}: calls per 100 of {one.recipients:,} recipients of a campaign that is over",
                Spread.of([sum(one.calls.values()) * 100 / one.recipients]), 1, at_least=False, form=".3f",
            )
            for stack, one in self.runs.items()
        ]  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """All figures, and the targets."""
        return {
            "runs": {stack: asdict(one) for stack, one in self.runs.items()},
            "targets": [target.to_json() for target in self.targets],
        }


def run(finished: Finished, say: Callable[[str], None]) -> Findings:
    """Both stacks.

    :param say: told how far it has come
    """
    found: dict[str, Again] = {}
    with TemporaryDirectory() as folder:
        people = numbers(finished.recipients)
        path = Path(folder, "list.csv")
        write_list(path, people)
        for stack in StackName:
            with SandboxProcess(latency_ms=LATENCY_MS) as sandbox:
                say(f"{stack}: a campaign with {len(people):,} recipients that is over")
                connection = connection_of(sandbox, stack)
                asyncio.run(finish(connection, people, CAMPAIGN))
                found[stack] = again(sandbox, stack, connection, path, CAMPAIGN)
                say(f"{stack}: again, {sum(found[stack].calls.values())} calls, {found[stack].seconds:.1f} s")
    return Findings(found)


def show_again(console: Console, found: Findings) -> None:
    """The tables."""
    table = columns("A campaign that is over, once more", "", "recipients", "calls", "seconds", "peak MB")
    for stack, one in found.runs.items():
        table.add_row(
            stack,
            f"{one.recipients:,}",
            str(sum(one.calls.values())),
            f"{one.seconds:.1f}",
            f"{one.peak_mb:.1f}",
        )
    console.print(Group(table, targets_table(found.targets)))


def numbers(count: int) -> list[str]:
    """So many recipients."""
    return [f"+1415{2_000_000 + n}" for n in range(count)]


def write_list(path: Path, people: Sequence[str]) -> None:
    """The list of the campaign."""
    path.write_text("to_number\n" + "".join(f"{number}\n" for number in people), encoding="utf-8")


def connection_of(sandbox: SandboxProcess, stack: StackName) -> dict[str, Any]:
    """The Airflow connection that leads to a sandbox."""
    extra = {**connection_extra(sandbox.settings, stack=stack), "rate_limits": "off"}
    extra["studio_flow_sid"] = sandbox.settings["studio_flow_sid"]
    login, password = sandbox.settings["account_sid"], sandbox.settings["auth_token"]
    return {"conn_type": "twilio", "login": login, "password": password, "extra": extra}


async def finish(connection: Mapping[str, Any], people: Sequence[str], campaign: str) -> None:
    """Let a campaign have texted everybody: write down what its batches would have."""
    settings = TwilioSettings.from_connection(
        connection["login"], connection["password"], connection["extra"]
    )
    async with connect(settings) as account:
        for first in range(0, len(people), BATCH_SIZE):
            await _finish_batch(account, people[first : first + BATCH_SIZE], campaign)


async def _finish_batch(account: Account, people: Sequence[str], campaign: str) -> None:
    outcomes = BatchOutcomes(
        await account.campaign(campaign),
        run="bench/run",
        now=lambda: datetime.now(UTC),
        tell=lambda _: None,
    )
    left = SendResult(
        channel_sid="CH", task_sid=None, session_sid=None, interaction_sid=None, message_sid="IM",
        reused_channel=False,
    )  # fmt: skip
    for row, number in enumerate(people, 1):
        outcomes.sent(BroadcastText(row, "", number, BODY, zones=()), left)
        await outcomes.pack_some()
    if error := await outcomes.pack_rest():
        raise error


def again(
    sandbox: SandboxProcess, stack: StackName, connection: Mapping[str, Any], path: Path, campaign: str
) -> Again:
    """Run a campaign that is over once more, in a fresh process.

    :param path: of its list
    :raises RuntimeError: when somebody is texted, because then the calls say nothing
    """
    texts = len(sandbox.control.outbox())
    sandbox.control.clear_journal()
    asked = {
        "recipients": path.as_uri(),
        "from_number": sandbox.settings["numbers"][NUMBERS[stack]],
        "campaign": campaign,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.again_work"],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "AIRFLOW_CONN_TWILIO_DEFAULT": json.dumps(connection)},
    )
    if done.returncode:
        raise RuntimeError(f"the measured process failed: {done.stderr.strip()[-2000:]}")
    calls = Counter(endpoint(one["method"], one["host"], one["path"]) for one in sandbox.control.journal())
    found = Again(**json.loads(done.stdout.splitlines()[-1]), calls=dict(calls))
    if found.texted_before != found.recipients or len(sandbox.control.outbox()) != texts:
        raise RuntimeError(f"{stack}: the campaign was not over")
    return found
