"""What an answer of Twilio's must hold for flexsms to go on with it, endpoint by endpoint.

An answer that is cut off, comes from something in between, or lacks a field that a decision hangs on is no answer. It
is refused here, before the SDK reads it, so that one odd answer is one failed request and nothing more: a missing SID
never becomes the text "None", and a task without its attributes is never taken for one of no channel.

What only a person reads is not asked for. Neither is what a record of somebody else's may lack for good: whoever reads
such records (events, states) names the one that is malformed and passes over it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from flexsms.twilio.client.endpoints import in_service_too
from flexsms.twilio.client.routing import is_twilios

Check = Callable[[Any], bool]
Fields = Mapping[str, Check]

_SID = re.compile(r"[A-Z]{2}[0-9A-Za-z]+")


def _sid(value: Any) -> bool:
    return isinstance(value, str) and bool(_SID.fullmatch(value))


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _json_text(value: Any) -> bool:
    """JSON in a text, as Twilio gives attributes."""
    return isinstance(value, str) and _parsed(value) is not _NOTHING


def _json_object(value: Any) -> bool:
    return isinstance(value, str) and isinstance(_parsed(value), dict)


def _anything(_: Any) -> bool:
    return True


def _or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _holds(fields: Fields) -> Check:
    return lambda value: isinstance(value, dict) and not _wrong_field(value, fields)


def _all(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


_NOTHING = object()
_THING: Fields = {"sid": _sid}
_DOCUMENT: Fields = {"unique_name": _or_null(_text), "data": _anything, "revision": _text}
_ITEM: Fields = {"data": _object, "revision": _text, "date_created": _text}
# Attributes may be shown only where a single task is fetched: https://www.twilio.com/docs/taskrouter/api/task
_TASK: Fields = {"sid": _sid, "attributes": _json_object}
_LISTED_TASK: Fields = {"sid": _sid, "attributes": _or_null(_json_text)}
_MESSAGE: Fields = {"sid": _sid, "attributes": _json_text}
_LISTED_MESSAGE: Fields = {"sid": _sid, "attributes": _or_null(_json_text), "date_created": _text}
_SMS_PAGE: Fields = {  # older than `meta`
    "messages": lambda found: isinstance(found, list) and all(map(_holds({"sid": _sid, "to": _text}), found)),
    "next_page_uri": _or_null(_text),
}
_CHAT_CHANNEL: Fields = {
    "sid": _sid,
    "attributes": _json_object,
    "date_created": _text,
    "messages_count": _number,
}
_CONVERSATION: Fields = {
    "sid": _sid,
    "unique_name": _or_null(_text),
    "attributes": _json_object,
    "state": _text,
    "date_created": _text,
}
_FLEX_CHANNEL: Fields = {"sid": _sid, "task_sid": _or_null(_sid), "date_created": _text}
_ROUTED: Fields = {"sid": _sid, "routing": _or_null(_object)}
_SESSION: Fields = {"sid": _sid, "unique_name": _or_null(_text), "status": _text}
_FLOW: Fields = {
    "sid": _sid,
    "contact_identity": _or_null(_text),
    "integration_type": _or_null(_text),
    "integration": _or_null(_object),
    "channel_type": _text,
    "enabled": _or_null(_truth),
}
_SINK: Fields = {"sid": _sid, "sink_type": _text, "sink_configuration": _anything, "status": _text}

# All that flexsms calls. An endpoint that is not here only has to answer with an object or a page.
THINGS: Mapping[str, Fields] = in_service_too(
    {
        # https://www.twilio.com/docs/sync/api
        "GET sync.twilio.com/v1/Services/{id}": _THING,
        "POST sync.twilio.com/v1/Services": _THING,
        "POST sync.twilio.com/v1/Services/{id}/Documents": _THING,
        "GET sync.twilio.com/v1/Services/{id}/Documents/{id}": _DOCUMENT,
        "POST sync.twilio.com/v1/Services/{id}/Documents/{id}": _DOCUMENT,
        "POST sync.twilio.com/v1/Services/{id}/Maps": _THING,
        "POST sync.twilio.com/v1/Services/{id}/Maps/{id}/Items": _ITEM,
        "GET sync.twilio.com/v1/Services/{id}/Maps/{id}/Items/{id}": _ITEM,
        "POST sync.twilio.com/v1/Services/{id}/Maps/{id}/Items/{id}": _ITEM,
        # https://www.twilio.com/docs/taskrouter/api
        "GET taskrouter.twilio.com/v1/Workspaces/{id}": _THING,
        "GET taskrouter.twilio.com/v1/Workspaces/{id}/Workers/{id}": _THING,
        "GET taskrouter.twilio.com/v1/Workspaces/{id}/Workflows/{id}": _THING,
        "GET taskrouter.twilio.com/v1/Workspaces/{id}/TaskQueues/{id}": _THING,
        "GET taskrouter.twilio.com/v1/Workspaces/{id}/Tasks/{id}": _TASK,
        "POST taskrouter.twilio.com/v1/Workspaces/{id}/Tasks": _THING,
        "POST taskrouter.twilio.com/v1/Workspaces/{id}/Tasks/{id}": _THING,
        # https://www.twilio.com/docs/chat/rest
        "GET chat.twilio.com/v2/Services/{id}": _THING,
        "GET chat.twilio.com/v2/Services/{id}/Channels/{id}": _CHAT_CHANNEL,
        "POST chat.twilio.com/v2/Services/{id}/Channels/{id}": _THING,
        "GET chat.twilio.com/v2/Services/{id}/Channels/{id}/Messages/{id}": _MESSAGE,
        "POST chat.twilio.com/v2/Services/{id}/Channels/{id}/Messages": _THING,
        # https://www.twilio.com/docs/proxy/api
        "GET proxy.twilio.com/v1/Services/{id}": _THING,
        "POST proxy.twilio.com/v1/Services/{id}/Sessions": _SESSION,
        "GET proxy.twilio.com/v1/Services/{id}/Sessions/{id}": _SESSION,
        "POST proxy.twilio.com/v1/Services/{id}/Sessions/{id}": _SESSION,
        "POST proxy.twilio.com/v1/Services/{id}/Sessions/{id}/Participants": _THING,
        # https://www.twilio.com/docs/flex/developer/messaging/chat-channel
        "POST flex-api.twilio.com/v1/Channels": _FLEX_CHANNEL,
        "POST flex-api.twilio.com/v1/FlexFlows": _THING,
        "POST flex-api.twilio.com/v1/FlexFlows/{id}": _THING,
        # https://www.twilio.com/docs/flex/developer/conversations/interactions-api
        "POST flex-api.twilio.com/v1/Interactions": {"channel": _holds({"sid": _sid}), **_ROUTED},
        "GET flex-api.twilio.com/v1/Interactions/{id}": _THING,
        "GET flex-api.twilio.com/v1/Interactions/{id}/Channels/{id}": {"sid": _sid, "status": _text},
        "POST flex-api.twilio.com/v1/Interactions/{id}/Channels/{id}": {"sid": _sid, "status": _text},
        "POST flex-api.twilio.com/v1/Interactions/{id}/Channels/{id}/Invites": _ROUTED,
        "GET flex-api.twilio.com/v1/Configuration": {"chat_service_instance_sid": _or_null(_sid)},
        # https://www.twilio.com/docs/conversations/api
        "GET conversations.twilio.com/v1/Services/{id}": _THING,
        "GET conversations.twilio.com/v1/Configuration": {"default_chat_service_sid": _or_null(_sid)},
        "POST conversations.twilio.com/v1/Conversations": _CONVERSATION,
        "GET conversations.twilio.com/v1/Conversations/{id}": _CONVERSATION,
        "POST conversations.twilio.com/v1/Conversations/{id}": _CONVERSATION,
        "GET conversations.twilio.com/v1/Conversations/{id}/Messages/{id}": _MESSAGE,
        "POST conversations.twilio.com/v1/Conversations/{id}/Messages": _THING,
        "POST conversations.twilio.com/v1/Conversations/{id}/Participants": _THING,
        "POST conversations.twilio.com/v1/Conversations/{id}/Webhooks": _THING,
        "POST conversations.twilio.com/v1/Configuration/Addresses": _THING,
        "POST conversations.twilio.com/v1/Configuration/Addresses/{id}": _THING,
        # https://www.twilio.com/docs/messaging/api/message-resource
        "POST api.twilio.com/2010-04-01/Accounts/{id}/Messages.json": _THING,
        "GET api.twilio.com/2010-04-01/Accounts/{id}/Messages.json": _SMS_PAGE,
        "GET api.twilio.com/2010-04-01/Accounts/{id}/Messages/{id}": {
            "sid": _sid,
            "error_code": _or_null(_number),
            "date_created": _or_null(_text),
            "date_updated": _or_null(_text),
            "date_sent": _or_null(_text),
        },
        # https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource, whose pages have no meta
        "GET api.twilio.com/2010-04-01/Accounts/{id}/IncomingPhoneNumbers.json": {
            "incoming_phone_numbers": _all(_holds({"phone_number": _text, "capabilities": _or_null(_object)}))
        },
        # https://www.twilio.com/docs/events
        "POST events.twilio.com/v1/Sinks": _SINK,
        "GET events.twilio.com/v1/Sinks/{id}": _SINK,
        "POST events.twilio.com/v1/Subscriptions": _THING,
    }
)

# The key under which a list has its records, and what each of them holds.
PAGES: Mapping[str, tuple[str, Fields]] = in_service_too(
    {
        "GET sync.twilio.com/v1/Services": ("services", {"sid": _sid, "friendly_name": _or_null(_text)}),
        "GET sync.twilio.com/v1/Services/{id}/Documents": ("documents", _DOCUMENT),
        "GET sync.twilio.com/v1/Services/{id}/Maps": ("maps", {"unique_name": _or_null(_text)}),
        "GET sync.twilio.com/v1/Services/{id}/Maps/{id}/Items": ("items", {"key": _text, **_ITEM}),
        "GET taskrouter.twilio.com/v1/Workspaces/{id}/Tasks": ("tasks", _LISTED_TASK),
        "GET taskrouter.twilio.com/v1/Workspaces/{id}/Events": ("events", {}),
        "GET chat.twilio.com/v2/Services/{id}/Channels/{id}/Messages": ("messages", _LISTED_MESSAGE),
        "GET proxy.twilio.com/v1/Services/{id}/Sessions": ("sessions", {"sid": _sid, "status": _text}),
        "GET proxy.twilio.com/v1/Services/{id}/Sessions/{id}/Participants": (
            "participants",
            {"sid": _sid, "identifier": _text},
        ),
        "GET proxy.twilio.com/v1/Services/{id}/Sessions/{id}/Interactions": (
            "interactions",
            {
                "inbound_resource_sid": _or_null(_text),
                "outbound_resource_sid": _or_null(_text),
                "outbound_resource_status": _or_null(_text),
            },
        ),
        "GET flex-api.twilio.com/v1/FlexFlows": ("flex_flows", _FLOW),
        "GET conversations.twilio.com/v1/Services": ("services", {"sid": _sid}),
        "GET conversations.twilio.com/v1/ParticipantConversations": (
            "conversations",
            {
                "conversation_sid": _sid,
                "conversation_state": _text,
                "conversation_date_created": _text,
                "participant_messaging_binding": _or_null(_object),
            },
        ),
        "GET conversations.twilio.com/v1/Conversations/{id}/Messages": ("messages", _LISTED_MESSAGE),
        "GET conversations.twilio.com/v1/Conversations/{id}/Messages/{id}/Receipts": (
            "delivery_receipts",
            {"status": _text, "error_code": _or_null(_number), "channel_message_sid": _or_null(_text)},
        ),
        "GET conversations.twilio.com/v1/Conversations/{id}/Participants": (
            "participants",
            {"sid": _sid, "messaging_binding": _or_null(_object)},
        ),
        "GET conversations.twilio.com/v1/Conversations/{id}/Webhooks": (
            "webhooks",
            {"sid": _sid, "target": _text, "configuration": _or_null(_object)},
        ),
        "GET conversations.twilio.com/v1/Configuration/Addresses": (
            "address_configurations",
            {"sid": _sid, "address": _text, "auto_creation": _or_null(_object)},
        ),
        "GET events.twilio.com/v1/Sinks": ("sinks", _SINK),
        "GET events.twilio.com/v1/Subscriptions": ("subscriptions", {"sid": _sid, "sink_sid": _sid}),
        "GET events.twilio.com/v1/Subscriptions/{id}/SubscribedEvents": (
            "types",
            {"type": _text, "schema_version": _number},
        ),
    }
)


def what_is_wrong(name: str, url: str, status: int, text: str) -> str:
    """What is wrong with the answer to a request that seems to have worked; empty: nothing.

    :param name: the endpoint, as :func:`flexsms.twilio.client.endpoints.endpoint` writes it
    :param url: what was asked for, as the SDK gives it
    :param status: 200 to 299
    :param text: the body
    """
    if name.startswith("DELETE "):
        # All of Twilio's products that flexsms uses answer 204 with nothing.
        return "" if status == 204 and not text else "the answer was not Twilio's"
    body = _parsed(text)
    if not isinstance(body, dict):
        return "the answer was not Twilio's, or was cut off"
    if name in PAGES:
        return _wrong_page(body, *PAGES[name], url=url) if status == 200 else "the answer was no page"
    if "meta" in body and name not in THINGS:  # a list that flexsms does not know
        meta = body["meta"] if isinstance(body["meta"], dict) else {}
        return _wrong_page(body, str(meta.get("key")), {}, url=url)
    field = _wrong_field(body, THINGS.get(name, {}))
    return f"the answer has no proper {field}" if field else ""


def _wrong_page(body: Mapping[str, Any], key: str, fields: Fields, *, url: str) -> str:
    meta, records = body.get("meta"), body.get(key)
    if not isinstance(meta, dict) or meta.get("key") != key or not isinstance(records, list):
        return f"the page has no list of {key}"
    # Without a word of the next page nobody knows whether this is the last one; null says that it is.
    if "next_page_url" not in meta or not _or_null(_text)(meta["next_page_url"]):
        return "the page does not tell which is next"
    following = meta["next_page_url"]
    if following and not is_twilios(following):
        return "the page leads to another host"
    if following == url:
        return "the page leads to itself"
    for record in records:
        if not isinstance(record, dict):
            return f"one of the {key} is no object"
        if field := _wrong_field(record, fields):
            return f"one of the {key} has no proper {field}"
    return ""


def _wrong_field(record: Mapping[str, Any], fields: Fields) -> str:
    """The first field that is missing or of another kind, empty when there is none."""
    return next((name for name, check in fields.items() if name not in record or not check(record[name])), "")


def _parsed(text: str) -> Any:
    """JSON as the SDK reads it, because what it does not take must be refused here; ``_NOTHING`` where it is none."""
    try:
        return orjson.loads(text)
    except ValueError:
        pass  # orjson is twice as fast, and does not take all that the SDK takes, like half an emoji
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NOTHING
