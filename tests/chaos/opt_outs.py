"""Who wants no texts: the words of customers as Event Streams tells them, and the command `flexsms suppress`."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any

from flexsms.cli import suppress
from flexsms.sandbox.products.event_streams.cloud_events import INBOUND_TYPE, cloud_event
from flexsms.sandbox.products.messaging.opt_out import START, STOP, word_of
from flexsms.sandbox.state.account import EmulatedAccount
from flexsms.sandbox.state.clock import iso_ms
from flexsms.sandbox.state.rows.messaging import MessageEvent, Sms

from .airflow import Log

SCHEMA_VERSION = "1"


def is_keyword(body: str) -> bool:
    """Whether Twilio acts upon a customer's text, and no agent has to."""
    return word_of(body) in STOP | START


class InboundFeed:
    """Hands on each text of a customer, as the collector behind a sink of Event Streams does.

    :ivar newest_sid: SM… of the last one
    """

    scope = "feed"

    def __init__(self, world: EmulatedAccount) -> None:
        self._world = world
        self._events: list[Callable[[], dict[str, Any]]] = []
        self.newest_sid = ""

    def hear(self, text: Sms) -> None:
        """A text has arrived."""
        self.newest_sid = text.sid
        sid, seq, now, _ = self._world.stamp("EV")
        data = {
            "messageSid": text.sid,
            "timestamp": iso_ms(text.created),
            "accountSid": self._world.account_sid,
            "eventName": INBOUND_TYPE,
            "from": text.from_,
            "to": text.to,
            "body": text.body,
            "numMedia": 0,
            "numSegments": 1,
            "recipients": [],
        }
        self._world.store.message_events.add(MessageEvent(sid, seq, now, now, text.sid, INBOUND_TYPE, data))
        self._events.append(lambda: cloud_event(self._world, [sid, SCHEMA_VERSION]))

    async def fetch(self, after: str | None, limit: int) -> Any:
        """A page, and where to go on."""
        first = int(after or 0)
        page = [make() for make in self._events[first : first + limit]]
        return {"events": page, "next": str(first + len(page)) if page else None}


class SuppressCommand:
    """A person at a terminal, in the place of an operator.

    :param action: ``add`` or ``lift``
    """

    _cached_logger: Log

    def __init__(self, action: str, number: str) -> None:
        self._args = Namespace(action=action, what=number, conn_id="", write=True, json=False)

    def execute(self, _context: Any) -> int:
        """Run the command; returns its exit code."""
        return suppress.run(self._args)

    def on_kill(self) -> None:
        """Nothing is to be stopped."""
