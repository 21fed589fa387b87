"""flex-api v1: FlexFlows and Channels.

Sources: https://www.twilio.com/docs/flex/developer/messaging/manage-flows and
https://www.twilio.com/docs/flex/developer/messaging/chat-channel.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from ...http import Invalid, NotFound, Response, created, gone, ok
from ...routing.call import Call
from ...routing.paging import page, walk
from ...routing.params import Params, boolean, enum, integer, json_value, text
from ...routing.router import router
from ...state.account import EmulatedAccount
from ...state.rows.chat import Channel
from ...state.rows.flex import FlexFlow
from ...state.rows.row import dates
from ...state.rows.taskrouter import Task
from ..chat import channels
from ..proxy import sessions
from ..taskrouter import tasks

HOST = "flex-api.twilio.com"
api = router(HOST)

FLOW = Params(
    {
        "Integration.FlowSid": text(),
        "Integration.Url": text(),
        "Integration.WorkspaceSid": text(),
        "Integration.WorkflowSid": text(),
        "Integration.Channel": text(),
        "Integration.Timeout": integer(0),
        "Integration.Priority": integer(0),
        "Integration.CreationOnMessage": boolean(),
        "Integration.RetryCount": integer(0, 3),
    },
    FriendlyName=text().must(),
    ChatServiceSid=text().must(),
    ChannelType=enum("web", "sms", "facebook", "whatsapp", "line", "custom").must(),
    ContactIdentity=text(),
    Enabled=boolean(),
    IntegrationType=enum("studio", "external", "task"),
    LongLived=boolean(),
    JanitorEnabled=boolean(),
)
# What each kind of integration cannot do without.
NEEDS = {"studio": ("flow_sid",), "external": ("url",), "task": ("workspace_sid", "workflow_sid")}
NAMES = {
    "Integration.FlowSid": "flow_sid",
    "Integration.Url": "url",
    "Integration.WorkspaceSid": "workspace_sid",
    "Integration.WorkflowSid": "workflow_sid",
    "Integration.Channel": "channel",
    "Integration.Timeout": "timeout",
    "Integration.Priority": "priority",
    "Integration.CreationOnMessage": "creation_on_message",
    "Integration.RetryCount": "retry_count",
}
FIELDS = {
    "FriendlyName": "friendly_name",
    "ChatServiceSid": "chat_service_sid",
    "ChannelType": "channel_type",
    "ContactIdentity": "contact_identity",
    "Enabled": "enabled",
    "IntegrationType": "integration_type",
    "LongLived": "long_lived",
    "JanitorEnabled": "janitor_enabled",
}


def flow_json(account: EmulatedAccount, flow: FlexFlow) -> dict[str, Any]:
    return {
        "sid": flow.sid,
        "account_sid": account.account_sid,
        "friendly_name": flow.friendly_name,
        "chat_service_sid": flow.chat_service_sid,
        "channel_type": flow.channel_type,
        "contact_identity": flow.contact_identity,
        "enabled": flow.enabled,
        "integration_type": flow.integration_type,
        "integration": flow.integration,
        "long_lived": flow.long_lived,
        "janitor_enabled": flow.janitor_enabled,
        **dates(flow),
        "url": f"https://{HOST}/v1/FlexFlows/{flow.sid}",
    }


def channel_json(account: EmulatedAccount, channel: Channel) -> dict[str, Any]:
    return {
        "sid": channel.sid,
        "account_sid": account.account_sid,
        "flex_flow_sid": channel.flow_sid,
        "user_sid": channel.user_sid,
        "task_sid": channel.task_sid,
        **dates(channel),
        "url": f"https://{HOST}/v1/Channels/{channel.sid}",
    }


def _flow(call: Call, sid: str) -> FlexFlow:
    flow = call.account.store.flows.get(sid)
    if flow is None:
        raise NotFound(call.request.path, 45205)
    return flow


def _changed(account: EmulatedAccount, flow: FlexFlow, p: dict[str, Any]) -> FlexFlow:
    """The flow with the given parameters in place, if it is a possible one."""
    fields = {FIELDS[name]: value for name, value in p.items() if name in FIELDS}
    integration = {NAMES[name]: value for name, value in p.items() if name in NAMES}
    changed = replace(flow, **fields, integration={**flow.integration, **integration})
    missing = [name for name in NEEDS[changed.integration_type] if not changed.integration.get(name)]
    if missing:
        raise Invalid(f"Integration type {changed.integration_type} needs {', '.join(missing)}")
    service = account.store.services.get(changed.chat_service_sid)
    if service is None or service.parent != "chat":
        raise Invalid(f"Invalid ChatServiceSid: {changed.chat_service_sid} does not exist")
    return changed


@api.get("/v1/FlexFlows", Params(FriendlyName=text()), paged=True)
def list_flows(call: Call) -> Response:
    wanted = call.p.get("FriendlyName")
    rows = walk(
        call.account.store.flows.under("flows"), keep=lambda flow: wanted in (None, flow.friendly_name)
    )
    return page(call, rows, lambda flow: flow_json(call.account, flow), key="flex_flows", largest=1000)


@api.post("/v1/FlexFlows", FLOW)
def create_flow(call: Call) -> Response:
    flow = FlexFlow(*call.account.stamp("FO"), "flows", "", "", "", None, False, "external", {}, False, False)
    flow = call.account.store.flows.add(_changed(call.account, flow, call.p))
    return created(flow_json(call.account, flow))


@api.get("/v1/FlexFlows/{flow}")
def fetch_flow(call: Call, sid: str) -> Response:
    return ok(flow_json(call.account, _flow(call, sid)))


@api.post("/v1/FlexFlows/{flow}", FLOW.optional())
def update_flow(call: Call, sid: str) -> Response:
    flow = call.account.store.flows.add(_changed(call.account, _flow(call, sid), call.p))
    flow.updated = call.account.clock.now()
    return ok(flow_json(call.account, flow))


@api.delete("/v1/FlexFlows/{flow}")
def delete_flow(call: Call, sid: str) -> Response:
    call.account.store.flows.drop(_flow(call, sid))
    return gone()


def _channel(call: Call, sid: str) -> Channel:
    channel = call.account.store.channels.get(sid)
    if channel is None or not channel.flow_sid:
        raise NotFound(call.request.path, 45204)
    return channel


@api.get("/v1/Channels", paged=True)
def list_channels(call: Call) -> Response:
    rows = walk(
        call.account.store.channels.under(call.account.chat_service_sid),
        keep=lambda channel: bool(channel.flow_sid),
    )
    return page(call, rows, partial(channel_json, call.account), key="flex_chat_channels", largest=1000)


@api.post(
    "/v1/Channels",
    Params(
        FlexFlowSid=text().must(),
        Identity=text().must(),
        ChatUserFriendlyName=text().must(),
        ChatFriendlyName=text().must(),
        Target=text(),
        ChatUniqueName=text(),
        PreEngagementData=text(),
        TaskSid=text(),
        TaskAttributes=json_value(dict),
        LongLived=boolean(),
    ),
)
def create_channel(call: Call) -> Response:
    """The ACTIVE channel of the same numbers and flow, or a new one; 201 for both (200 or 201: unverified).

    With a task flow the answer names the channel's open task, made now if there is none. `CreationOnMessage`
    leaves that to the customer's first reply.
    """
    flow = call.account.store.flows.get(call.p["FlexFlowSid"])
    if flow is None:
        raise Invalid(f"FlexFlow {call.p['FlexFlowSid']} does not exist", 45205)
    attributes: dict[str, Any] = call.p.get("TaskAttributes") or {}
    customer = call.p.get("Target") or attributes.get("to")
    channel = channels.find(call.account, flow, customer) if customer else None
    if channel and call.account.settings.channel_matches_identity and channel.identity != call.p["Identity"]:
        channel = None
    is_new = channel is None
    if channel is None:
        channel = channels.start(
            call.account,
            flow,
            customer,
            call.p["ChatUserFriendlyName"],
            friendly_name=call.p["ChatFriendlyName"],
            unique_name=call.p.get("ChatUniqueName"),
            long_lived=call.p.get("LongLived"),
            pre_engagement=call.p.get("PreEngagementData"),
        )
        channel.identity = call.p["Identity"]
    if flow.integration_type == "task":
        if task := call.account.store.tasks.get(call.p.get("TaskSid")):
            _adopt(call.account, channel, task)
        elif not flow.integration.get("creation_on_message") and (
            is_new or call.account.settings.channel_reuse_opens_task
        ):
            channel.task_sid = channels.ensure_task(call.account, channel, "outbound", attributes).sid
    return created(channel_json(call.account, channel))


def _adopt(account: EmulatedAccount, channel: Channel, task: Task) -> None:
    """An existing task is given for the channel: it learns the channel's SID."""
    attributes = {**orjson.loads(task.attributes), "channelSid": channel.sid}
    tasks.change(account, task, attributes=orjson.dumps(attributes).decode())
    channel.task_sid = task.sid


@api.get("/v1/Channels/{channel}")
def fetch_channel(call: Call, sid: str) -> Response:
    return ok(channel_json(call.account, _channel(call, sid)))


@api.delete("/v1/Channels/{channel}")
def delete_channel(call: Call, sid: str) -> Response:
    """Flex takes its own session away with the channel."""
    channel = _channel(call, sid)
    if session := sessions.of_channel(call.account, channel):
        sessions.drop(call.account, session)
    channels.drop(call.account, channel)
    return gone()
