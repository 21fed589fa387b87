"""An experiment with Event Streams: a sink that nothing is sent to. Source: https://www.twilio.com/docs/events"""

from __future__ import annotations

from typing import Any

from flexsms.core.setup_report import ACTIVE
from flexsms.twilio.setup.sinks import list_sinks
from flexsms.twilio.verify.experiment import Note, experiment
from flexsms.twilio.verify.own import Own


@experiment("sink-active", "sink-configuration", fields=("events_url",))
async def sinks(own: Own, note: Note) -> None:
    """What becomes of a webhook sink by itself."""
    url = own.settings.events_url
    sink = await own.sink(url)

    async def active() -> Any:
        fetched = await own.client.events.v1.sinks(str(sink.sid)).fetch_async()
        return fetched if str(fetched.status) == ACTIVE else None

    if str(sink.status) == ACTIVE:
        note("sink-active", "at once")
    else:
        note("sink-active", "later" if await own.poll(active) else "not by itself")
    shown = [one for one in await list_sinks(own.client) if one.sid == sink.sid]
    note("sink-configuration", "yes" if shown and shown[0].posts_to(url) else "no")
