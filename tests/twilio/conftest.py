"""An account on the local Twilio, its clock, and the calls it received."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flexsms.twilio.account import Account, connect
from flexsms.twilio.client.endpoints import endpoint
from flexsms.twilio.client.settings import TwilioSettings
from tests.support import repeats
from tests.support.cleanup_scenarios import HOUSES, House
from tests.support.peer import Peer, serving

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxControl, SandboxProcess


@pytest.fixture(autouse=True)
def ask_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a replica that is not there, nor long for a service that a test has put out of order."""
    monkeypatch.setattr("flexsms.twilio.client.not_found.ASK_AGAIN_AFTER_S", 0.01)
    repeats.soon(monkeypatch)


@pytest.fixture
def long_pauses(ask_again_soon: None, monkeypatch: pytest.MonkeyPatch) -> None:
    repeats.as_late_as_for_real(monkeypatch)


@pytest.fixture
def settings(sandbox: SandboxProcess, connection_extra: dict[str, Any]) -> TwilioSettings:
    """A connection to the sandbox that gives up after a second."""
    return TwilioSettings.from_connection(
        sandbox.settings["account_sid"],
        sandbox.settings["auth_token"],
        {**connection_extra, "rate_limits": "off", "timeout_s": 1},
    )


class Clock:
    """The sandbox's virtual clock, which the package under test follows."""

    def __init__(self, control: SandboxControl) -> None:
        self._control = control
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def sleep(self, **by: float) -> None:
        """Our machine alone stands still for a while; nobody else does, and its monotonic clock does not notice."""
        self._ahead += timedelta(**by)

    def advance(self, **by: float) -> None:
        """Move the clock on: `days=3`."""
        self._control.advance(timedelta(**by).total_seconds())
        self._ahead += timedelta(**by)


@pytest.fixture
def clock(sandbox: SandboxProcess) -> Clock:
    """The present, as the sandbox sees it."""
    return Clock(sandbox.control)


@pytest.fixture
async def account(settings: TwilioSettings, clock: Clock) -> AsyncIterator[Account]:
    """The account, connected."""
    async with connect(settings, now=clock) as connected:
        yield connected


@pytest.fixture
def calls(sandbox: SandboxProcess) -> Callable[[], Counter[str]]:
    """How often each endpoint was called since the journal was last emptied."""

    def count() -> Counter[str]:
        return Counter(
            endpoint(entry["method"], entry["host"], entry["path"]) for entry in sandbox.control.journal()
        )

    return count


@pytest.fixture(params=HOUSES, ids=lambda house: str(house.stack))
async def house(
    request: pytest.FixtureRequest, account: Account, sandbox: SandboxProcess, clock: Clock
) -> House:
    """A contact centre, on each of the two stacks."""
    kind: type[House] = request.param
    return kind(account, sandbox, clock)


@pytest.fixture
async def peer(anyio_backend: str) -> AsyncIterator[Peer]:  # brings the event loop
    """A server that answers as a test scripts it."""
    async with serving() as peer:
        yield peer
