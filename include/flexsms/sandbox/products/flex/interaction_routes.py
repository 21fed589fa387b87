"""flex-api v1: interactions and their channels
(https://www.twilio.com/docs/flex/developer/conversations/interactions-api).

What a request asks for is checked at once (400); what becomes of it shows in the channel: `setup`, then `active`
or `failed`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...http import Invalid, NotFound, Response, ok
from ...routing.call import Call
from ...routing.paging import page, walk
from ...routing.params import Params, enum, json_value, text
from ...routing.router import router
from ...state.account import EmulatedAccount
from ...state.rows.conversations import Conversation, FlexChannel, FlexInteraction
from . import interactions
from .invites import Routing, routing_json

HOST = "flex-api.twilio.com"
api = router(HOST)

CHANNEL = "/v1/Interactions/{interaction}/Channels/{channel}"
UNPROCESSABLE = 45008
TYPES = ("sms", "whatsapp", "web", "chat", "email", "messenger", "gbm", "voice")
CHANNEL_KEYS = {"type", "initiated_by", "participants", "properties"}
ROUTING_KEYS = {
    "workspace_sid",
    "workflow_sid",
    "queue_sid",
    "worker_sid",
    "task_channel_sid",
    "task_channel_unique_name",
    "attributes",
    "priority",
    "timeout",
}


class Unprocessable(Invalid):
    """400 45008, Flex's own code for an interaction that is asked for wrongly
    (https://www.twilio.com/docs/api/errors/45008)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, UNPROCESSABLE)


def channel_url(channel: FlexChannel) -> str:
    return f"https://{HOST}/v1/Interactions/{channel.parent}/Channels/{channel.sid}"


def interaction_json(account: EmulatedAccount, one: FlexInteraction) -> dict[str, Any]:
    url = f"https://{HOST}/v1/Interactions/{one.sid}"
    return {
        "sid": one.sid,
        "channel": {"type": one.type, "sid": one.channel_sid},
        "routing": routing_json(account, account.store.invites.get(one.invite_sid)),
        "interaction_context_sid": one.context_sid,
        "webhook_ttid": one.webhook_ttid,
        "url": url,
        "links": {"channels": f"{url}/Channels"},
    }


def channel_json(channel: FlexChannel) -> dict[str, Any]:
    url = channel_url(channel)
    return {
        "sid": channel.sid,
        "interaction_sid": channel.parent,
        "type": channel.type,
        "status": channel.status,
        "error_code": channel.error_code,
        "error_message": channel.error_message,
        "url": url,
        "links": {name.lower(): f"{url}/{name}" for name in ("Participants", "Invites", "Transfers")},
    }


def _interaction(call: Call, sid: str) -> FlexInteraction:
    return call.found(call.account.store.flex_interactions.get(sid))


def channel_of(call: Call, interaction_sid: str, sid: str) -> FlexChannel:
    """404 also after 180 days in which nothing happened to it
    (https://www.twilio.com/docs/flex/developer/conversations/interactions-api)."""
    channel = call.account.store.flex_channels.within(_interaction(call, interaction_sid).sid, sid)
    if channel is None or interactions.forgotten(call.account, channel):
        raise NotFound(call.request.path)
    return channel


def read_routing(account: EmulatedAccount, given: Any) -> Routing:
    """The `Routing` of an interaction or an invite; Invalid names what is wrong with it."""
    properties = given.get("properties") if isinstance(given, dict) else None
    if not isinstance(properties, dict):
        raise Unprocessable("Invalid Routing: properties is required")
    if unknown := properties.keys() - ROUTING_KEYS:
        raise Unprocessable(f"Invalid Routing: unknown property {min(unknown)}")
    if properties.get("workspace_sid") != account.workspace_sid:
        raise Unprocessable(
            f"Invalid Routing: workspace_sid {properties.get('workspace_sid')} does not exist"
        )
    values: dict[str, Any] = {}
    for name, table in (("workflow_sid", "workflows"), ("queue_sid", "queues"), ("worker_sid", "workers")):
        values[name] = sid = properties.get(name)
        if sid and not account.store.fixtures.within(f"{table}/{account.workspace_sid}", str(sid)):
            raise Unprocessable(f"Invalid Routing: {name} {sid} is not in workspace {account.workspace_sid}")
    if values["worker_sid"] and not values["queue_sid"]:
        raise Unprocessable("Invalid Routing: worker_sid needs queue_sid")
    attributes = properties.get("attributes", {})
    if not isinstance(attributes, dict):
        raise Unprocessable("Invalid Routing: attributes is a JSON object")
    values |= {name: _number(properties, name) for name in ("priority", "timeout") if name in properties}
    return Routing(**values, channel_name=_task_channel(account, properties), attributes=attributes)


def _number(properties: dict[str, Any], name: str) -> int:
    value = properties[name]
    if not isinstance(value, int) or value < 0:
        raise Unprocessable(f"Invalid Routing: {name} is no number")
    return value


def _task_channel(account: EmulatedAccount, properties: dict[str, Any]) -> str:
    wanted = properties.get("task_channel_sid") or properties.get("task_channel_unique_name") or "chat"
    for name, sid in account.task_channel_sids.items():
        if wanted in (name, sid):
            return name
    raise Unprocessable(f"Invalid Routing: task channel {wanted} does not exist")


@api.post(
    "/v1/Interactions",
    Params(
        Channel=json_value(dict).must(),
        Routing=json_value(dict),
        InteractionContextSid=text(),
        WebhookTtid=text(),
    ).refused_as(UNPROCESSABLE),
)
def create_interaction(call: Call) -> Response:
    """200, which says "accepted". The page on interactions says who may leave out what."""
    channel = call.p["Channel"]
    if unknown := channel.keys() - CHANNEL_KEYS:
        raise Unprocessable(f"Invalid Channel: unknown field {min(unknown)}")
    if channel.get("type") not in TYPES:
        raise Unprocessable(f"Invalid Channel: type {channel.get('type')!r}")
    initiated_by = channel.get("initiated_by")
    if initiated_by not in ("agent", "customer", "api"):
        raise Unprocessable("Invalid Channel: initiated_by is agent, customer or api")
    conversation = _existing(call.account, channel)
    if conversation is None and "Routing" not in call.p:
        raise Unprocessable("Missing required parameter Routing in the post body")
    routing = read_routing(call.account, call.p["Routing"]) if "Routing" in call.p else Routing()
    if initiated_by == "agent" and (conversation or not routing.worker_sid):
        raise Unprocessable(
            "Invalid Channel: agent takes participants, and queue_sid and worker_sid in Routing"
        )
    if conversation is not None:
        interactions.check_single(call.account, conversation)
    if initiated_by == "customer" and conversation is None:
        raise Unprocessable("Invalid Channel: customer needs properties.media_channel_sid")
    if (
        initiated_by == "api"
        and routing.worker_sid
        and not call.account.settings.api_interaction_heeds_worker
    ):
        others = [sid for sid in call.account.worker_sids if sid != routing.worker_sid]
        routing = replace(routing, worker_sid=others[0])
    customer, number = (None, None) if conversation else _ends(channel)
    one = interactions.start(
        call.account,
        initiated_by,
        routing,
        conversation=conversation,
        kind=channel["type"],
        customer=customer,
        number=number,
        context_sid=call.p.get("InteractionContextSid"),
        webhook_ttid=call.p.get("WebhookTtid"),
    )
    return ok(interaction_json(call.account, one))


def _existing(account: EmulatedAccount, channel: dict[str, Any]) -> Conversation | None:
    sid = (channel.get("properties") or {}).get("media_channel_sid")
    if sid is None:
        return None
    conversation = account.store.conversations.get(sid)
    if conversation is None:
        raise Unprocessable(f"Invalid Channel: conversation {sid} does not exist")
    return conversation


def _ends(channel: dict[str, Any]) -> tuple[str, str]:
    people = channel.get("participants")
    if not isinstance(people, list) or len(people) != 1 or not isinstance(people[0], dict):
        raise Unprocessable("Invalid Channel: participants is a list of one address and proxy_address")
    ends = people[0].get("address"), people[0].get("proxy_address")
    if not all(isinstance(end, str) and end for end in ends):
        raise Unprocessable("Invalid Channel: a participant has an address and a proxy_address")
    return ends  # type: ignore[return-value]


@api.get("/v1/Interactions/{interaction}")
def fetch_interaction(call: Call, sid: str) -> Response:
    return ok(interaction_json(call.account, _interaction(call, sid)))


@api.post("/v1/Interactions/{interaction}", Params(WebhookTtid=text()).refused_as(UNPROCESSABLE))
def update_interaction(call: Call, sid: str) -> Response:
    one = _interaction(call, sid)
    one.webhook_ttid = call.p.get("WebhookTtid", one.webhook_ttid)
    return ok(interaction_json(call.account, one))


@api.get("/v1/Interactions/{interaction}/Channels", paged=True)
def list_channels(call: Call, sid: str) -> Response:
    rows = walk(
        call.account.store.flex_channels.under(_interaction(call, sid).sid),
        keep=lambda one: not interactions.forgotten(call.account, one),
    )
    return page(call, rows, channel_json, key="channels", largest=1000)


@api.get(CHANNEL)
def fetch_channel(call: Call, interaction: str, sid: str) -> Response:
    return ok(channel_json(channel_of(call, interaction, sid)))


@api.post(
    CHANNEL,
    Params(Status=enum("closed", "inactive").must(), Routing=json_value(dict)).refused_as(UNPROCESSABLE),
)
def update_channel(call: Call, interaction: str, sid: str) -> Response:
    """What the page on channels says of closing. Closing what is closed or failed is 200 and changes nothing
    (80906)."""
    channel = channel_of(call, interaction, sid)
    routing = call.p.get("Routing", {}).get("status")
    if routing not in (None, "closed", "wrapup"):
        raise Unprocessable(f"Invalid Routing: status {routing!r} is neither closed nor wrapup")
    if call.p["Status"] == "inactive" and routing != "closed":
        raise Unprocessable('Invalid Routing: with Status inactive, {"status": "closed"} is required')
    interactions.close(call.account, channel, call.p["Status"], routing or "wrapup")
    return ok(channel_json(channel))
