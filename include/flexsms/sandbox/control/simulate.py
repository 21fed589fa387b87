"""The people around Flex: a customer with a handset, an agent at the desk."""

from __future__ import annotations

from typing import Any

from ..http import Invalid
from ..products.chat import channels
from ..products.conversations import behaviour as conversations
from ..products.flex import inbound, interactions
from ..products.messaging import inbox, opt_out
from ..products.proxy import sessions
from ..products.taskrouter import tasks
from ..state.account import EmulatedAccount
from ..state.rows.chat import Channel, Message
from ..state.rows.conversations import Conversation
from ..state.rows.flex import FlexFlow
from ..state.rows.messaging import Sms
from ..state.rows.proxy import Session
from ..state.rows.row import parse_attributes
from ..state.rows.taskrouter import Task


def customer(account: EmulatedAccount, frm: str, to: str, body: str) -> dict[str, Any]:
    """A text from a handset, and where it ended.

    Outcomes: `session` (through the open session), `captured` (the open session led to an INACTIVE
    channel), `lost` (it led to a deleted one; for both see the switch `dead_session_captures`), `reopened` (an ACTIVE
    channel got its session back), `started` (a new channel by the number's flow, or a new conversation by its
    address configuration), `conversation` (into
    the open conversation of the pair), `reactivated` (which was inactive), `unrouted` (nothing has this number).
    STOP and START are Twilio's: they open nothing (`opted_out`, `opted_in`). Proxy keeps STOP and UNSTOP from its
    sessions (https://www.twilio.com/docs/proxy/opt-out-keywords, which does not name REVOKE and OPTOUT yet), of
    conversations `stop_reaches_conversation` decides. An open conversation comes first, whatever the number's
    generation; then an open session; then, for who is in neither, the address configuration before the flow.
    """
    if not _is_ours(account, frm, to):
        return _result("unrouted")
    text = inbox.receive(account, frm, to, body)
    meaning = opt_out.heed(account, text)
    keyword = meaning in ("out", "in")
    reaches = meaning != "out" or account.settings.stop_reaches_conversation
    if reaches and (conversation := conversations.of_pair(account, frm, to)):
        return _received(*inbound.receive(account, conversation, frm, to, body, keyword=keyword))
    dropped = meaning == "out" or opt_out.word_of(body) == "UNSTOP"
    if not dropped and (session := sessions.of_pair(account, frm, to)):
        if account.settings.dead_session_captures or _is_alive(account, session, frm):
            return _through(account, session, text, "session", keyword)
        sessions.change_status(account, session, "closed")
    if keyword or dropped:
        return _result("opted_out" if meaning == "out" else "opted_in")
    if address := inbound.address_of(account, to):
        return _received(*inbound.autocreate(account, address, frm, body))
    if channel := channels.find_any(account, frm, to):
        return _through(account, ensure_session(account, channel), text, "reopened", False)
    flow = _inbound_flow(account, to)
    if flow is None:
        return _result("unrouted")
    channel = channels.start(account, flow, frm, frm, friendly_name=f"SMS{frm}")
    return _through(account, ensure_session(account, channel), text, "started", False)


def _is_ours(account: EmulatedAccount, frm: str, to: str) -> bool:
    """Whether the account has the number, or a flow or session has it for somebody's test."""
    flows = (flow.contact_identity for flow in account.store.flows)
    return conversations.is_ours(account, to) or to in flows or (frm, to) in account.pairs


def _is_alive(account: EmulatedAccount, session: Session, frm: str) -> bool:
    _, other = sessions.partner(account, session, frm)
    channel = account.store.channels.get(other.identifier) if other else None
    return channel is not None and channel.active


def _through(
    account: EmulatedAccount, session: Session, text: Sms, outcome: str, keyword: bool
) -> dict[str, Any]:
    mine, other = sessions.partner(account, session, text.from_)
    if mine is None:
        raise Invalid(f"{text.from_} is no participant of session {session.sid}")
    interaction = sessions.receive(account, session, mine, other, text)
    channel = account.store.channels.get(other.identifier) if other else None
    if channel is None:
        interaction.outbound["status"] = "failed"
        return _result("lost", session=session)
    message = channels.post(account, channel, text.from_, text.body, relay=False)
    interaction.outbound.update(resource=message.sid, status="delivered")
    if not channel.active:
        return _result("captured", channel, session, message_sid=message.sid)
    opens = not keyword and (account.settings.late_text_opens_task or outcome == "started")
    task = (
        channels.ensure_task(account, channel, "inbound") if opens else tasks.open_task(account, channel.sid)
    )
    return _result(outcome, channel, session, task, message.sid)


