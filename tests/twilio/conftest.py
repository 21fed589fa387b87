"""An account on the local Twilio, and the calls it received."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.twilio.account import Account, connect
from flexsms.twilio.config import TwilioSettings
from flexsms.twilio.limits import endpoint

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess


@pytest.fixture
def settings(sandbox: SandboxProcess, connection_extra: dict[str, Any]) -> TwilioSettings:
    """A connection to the sandbox that gives up after a second."""
    return TwilioSettings.from_connection(
        sandbox.settings["account_sid"],
        sandbox.settings["auth_token"],
        {**connection_extra, "rate_limits": "off", "timeout_s": 1},
    )


@pytest.fixture
async def account(settings: TwilioSettings, anyio_backend: str) -> AsyncIterator[Account]:
    """The account, connected."""
    async with connect(settings) as connected:
        yield connected


@pytest.fixture
def calls(sandbox: SandboxProcess) -> Callable[[], Counter[str]]:
    """How often each endpoint was called since the journal was last emptied."""

    def count() -> Counter[str]:
        return Counter(
            endpoint(entry["method"], entry["host"], entry["path"]) for entry in sandbox.control.journal()
        )

    return count
