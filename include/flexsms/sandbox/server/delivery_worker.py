"""Carries the mail of Event Streams to the sinks, beside the answering of requests.

One task looks for what is due and sleeps until there is more; each request to a sink is a task of its own. The account
is only touched between two awaits, as by API requests, so that none of them sees half a change.
"""

from __future__ import annotations

import asyncio
import traceback
from contextlib import suppress

import aiohttp

from ..control.routes import Control
from ..products.event_streams import kinesis_sink, publisher, webhook_sink
from ..products.event_streams.publisher import Answer
from ..state.account import EmulatedAccount
from ..state.delivery_queue import Delivery

# After a mistake of the sandbox itself, so that it does not fill the memory with tracebacks.
PAUSE_S = 1.0


class DeliveryWorker:
    """Delivers for whatever account the control plane has, until its task is cancelled."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something may have happened that is to be delivered."""
        if len(self._control.account.store.sinks):
            self._wake.set()

    async def run(self) -> None:
        # No proxy of the environment, no limit of connections but the one per sink.
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as http, asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                wait_s = self._dispatch_due(http, group)
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._wake.wait()

    def _dispatch_due(self, http: aiohttp.ClientSession, group: asyncio.TaskGroup) -> float | None:
        """Start what is due, and say how long nothing else is."""
        account = self._control.account
        try:
            account.run_due_timers()
            for delivery in publisher.take(account):
                group.create_task(self._deliver(http, account, delivery))
            return publisher.wait_s(account)
        except Exception:
            self._control.errors.append(f"deliveries\n{traceback.format_exc()}")
            return PAUSE_S

    async def _deliver(
        self, http: aiohttp.ClientSession, account: EmulatedAccount, delivery: Delivery
    ) -> None:
        try:
            sink = account.store.sinks.get(delivery.sink_sid)
            if sink is None:
                answer = Answer(None, discard=delivery.events)
            else:
                send = webhook_sink.send if sink.type == "webhook" else kinesis_sink.send
                answer = await send(http, account, sink, delivery)
            publisher.conclude(account, delivery, answer)
        except Exception:
            self._control.errors.append(f"delivery to {delivery.sink_sid}\n{traceback.format_exc()}")
            account.delivery_queue.end(delivery, "lost", len(delivery.events))
        self._wake.set()
