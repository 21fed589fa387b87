"""Triggers with a local Twilio behind them, as the triggerer makes them: from what they were serialized to."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flexsms.sandbox.client import SandboxProcess, connection_extra
from flexsms.triggers.polling import PollingTrigger
from tests.support.sms import STACKS, Texts

Connect = Callable[..., None]


@pytest.fixture
def connection(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """`twilio_default` leads to the sandbox, by default on the chat stack."""

    def connection(stack: str = "chat", **changes: Any) -> None:
        value = {
            "conn_type": "twilio",
            "login": sandbox.settings["account_sid"],
            "password": sandbox.settings["auth_token"],
            "extra": {
                **connection_extra(sandbox.settings, stack=stack),
                "timeout_s": 1,
                "rate_limits": "off",
            },
        }
        monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps({**value, **changes}))

    connection()
    return connection


@pytest.fixture(params=STACKS)
def texts(request: pytest.FixtureRequest, sandbox: SandboxProcess, connection: Connect) -> Iterator[Texts]:
    """Texts on each stack, and a connection to it."""
    connection(request.param)
    with Texts(sandbox, request.param) as made:
        yield made


def restarted(trigger: PollingTrigger) -> PollingTrigger:
    """The trigger as another triggerer would go on with it."""
    path, arguments = trigger.serialize()
    made: PollingTrigger = pkgutil.resolve_name(path)(**json.loads(json.dumps(arguments)))
    return made


async def event_of(trigger: PollingTrigger) -> dict[str, Any]:
    """The one event that the trigger fires."""
    [event] = [event async for event in restarted(trigger).run()]
    payload: dict[str, Any] = json.loads(json.dumps(event.payload))
    return payload
