"""chat v2: channels and their messages (https://www.twilio.com/docs/chat/rest/channel-resource).

Channel updates take no If-Match: changing attributes is an unguarded read-modify-write, there as here.
"""

from __future__ import annotations

from typing import Any

from ...http import Invalid, Problem, Response, check_webhook_header, created, gone, ok
from ...routing.call import Call
from ...routing.paging import page, walk
from ...routing.params import Params, enum, json_text, moment, text
from ...routing.router import router
from ...state.account import EmulatedAccount
from ...state.rows.chat import Channel, Message
from ...state.rows.row import dates
from ...state.rows.shared import Service
from ...state.sids import looks_like
from . import channels

HOST = "chat.twilio.com"
api = router(HOST)

CHANNEL = Params(
    FriendlyName=text(256),
    UniqueName=text(256, code=50004),
    Attributes=json_text(),
    DateCreated=moment(),
    DateUpdated=moment(),
    CreatedBy=text(),
)
FIELDS = {
    "FriendlyName": "friendly_name",
    "DateCreated": "created",
    "DateUpdated": "updated",
    "CreatedBy": "created_by",
}


def service_json(account: EmulatedAccount, service: Service) -> dict[str, Any]:
    url = f"https://{HOST}/v2/Services/{service.sid}"
    return {
        "sid": service.sid,
        "account_sid": account.account_sid,
        "friendly_name": service.name,
        **dates(service),
        "default_service_role_sid": "RL" + account.sids.token("service role"),
        "default_channel_role_sid": "RL" + account.sids.token("channel role"),
        "default_channel_creator_role_sid": "RL" + account.sids.token("creator role"),
        "read_status_enabled": True,
        "reachability_enabled": False,
        "typing_indicator_timeout": 5,
        "consumption_report_interval": 10,
        "limits": {"channel_members": 100, "user_channels": 250},
        "pre_webhook_url": None,
        "post_webhook_url": None,
        "webhook_method": None,
        "webhook_filters": [],
        "pre_webhook_retry_count": 0,
        "post_webhook_retry_count": 0,
        "notifications": {},
        "media": {
            "size_limit_mb": 150,
            "compatibility_message": "Media messages are not supported by your client",
        },
        "url": url,
        "links": {name: f"{url}/{name.capitalize()}" for name in ("channels", "users", "roles", "bindings")},
    }


def channel_json(account: EmulatedAccount, channel: Channel) -> dict[str, Any]:
    url = f"https://{HOST}/v2/Services/{channel.parent}/Channels/{channel.sid}"
    return {
        "sid": channel.sid,
        "account_sid": account.account_sid,
        "service_sid": channel.parent,
        "friendly_name": channel.friendly_name,
        "unique_name": channel.name,
        "attributes": channel.attributes,
        "type": channel.type,
        **dates(channel),
        "created_by": channel.created_by,
        "members_count": 1 if channel.flow_sid else 0,
        "messages_count": channel.messages,
        "url": url,
        "links": {
            "members": f"{url}/Members",
            "messages": f"{url}/Messages",
            "invites": f"{url}/Invites",
            "webhooks": f"{url}/Webhooks",
            "last_message": None,
        },
    }


def message_json(account: EmulatedAccount, channel: Channel, message: Message) -> dict[str, Any]:
    return {
        "sid": message.sid,
        "account_sid": account.account_sid,
        "service_sid": channel.parent,
        "to": channel.sid,
        "channel_sid": channel.sid,
        "attributes": message.attributes,
        **dates(message),
        "last_updated_by": None,
        "was_edited": False,
        "from": message.author,
        "body": message.body,
        "index": message.index,
        "type": "text",
        "media": None,
        "url": f"https://{HOST}/v2/Services/{channel.parent}/Channels/{channel.sid}/Messages/{message.sid}",
    }


def _service(call: Call, sid: str) -> Service:
    return call.found(call.account.store.services.within("chat", sid))


def _channel(call: Call, service_sid: str, name: str) -> Channel:
    service = _service(call, service_sid)
    store = call.account.store.channels
    channel = store.within(service.sid, name) if looks_like("CH", name) else store.named(service.sid, name)
    if channel is None:
        raise Problem(404, 50300, f"Channel not found: {name}")
    return channel


@api.get("/v2/Services", paged=True)
def list_services(call: Call) -> Response:
    rows = walk(call.account.store.services.under("chat"))
    return page(call, rows, lambda service: service_json(call.account, service), key="services", largest=100)


@api.get("/v2/Services/{service}")
def fetch_service(call: Call, service: str) -> Response:
    return ok(service_json(call.account, _service(call, service)))


