"""Attributes as Twilio keeps them, and what those of a task tell of its channel."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from flexsms.core.stack_name import StackName

# What Flex calls a kind of channel: sms, whatsapp, web, custom, …
_REST_OF_SID = re.compile(r"[0-9a-fA-F]{32}")
CHANNEL_TYPE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
# The task attributes that name a channel.
CHANNEL_KEYS = {"conversationSid": StackName.CONVERSATIONS, "channelSid": StackName.CHAT}

_LINKS = (
    ("session", "proxySession", "KC"),
    ("interaction", "flexInteractionSid", "KD"),
    ("interaction_channel", "flexInteractionChannelSid", "UO"),
)


def parse_attributes(value: object) -> Mapping[str, Any]:
    """Task attributes as Twilio delivers them: a JSON string, redacted to nothing after 30 days."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}


def write_attributes(attributes: Mapping[str, Any]) -> str:
    """Attributes as Twilio takes them: short, unless they hold half an emoji, which only an escape can carry."""
    text = json.dumps(attributes, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(attributes)
    return text


def channel_of(attributes: Mapping[str, Any]) -> tuple[str, StackName] | None:
    """The channel that a task belongs to, by the task's attributes: None for voice and callbacks."""
    for key, stack in CHANNEL_KEYS.items():
        sid = attributes.get(key)
        if is_sid(sid, "CH"):
            return sid, stack
    return None


def channel_type_of(attributes: Mapping[str, Any]) -> str | None:
    """The kind of channel that a task names, like ``sms``, ``whatsapp`` or ``web``; None when it names none."""
    value = attributes.get("channelType")
    kind = value.lower() if isinstance(value, str) else ""
    return kind if CHANNEL_TYPE.fullmatch(kind) else None


def links_of(attributes: Mapping[str, Any], workspace_sid: object = None) -> Mapping[str, str]:
    """What the attributes of a task tell of its channel that retiring it needs, by name: SIDs, and the ``type``.

    :param workspace_sid: what an event names as the task's workspace
    """
    found: dict[str, str] = {}
    for name, key, prefix in _LINKS:
        sid = attributes.get(key)
        if is_sid(sid, prefix):
            found[name] = sid
    kind = channel_type_of(attributes)
    if kind:
        found["type"] = kind
    if is_sid(workspace_sid, "WS"):
        found["workspace"] = workspace_sid
    return found


def is_sid(value: object, prefix: str) -> TypeGuard[str]:
    """Whether something is a SID of that kind."""
    return (
        isinstance(value, str)
        and value.startswith(prefix)
        and _REST_OF_SID.fullmatch(value, len(prefix)) is not None
    )
