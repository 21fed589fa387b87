"""Sets up Event Streams: one sink where we want the events, one subscription with all task events that count.

A sink keeps its address for life. So a changed one means: make the new sink, subscribe it, and only then remove the old
one. In between both deliver, which does no harm; at no moment does none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import InvalidInput, OutcomeUnknown, TwilioRefused
from flexsms.core.redaction import redact
from flexsms.core.setup_report import (
    ACTIVE,
    EVENT_TYPES,
    FAILED,
    SUBSCRIBED,
    WEBHOOK,
    Choice,
    RowState,
    Sink,
    Target,
    choose,
)
from flexsms.twilio.setup.provisioner import Provisioner
from flexsms.twilio.setup.sinks import as_sink, list_sinks, wrong_types

if TYPE_CHECKING:
    from twilio.rest import Client

LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Patience:
    """How long set-up waits for Twilio.

    :param active: for a new sink to become active
    :param drain: between the new subscription and the end of an old sink, for the events that are on their way to it
    """

    active: timedelta = timedelta(seconds=15)
    drain: timedelta = timedelta(seconds=15)


class StreamSetup:
    """Brings Event Streams to where it should be, whatever earlier tries have left.

    :param name: the description of our sinks; all others are left alone
    :param test_id: of the test event of a sink that waits for validation
    """

    def __init__(
        self,
        client: Client,
        provisioner: Provisioner,
        *,
        name: str,
        target: Target,
        test_id: str,
        patience: Patience,
    ) -> None:
        self._client = client.events.v1
        self._all = client
        self._provisioner = provisioner
        self._name = name
        self._target = target
        self._test_id = test_id
        self._patience = patience
        self._choice = Choice()

    async def run(self) -> bool:
        """Make what is missing, then remove what it replaces.

        :return: whether events have no other way any more
        """
        sink, is_new = await self._provisioner.ensure(
            "Sink", self._find, self._make, self._sink_fields, self._target.address
        )
        if sink and not is_new:
            self._provisioner.note("Sink", RowState.EXISTS, sink.sid, self._target.address)
        for other in self._choice.foreign:
            self._provisioner.note(
                "Sink", RowState.NOT_OURS, other.sid, f"{redact(other.description)!r} stays"
            )
        for other in self._choice.left:
            note = "leads elsewhere; give events_url or kinesis to keep only what that names"
            self._provisioner.note("Sink", RowState.LEFT, other.sid, note)
        # A sink that failed before it was subscribed never had an event.
        await self._remove(self._choice.dead, "it had failed")
        replaced = self._choice.replaced
        if sink and not await self._is_active(sink):
            for old in replaced:
                self._provisioner.note("Sink", RowState.EXISTS, old.sid, "delivers until the new one does")
            return not replaced
        await self._subscribe(sink)
        if any(old.subscriptions for old in replaced) and not self._provisioner.dry_run:
            await asyncio.sleep(self._patience.drain.total_seconds())
        await self._remove(replaced, "replaced")
        return not self._choice.left and not (self._provisioner.dry_run and replaced)

    # Sinks

    async def _find(self) -> Sink | None:
        self._choice = choose(await list_sinks(self._all), self._name, self._target)
        return self._choice.keep

    async def _make(self, **fields: Any) -> Sink:
        return as_sink(await self._client.sinks.create_async(**fields))

    def _sink_fields(self) -> dict[str, Any]:
        return {
            "description": self._name,
            "sink_configuration": dict(self._target.configuration),
            "sink_type": self._target.kind,
        }

    async def _is_active(self, sink: Sink) -> bool:
        """Wait for the sink to become active, or validate it, for which somebody has to read the test event."""
        sink = await self._wait(sink)
        if sink.status == ACTIVE:
            return True
        if self._provisioner.dry_run:
            self._provisioner.note(
                "Sink", RowState.WAITS, sink.sid, f"it is {sink.status}, and has to be active"
            )
            return False
        if self._test_id:
            return await self._validate(sink)
        if sink.status == "initialized":
            await self._send_test(sink)
        self._provisioner.note(
            "Sink",
            RowState.WAITS,
            sink.sid,
            f"read data.test_id of the test event that has come to {sink.kind} "
            f"{self._target.address}, and run again with it as test_id",
        )
        return False

    async def _wait(self, sink: Sink) -> Sink:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience.active.total_seconds()
        # What has had its test event does not change before somebody validates it.
        while sink.status == "initialized" and not self._test_id and loop.time() < deadline:
            await asyncio.sleep(LOOK_EVERY_S)
            sink = await self._fetch(sink)
        if sink.status == FAILED:
            raise InvalidInput(
                "events_url" if sink.kind == WEBHOOK else "kinesis",
                f"Twilio has no way to it, the sink {sink.sid} has failed",
                "correct it, and run again",
            )
        return sink

    async def _send_test(self, sink: Sink) -> None:
        try:
            await self._client.sinks(sink.sid).sink_test.create_async()
        except OutcomeUnknown:
            # Sent, it makes the sink `validating`. A second one would make the first one's test_id worthless.
            async def is_sent() -> Sink | None:
                now = await self._fetch(sink)
                return None if now.status == "initialized" else now

            if await self._provisioner.poll(is_sent) is None:
                raise

    async def _validate(self, sink: Sink) -> bool:
        try:
            await self._client.sinks(sink.sid).sink_validate.create_async(self._test_id)
        except TwilioRefused as error:
            raise InvalidInput(
                "test_id",
                f"Twilio does not take it for {sink.sid} ({error.code})",
                "give data.test_id of the newest test event",
            ) from error
        self._provisioner.note("Sink", RowState.CHANGED, sink.sid, "is validated")

        async def is_active() -> bool | None:
            return True if (await self._fetch(sink)).status == ACTIVE else None

        if await self._provisioner.poll(is_active):
            return True
        self._provisioner.note(
            "Sink", RowState.WAITS, sink.sid, "it is validated, and not yet active; run again"
        )
        return False

    async def _fetch(self, sink: Sink) -> Sink:
        return as_sink(await self._client.sinks(sink.sid).fetch_async())

    # Subscriptions

    async def _subscribe(self, sink: Sink | None) -> None:
        note = SUBSCRIBED
        if sink is None:
            self._provisioner.note("Subscription", RowState.WOULD_MAKE, note=note)
            return

        async def find() -> Any:
            found = await self._client.subscriptions.list_async(sink_sid=sink.sid, limit=1)
            return found[0] if found else None

        def fields() -> dict[str, Any]:
            types = [{"type": kind, "schema_version": version} for kind, version in EVENT_TYPES.items()]
            return {"description": self._name, "sink_sid": sink.sid, "types": types}

        found, is_new = await self._provisioner.ensure(
            "Subscription", find, self._client.subscriptions.create_async, fields, note
        )
        if found is None or is_new:
            return
        wrong = await wrong_types(self._all, str(found.sid))
        if not wrong:
            self._provisioner.note("Subscription", RowState.EXISTS, str(found.sid), note)
        for kind, version in wrong.items():
            await self._provisioner.change(
                "Subscription",
                str(found.sid),
                f"{kind}: {f'schema version {version}' if version else 'missing'}, now {EVENT_TYPES[kind]}",
                partial(self._put_right, str(found.sid), kind, version),
            )

    async def _put_right(self, subscription_sid: str, kind: str, version: int | None) -> None:
        events = self._client.subscriptions(subscription_sid).subscribed_events
        if version is not None:
            await events(kind).update_async(schema_version=EVENT_TYPES[kind])
            return
        try:
            await events.create_async(kind, schema_version=EVENT_TYPES[kind])
        except OutcomeUnknown:

            async def is_there() -> bool | None:
                return None if kind in await wrong_types(self._all, subscription_sid) else True

            if not await self._provisioner.poll(is_there):
                raise

    # What is over

    async def _remove(self, sinks: Sequence[Sink], note: str) -> None:
        for sink in sinks:
            for sid in sink.subscriptions:
                gone = self._client.subscriptions(sid).delete_async
                await self._provisioner.remove("Subscription", sid, note, gone)
            await self._provisioner.remove("Sink", sink.sid, note, self._client.sinks(sink.sid).delete_async)
