"""The benchmark of a campaign that is over, small: what it makes in bulk is what texts leave that were really sent."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.again import Finished, again, connection_of, finish, numbers, run, show_again, write_list
from bench.again_work import Run, send
from flexsms.core.stack_name import StackName
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.account import connect
from flexsms.twilio.broadcast.campaign import MAP_PREFIX, PACK_SIZE
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.sync.map import SyncMap

PEOPLE = numbers(500)
STACK = StackName.CONVERSATIONS

# They send 500 texts one by one, and start processes that import Airflow, beside a busy neighbour too.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess() as sandbox:
        yield sandbox


@pytest.fixture
def connection(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """It sends one text after the other, so that they fill the packs in the list's order."""
    found = connection_of(sandbox, STACK)
    found["extra"]["max_in_flight"] = 1
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(found))
    return found


async def packs(connection: Mapping[str, Any], campaign: str) -> dict[str, Any]:
    settings = TwilioSettings.from_connection(
        connection["login"], connection["password"], connection["extra"]
    )
    async with connect(settings) as account:
        name = MAP_PREFIX + (await account.campaign(campaign)).digest
        items = SyncMap(account.client, settings.need("sync_service_sid"), name)
        return {item.key: item.data async for page in items.pages() for item in page}


def test_a_campaign_made_in_bulk_is_as_one_whose_texts_were_sent(
    sandbox: SandboxProcess, connection: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    write_list(path, PEOPLE)
    send(Run(), path.as_uri(), sandbox.settings["numbers"]["conversations"], "sent")
    assert sorted(sms["to"] for sms in sandbox.control.outbox()) == PEOPLE
    asyncio.run(finish(connection, PEOPLE, "made"))
    sent, made = (asyncio.run(packs(connection, campaign)) for campaign in ("sent", "made"))
    assert sent == made
    assert len(sent) == 1 + len(PEOPLE) // PACK_SIZE
    runs = [again(sandbox, STACK, connection, path, campaign) for campaign in ("sent", "made")]
    assert [one.texted_before for one in runs] == [len(PEOPLE)] * 2
    assert runs[0].calls == runs[1].calls
    assert sum(runs[0].calls.values()) > 0


def test_a_campaign_that_is_not_over_is_not_measured(
    sandbox: SandboxProcess, connection: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    write_list(path, PEOPLE[:10])
    asyncio.run(finish(connection, PEOPLE[:9], "made"))
    with pytest.raises(RuntimeError):
        again(sandbox, STACK, connection, path, "made")
    assert [sms["to"] for sms in sandbox.control.outbox()] == [PEOPLE[9]]


def test_both_stacks_are_measured_and_told_of() -> None:
    said: list[str] = []
    found = run(Finished(recipients=1_200), said.append)
    assert set(found.runs) == set(StackName)
    assert len(said) == 2 * len(StackName)
    # The packs of two batches are a page of them.
    for one in found.runs.values():
        assert one.calls["GET sync.twilio.com/v1/Services/{id}/Maps/{id}/Items"] == 16 + 1
    assert len(json.loads(json.dumps(found.to_json()))["targets"]) == len(StackName)
    text = io.StringIO()
    show_again(Console(file=text, width=160), found)
    assert "a campaign that is over" in text.getvalue()