@api.get("/v2/Services/{service}/Channels", Params(Type=enum("public", "private").repeated()), paged=True)
def list_channels(call: Call, service: str) -> Response:
    """Public channels unless `Type` says otherwise; Flex's channels are private (https://www.twilio.com/docs/chat/rest/channel-resource)."""
    wanted = call.p.get("Type") or ["public"]
    order = call.account.store.channels.under(_service(call, service).sid)
    rows = walk(order, keep=lambda channel: channel.type in wanted)
    return page(call, rows, lambda channel: channel_json(call.account, channel), key="channels", largest=100)


@api.post(
    "/v2/Services/{service}/Channels", Params({**CHANNEL.declared(), "Type": enum("public", "private")})
)
def create_channel(call: Call, service: str) -> Response:
    check_webhook_header(call.request)
    parent = _service(call, service).sid
    kind = call.p.pop("Type", "public")
    channel = Channel(*call.account.stamp("CH"), parent, None, None, "{}", kind, "system")
    call.account.store.channels.add(channel)
    try:
        _apply(call.account, channel, call.p)
    except Problem:
        call.account.store.channels.drop(channel)
        raise
    return created(channel_json(call.account, channel))


def _apply(account: EmulatedAccount, channel: Channel, p: dict[str, Any], *, webhook: bool = True) -> None:
    if name := p.get("UniqueName"):
        if looks_like("CH", name):
            raise Invalid("Channel unique name must not look like a Channel SID", 50306)
        taken = account.store.channels.named(channel.parent, name)
        if taken is not None and taken is not channel:
            raise Problem(409, 50307, "Channel with provided unique name already exists")
    if "UniqueName" in p:
        account.store.channels.rename(channel, p["UniqueName"] or None)
    if "Attributes" in p:
        channels.set_attributes(account, channel, p["Attributes"], webhook=webhook)
    channel.updated = account.clock.now()
    for name, field in FIELDS.items():
        if name in p:
            setattr(channel, field, p[name])


@api.get("/v2/Services/{service}/Channels/{channel}")
def fetch_channel(call: Call, service: str, name: str) -> Response:
    return ok(channel_json(call.account, _channel(call, service, name)))


@api.post("/v2/Services/{service}/Channels/{channel}", CHANNEL)
def update_channel(call: Call, service: str, name: str) -> Response:
    check_webhook_header(call.request)
    channel = _channel(call, service, name)
    webhook = call.request.header(b"x-twilio-webhook-enabled") == "true"
    _apply(call.account, channel, call.p, webhook=webhook)
    return ok(channel_json(call.account, channel))


@api.delete("/v2/Services/{service}/Channels/{channel}")
def delete_channel(call: Call, service: str, name: str) -> Response:
    check_webhook_header(call.request)
    channels.drop(call.account, _channel(call, service, name))
    return gone()


@api.post(
    "/v2/Services/{service}/Channels/{channel}/Messages",
    Params(
        {"From": text()},
        Attributes=json_text(),
        Body=text(32 * 1024),
        MediaSid=text(),
        DateCreated=moment(),
        DateUpdated=moment(),
        LastUpdatedBy=text(),
    ),
)
def create_message(call: Call, service: str, name: str) -> Response:
    """201 says only that chat has it; whether it reached a handset is the session's affair (https://www.twilio.com/docs/chat/rest/channel-resource)."""
    check_webhook_header(call.request)
    channel = _channel(call, service, name)
    if not call.p.get("Body") and not call.p.get("MediaSid"):
        raise Invalid("Message body not provided", call.account.settings.empty_message_code)
    message = channels.post(
        call.account,
        channel,
        call.p.get("From") or "system",
        call.p.get("Body"),
        call.p.get("Attributes", "{}"),
    )
    message.created = call.p.get("DateCreated", message.created)
    message.updated = call.p.get("DateUpdated", message.updated)
    return created(message_json(call.account, channel, message))


@api.get("/v2/Services/{service}/Channels/{channel}/Messages", Params(Order=enum("asc", "desc")), paged=True)
def list_messages(call: Call, service: str, name: str) -> Response:
    channel = _channel(call, service, name)
    rows = walk(call.account.store.messages.under(channel.sid), descending=call.p.get("Order") == "desc")
    hidden = {} if call.account.settings.message_list_attributes else {"attributes": None}
    return page(
        call,
        rows,
        lambda message: message_json(call.account, channel, message) | hidden,
        key="messages",
        largest=100,
    )


@api.get("/v2/Services/{service}/Channels/{channel}/Messages/{message}")
def fetch_message(call: Call, service: str, name: str, sid: str) -> Response:
    channel = _channel(call, service, name)
    message = call.found(call.account.store.messages.within(channel.sid, sid))
    return ok(message_json(call.account, channel, message))
