"""How long a call to Twilio waits before it is repeated, in tests that put a service out of order."""

from __future__ import annotations

import pytest

from flexsms.twilio.client import http_client

PAUSE, SOONER = http_client._backoff, 20


def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a twentieth of the pause. How often stays as it is, and so does what Twilio asks for by `Retry-After`."""
    monkeypatch.setattr(http_client, "_backoff", lambda state: PAUSE(state) / SOONER)


def as_late_as_for_real(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there is time to die between two tries."""
    monkeypatch.setattr(http_client, "_backoff", PAUSE)
