"""The switches of an emulated account, all of them: POST /_sandbox/settings or `--set NAME=VALUE` changes them, GET
/_sandbox/switches tells them with their meaning and their source.

Where Twilio's pages say what happens, the default is what they say. Where they leave it open, the default is what most
pages suggest, and a client should be tried with the other value, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..switches import Switches
from ..text_filter import filters_of
from .chat import ChatSettings
from .common import CommonSettings
from .conversations import ConversationsSettings
from .event_streams import EventStreamsSettings


# A dataclass lists the fields of its last base first.
@dataclass
class Settings(EventStreamsSettings, ConversationsSettings, ChatSettings, CommonSettings, Switches):
    """The switches, product by product; `switch` has the meaning of each."""

    def change(self, values: dict[str, Any]) -> None:
        least, most = values.get("stream_batch", (1, 1))
        if not 1 <= least <= most:
            raise ValueError("stream_batch is the least and the most events of a request")
        filters_of(values.get("sms_filters", []))
        super().change(values)
