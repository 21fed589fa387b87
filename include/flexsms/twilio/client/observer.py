"""Who wants to hear of calls while they happen."""

from __future__ import annotations

from typing import Protocol


class CallObserver(Protocol):
    """Hears of every call. It is told in the event loop, so it neither waits nor raises."""

    def answered(self, host: str, status: int) -> None:
        """A request was sent, and is over.

        :param host: Twilio's, like ``sync.twilio.com``
        :param status: the HTTP status; 0 when no answer came
        """
        ...

    def throttled(self, host: str, seconds: float) -> None:
        """A request had to wait, for Twilio's limits or because Twilio asked to."""
        ...
