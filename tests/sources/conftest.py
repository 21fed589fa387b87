"""Sources are read into the channel states of an account."""

from tests.twilio.conftest import account, clock, settings

__all__ = ["account", "clock", "settings"]
