"""Reading CloudEvents, wherever they come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flexsms.core.errors import InvalidInput
from flexsms.core.events import from_cloud_event
from flexsms.twilio.sources.protocol import EventPage


def read_envelopes(values: Iterable[Any], *, cursor: str | None = None) -> EventPage:
    """What can be read of some events. One that is malformed is named and does not take the others with it."""
    events, rejected, ignored = [], [], 0
    for number, value in enumerate(values, 1):
        if not isinstance(value, Mapping):
            rejected.append(f"event {number}: is not a JSON object.")
            continue
        try:
            event = from_cloud_event(value)
        except InvalidInput as error:
            sentence = f"event {number} ({str(value.get('id'))[:64]}): {error}"
            # Half an emoji, which JSON allows, can be neither logged nor written into a file.
            rejected.append(sentence.encode(errors="replace").decode())
            continue
        if event is None:
            ignored += 1
        else:
            events.append(event)
    return EventPage(events=events, rejected=rejected, ignored=ignored, cursor=cursor)