def ensure_session(account: EmulatedAccount, channel: Channel) -> Session:
    """The channel's session as Flex makes it: named after the channel, both numbers in it, reopened when closed."""
    if session := sessions.of_channel(account, channel):
        return session
    closed = account.store.sessions.named(account.session_service_sid, channel.sid)
    if closed is not None:
        sessions.change_status(account, closed, "in-progress")
        return closed
    people = [
        {
            "Identifier": channel.customer,
            "ProxyIdentifier": channel.number,
            "FriendlyName": channel.customer_name,
        },
        {"Identifier": channel.sid, "ProxyIdentifier": channel.number, "FriendlyName": channel.customer_name},
    ]
    return sessions.start(account, account.session_service_sid, channel.sid, people, mode="message-only")


def _inbound_flow(account: EmulatedAccount, number: str) -> FlexFlow | None:
    """The Studio flow of the number runs for out-of-session texts, or else an enabled task flow."""
    flows = [flow for flow in account.store.flows if flow.contact_identity == number and flow.enabled]
    return min(flows, key=lambda flow: flow.integration_type != "studio", default=None)


def agent(
    account: EmulatedAccount,
    action: str,
    *,
    task_sid: str | None = None,
    channel_sid: str | None = None,
    body: str | None = None,
    worker_sid: str | None = None,
    reason: str = "agent ended chat",
) -> dict[str, Any]:
    """accept, decline, wrap, complete, park, cancel, delete or write, on a task or on the open task of a channel.

    The channel is of either generation. `complete`, `wrap` and `park` accept first if nobody has; an agent has to
    take a task before ending it. `park` leaves a conversation open whatever `keep_conversations_open` says.
    """
    task = account.store.tasks.get(task_sid) if task_sid else tasks.open_task(account, channel_sid or "")
    conversation = account.store.conversations.get(channel_sid or (task.conversation_sid if task else None))
    channel = account.store.channels.get(channel_sid or (task.channel_sid if task else None))
    if action == "write":
        author = tasks.fixture_name(
            account, worker_sid or (task and task.worker_sid) or account.worker_sids[0]
        )
        words = author or "agent", body or "Hello, how can I help?"
        if conversation is not None:
            return _received("written", conversation, task, conversations.post(account, conversation, *words))
        if channel is None:
            raise Invalid(f"agent: no channel {channel_sid or task_sid}")
        message = channels.post(account, channel, *words)
        return _result("written", channel, sessions.of_channel(account, channel), task, message.sid)
    if task is None:
        raise Invalid(f"agent: no open task {task_sid or channel_sid}")
    _act(account, action, task, worker_sid, reason)
    return _result(action, conversation or channel, None, task)


def _act(account: EmulatedAccount, action: str, task: Task, worker_sid: str | None, reason: str) -> None:
    accept = interactions.accept if task.conversation_sid else tasks.accept
    if action in ("wrap", "complete", "park") and task.status in ("pending", "reserved"):
        accept(account, task, worker_sid)
    if action == "accept":
        accept(account, task, worker_sid)
    elif action == "decline":
        tasks.decline(account, task, worker_sid)
    elif action == "wrap":
        tasks.wrap(account, task)
    elif action in ("complete", "park"):
        tasks.finish(account, task, "completed", reason)
    elif action == "cancel":
        tasks.finish(account, task, "canceled", reason, tasks.by_account(account))
    elif action == "delete":
        tasks.delete(account, task)
    else:
        raise Invalid(f"agent: unknown action {action!r}")
    if action in ("complete", "park", "cancel", "delete"):
        interactions.ended(account, task, from_ui=action == "complete")
        channels.janitor(account, task.channel_sid, from_ui=action in ("complete", "park"))


def _received(
    outcome: str, conversation: Conversation, task: Task | None, message: Message
) -> dict[str, Any]:
    return _result(outcome, conversation, None, task, message.sid)


def _result(
    outcome: str,
    channel: Channel | Conversation | None = None,
    session: Session | None = None,
    task: Task | None = None,
    message_sid: str | None = None,
) -> dict[str, Any]:
    """SIDs of what it led to; the interaction is the task's."""
    interaction = parse_attributes(task.attributes) if task else {}
    return {
        "outcome": outcome,
        "channel_sid": channel and channel.sid,
        "session_sid": session and session.sid,
        "task_sid": task and task.sid,
        "message_sid": message_sid,
        "interaction_sid": interaction.get("flexInteractionSid"),
        "interaction_channel_sid": interaction.get("flexInteractionChannelSid"),
    }
