"""FlexOpenTasksTrigger: it waits until agents have caught up."""

from __future__ import annotations

from typing import Any

import pytest

from flexsms.sandbox.client import SandboxProcess
from flexsms.triggers.open_tasks import FlexOpenTasksTrigger

from .conftest import Connect, event_of

pytestmark = pytest.mark.anyio

FROM = "+1415557{:04d}"


def waiting_for(most: int, **polling: Any) -> FlexOpenTasksTrigger:
    return FlexOpenTasksTrigger(most=most, **{"poll_interval_s": 0.05, "timeout_s": 10, **polling})


def customers(sandbox: SandboxProcess, count: int) -> list[str]:
    """Customers who write, and so have a task each."""
    number = sandbox.settings["numbers"]["twilio"]
    return [str(sandbox.control.customer(FROM.format(n), number, "Hello?")["task_sid"]) for n in range(count)]


def test_it_is_made_again_from_what_airflow_keeps(connection: Connect) -> None:
    path, arguments = waiting_for(3).serialize()
    assert path == "flexsms.triggers.open_tasks.FlexOpenTasksTrigger"
    assert arguments.pop("deadline") > 0
    assert arguments == {"most": 3, "twilio_conn_id": "twilio_default", "poll_interval_s": 0.05}


async def test_it_fires_once_there_are_few_enough(connection: Connect, sandbox: SandboxProcess) -> None:
    tasks = customers(sandbox, 3)
    assert await event_of(waiting_for(3)) == {"status": "done", "open_tasks": 3}
    sandbox.control.agent("wrap", task_sid=tasks[0])  # not over yet
    assert await event_of(waiting_for(2, timeout_s=0.2)) == {"status": "timeout"}
    sandbox.control.agent("complete", task_sid=tasks[0])
    assert await event_of(waiting_for(2)) == {"status": "done", "open_tasks": 2}


async def test_it_only_looks(connection: Connect, sandbox: SandboxProcess) -> None:
    customers(sandbox, 2)
    sandbox.control.clear_journal()
    await event_of(waiting_for(1, timeout_s=0.1))
    looked_at = {(entry["method"], entry["path"].rsplit("/", 1)[1]) for entry in sandbox.control.journal()}
    assert looked_at == {("GET", "RealTimeStatistics")}
