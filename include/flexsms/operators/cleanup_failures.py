"""Why channels failed, told once per cause and not once per channel."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

NAMED_CAUSES = 5
NAMED_CHANNELS = 3
_SID = re.compile(r"\b[A-Z]{2}[0-9a-f]{32}\b")


def causes(failures: Iterable[Mapping[str, Any]]) -> str:
    """A sentence per cause, the most frequent first, each with the first channels at its end.

    :param failures: each with ``channel_sid`` and ``message``, as :func:`flexsms.twilio.cleanup.outcomes.failure` makes
        them
    """
    messages: dict[str, str] = {}
    channels: dict[str, list[str]] = {}
    for one in failures:
        sid, message = str(one["channel_sid"]), str(one["message"]).rstrip(".")
        cause = _SID.sub("", message)
        messages.setdefault(cause, message.replace(sid, "the channel"))
        channels.setdefault(cause, []).append(sid)
    frequent = sorted(channels, key=lambda cause: -len(channels[cause]))
    told = [f"{len(channels[cause])} × {messages[cause]} ({_first(channels[cause])})." for cause in frequent]
    if len(told) > NAMED_CAUSES:
        told[NAMED_CAUSES:] = [f"{len(told) - NAMED_CAUSES} more causes."]
    return " ".join(told)


def _first(sids: list[str]) -> str:
    return ", ".join([*sids[:NAMED_CHANNELS], *(["…"] if len(sids) > NAMED_CHANNELS else [])])
