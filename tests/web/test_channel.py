"""GET /flexsms/channels/{sid}: what is told of a channel, to whom, and that Twilio is asked once."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from flexsms.core.channel_state import ChannelState
from flexsms.core.stack_name import StackName
from flexsms.sandbox.client import SandboxProcess
from flexsms.twilio.account import connect
from flexsms.twilio.client.settings import TwilioSettings

pytestmark = pytest.mark.anyio

Login = Callable[[str], dict[str, str]]
CHANNEL = "CH" + "a1" * 16
OPEN, OVER = "WT" + "b" * 32, "WT" + "c" * 32
AT_MS = 1_763_484_127_000


@pytest.fixture
async def account(
    api: httpx.AsyncClient,
    sandbox: SandboxProcess,
    connection_extra: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Any]:
    """`twilio_default` leads to the sandbox, after what `api` has set."""
    login, password = sandbox.settings["account_sid"], sandbox.settings["auth_token"]
    value = {"conn_type": "twilio", "login": login, "password": password, "extra": connection_extra}
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(value))
    async with connect(TwilioSettings.from_connection(login, password, connection_extra)) as account:
        yield account


@pytest.fixture
def look_up(api: httpx.AsyncClient, login: Login) -> Callable[..., Any]:
    async def look_up(channel_sid: str = CHANNEL, role: str = "user") -> httpx.Response:
        headers = login(role) if role else {}
        return await api.get(f"/flexsms/channels/{channel_sid}", headers=headers)

    return look_up


async def test_what_is_told_and_at_which_cost(
    look_up: Callable[..., Any], account: Any, sandbox: SandboxProcess
) -> None:
    links = {"type": (AT_MS, "sms")}
    seen, ended = {OPEN: AT_MS + 1, OVER: AT_MS - 1}, {OVER: AT_MS}
    await account.store.merge(
        ChannelState(CHANNEL, StackName.CONVERSATIONS, seen=seen, ended=ended, links=links)
    )
    before = max(call["n"] for call in sandbox.control.journal())
    answer = await look_up()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "channel_sid": CHANNEL,
        "stack": "conversations",
        "status": "open",
        "type": "sms",
        "open_tasks": [OPEN],
        "last_ended_at": "2025-11-18T16:42:07+00:00",
        "retired": None,
    }
    assert len(sandbox.control.journal(after=before)) == 1


async def test_who_may_not_start_tracking_may_not_look(look_up: Callable[..., Any], account: Any) -> None:
    assert (await look_up(role="")).status_code == 401
    assert (await look_up(role="viewer")).status_code == 403


async def test_a_channel_that_nobody_has_heard_of(look_up: Callable[..., Any], account: Any) -> None:
    answer = await look_up()
    assert answer.status_code == 404
    assert "no document for this channel" in answer.json()["detail"]


@pytest.mark.parametrize("sid", ["CH1", "XX" + "a" * 32, "CH" + "g" * 32, "CH" + "a" * 33, "CH" + "A" * 32])
async def test_what_is_no_sid_is_not_asked_for(
    sid: str, look_up: Callable[..., Any], account: Any, sandbox: SandboxProcess
) -> None:
    assert (await look_up(sid)).status_code == 422
    assert sandbox.control.journal() == []


async def test_twilios_refusal_is_told(
    look_up: Callable[..., Any], account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = json.loads(os.environ["AIRFLOW_CONN_TWILIO_DEFAULT"])
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps({**value, "password": "wrong"}))
    answer = await look_up()
    assert answer.status_code == 502
    assert "check login and password" in answer.json()["detail"]
    assert "wrong" not in answer.json()["detail"].replace("wrong credentials", "")


async def test_without_a_connection_it_says_so(
    look_up: Callable[..., Any], account: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_TWILIO_DEFAULT")
    answer = await look_up()
    assert answer.status_code == 503
    assert "no connection 'twilio_default'" in answer.json()["detail"]
