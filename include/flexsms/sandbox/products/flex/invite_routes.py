"""flex-api v1: the invites and the participants of an interaction channel (https://www.twilio.com/docs/flex/developer/conversations/interactions-api)."""

from __future__ import annotations

from typing import Any

from ...http import Problem, Response, ok
from ...routing.call import Call
from ...routing.paging import page, walk
from ...routing.params import Params, enum, json_value
from ...routing.router import router
from ...state.account import EmulatedAccount
from ...state.rows.conversations import FlexChannel, FlexParticipant, Invite
from . import interactions
from .interaction_routes import CHANNEL, HOST, UNPROCESSABLE, channel_of, channel_url, read_routing
from .invites import invite, routing_json

api = router(HOST)


def invite_json(account: EmulatedAccount, channel: FlexChannel, one: Invite) -> dict[str, Any]:
    return {
        "sid": one.sid,
        "interaction_sid": channel.parent,
        "channel_sid": channel.sid,
        "routing": routing_json(account, one),
        "url": f"{channel_url(channel)}/Invites/{one.sid}",
    }


def participant_json(channel: FlexChannel, one: FlexParticipant) -> dict[str, Any]:
    return {
        "sid": one.sid,
        "type": one.type,
        "interaction_sid": channel.parent,
        "channel_sid": channel.sid,
        "url": f"{channel_url(channel)}/Participants/{one.sid}",
        "routing_properties": one.routing,
    }


def _check_usable(call: Call, channel: FlexChannel, code: int) -> None:
    conversation = call.account.store.conversations.get(channel.conversation_sid)
    if channel.status not in interactions.USABLE or conversation is None or not conversation.open:
        sentence = (
            f"Failed to add Participant. Conversation {channel.conversation_sid} was closed or not found"
        )
        raise Problem(400, code, sentence)


@api.get(CHANNEL + "/Invites", paged=True)
def list_invites(call: Call, interaction: str, sid: str) -> Response:
    channel = channel_of(call, interaction, sid)
    rows = walk(call.account.store.invites.under(channel.sid))
    return page(call, rows, lambda one: invite_json(call.account, channel, one), key="invites", largest=1000)


@api.post(CHANNEL + "/Invites", Params(Routing=json_value(dict).must()).refused_as(UNPROCESSABLE))
def create_invite(call: Call, interaction: str, sid: str) -> Response:
    """Another task, for example when a parked conversation goes on; the attributes have to be given again."""
    channel = channel_of(call, interaction, sid)
    _check_usable(call, channel, call.account.settings.closed_invite_code)
    one = invite(call.account, channel, read_routing(call.account, call.p["Routing"]))
    interactions.wake(call.account, channel)
    return ok(invite_json(call.account, channel, one))


@api.get(CHANNEL + "/Participants", paged=True)
def list_participants(call: Call, interaction: str, sid: str) -> Response:
    """Those who have not left."""
    channel = channel_of(call, interaction, sid)
    rows = walk(call.account.store.flex_participants.under(channel.sid), keep=lambda one: not one.left)
    return page(call, rows, lambda one: participant_json(channel, one), key="participants", largest=1000)


@api.post(
    CHANNEL + "/Participants",
    Params(
        Type=enum("supervisor", "customer", "external", "agent", "unknown").must(),
        MediaProperties=json_value(dict).must(),
        RoutingProperties=json_value(dict),
    ).refused_as(UNPROCESSABLE),
)
def create_participant(call: Call, interaction: str, sid: str) -> Response:
    """Recorded only: what the media properties say is not carried out."""
    channel = channel_of(call, interaction, sid)
    _check_usable(call, channel, 45376)
    one = FlexParticipant(*call.account.stamp("UT"), channel.sid, call.p["Type"])
    channel.used = one.created
    return ok(participant_json(channel, call.account.store.flex_participants.add(one)))


@api.post(
    CHANNEL + "/Participants/{participant}",
    Params(Status=enum("closed", "wrapup").must()).refused_as(UNPROCESSABLE),
)
def update_participant(call: Call, interaction: str, sid: str, who: str) -> Response:
    """Park: the agent's task ends or wraps up, the conversation stays (https://www.twilio.com/docs/flex/developer/conversations/park-an-interaction)."""
    channel = channel_of(call, interaction, sid)
    one = call.found(call.account.store.flex_participants.within(channel.sid, who))
    interactions.leave(call.account, channel, one, call.p["Status"])
    return ok(participant_json(channel, one))
