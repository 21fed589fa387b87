"""One customer's conversation, on either stack: verbs that act now, for use in a plan."""

from __future__ import annotations

from typing import Any

from ..products.chat import channels
from ..products.conversations import behaviour as conversations
from ..products.flex import interactions
from ..products.flex.invites import Routing
from ..products.proxy import sessions
from ..products.taskrouter import tasks
from ..state.account import NUMBER, NUMBER_CONVERSATIONS, EmulatedAccount
from ..state.rows.chat import Channel
from ..state.rows.conversations import Conversation
from . import simulate
from .bulk_load import flow_of


class CustomerHistory:
    """What the two stacks have in common."""

    stack: str
    twilio_number: str

    def __init__(self, account: EmulatedAccount, number: str, name: str) -> None:
        self.account, self.number, self.name = account, number, name
        self.channel_sid = ""
        self.task_sids: list[str] = []

    def _remember(self, result: dict[str, Any]) -> None:
        self.channel_sid = result["channel_sid"] or self.channel_sid
        if result["task_sid"] and result["task_sid"] not in self.task_sids:
            self.task_sids.append(result["task_sid"])

    def send(self, body: str) -> None:
        """Open the conversation or go on with it, with a task, and text the customer."""
        raise NotImplementedError

    def retire(self) -> None:
        """What an earlier cleanup would have done."""
        raise NotImplementedError

    def links(self) -> dict[str, str | None]:
        """What belongs to the conversation: session_sid, interaction_sid, interaction_channel_sid."""
        raise NotImplementedError

    def write(self, body: str) -> None:
        self._remember(simulate.customer(self.account, self.number, self.twilio_number, body))

    def agent(self, action: str, **more: Any) -> None:
        # The plan may be late: a task that timed out meanwhile is nobody's any more.
        if self.task_sids and tasks.open_task(self.account, self.channel_sid):
            simulate.agent(self.account, action, task_sid=self.task_sids[-1], **more)

    def told(self) -> dict[str, Any]:
        """The entry of the story."""
        return {
            "name": self.name,
            "stack": self.stack,
            "customer_number": self.number,
            "twilio_number": self.twilio_number,
            "channel_sid": self.channel_sid,
            "task_sids": self.task_sids,
            **self.links(),
        }


class ChatHistory(CustomerHistory):
    stack = "chat"
    twilio_number = NUMBER

    @property
    def channel(self) -> Channel:
        channel = self.account.store.channels.get(self.channel_sid)
        assert channel is not None  # noqa: S101 (the plan opened it before)
        return channel

    def send(self, body: str) -> None:
        """The outbound recipe: the channel with its task, the session, the text."""
        account = self.account
        # Whatever flow it came from: a second channel of the pair could not have a session beside the first
        # (80103).
        channel = channels.find_any(account, self.number, self.twilio_number)
        if channel is None:
            flow = flow_of(account, "task")
            channel = channels.start(account, flow, self.number, self.name, friendly_name=f"SMS{self.number}")
        task = channels.ensure_task(account, channel, "outbound", {"name": self.name})
        simulate.ensure_session(account, channel)
        channels.post(account, channel, "system", body)
        self._remember({"channel_sid": channel.sid, "task_sid": task.sid})

    def retire(self) -> None:
        if session := sessions.of_channel(self.account, self.channel):
            sessions.change_status(self.account, session, "closed")
        channels.merge_attributes(self.account, self.channel, long_lived=False, status="INACTIVE")

    def links(self) -> dict[str, str | None]:
        session = sessions.of_channel(self.account, self.channel)
        sid = session.sid if session else None
        return {"session_sid": sid, "interaction_sid": None, "interaction_channel_sid": None}


class ConversationHistory(CustomerHistory):
    stack = "conversations"
    twilio_number = NUMBER_CONVERSATIONS

    @property
    def conversation(self) -> Conversation:
        conversation = self.account.store.conversations.get(self.channel_sid)
        assert conversation is not None  # noqa: S101 (the plan opened it before)
        return conversation

    def send(self, body: str) -> None:
        """An interaction that the workflow routes, or a task on the open conversation; then the text."""
        account = self.account
        conversation = conversations.of_pair(account, self.number, self.twilio_number)
        if conversation is None:
            conversation = interactions.open_now(account, self.number, self.twilio_number, self._routing())
        task = interactions.ensure_task(account, conversation, self._routing().attributes)
        conversations.post(account, conversation, "system", body)
        self._remember({"channel_sid": conversation.sid, "task_sid": task.sid})

    def _routing(self) -> Routing:
        return Routing(attributes={"customerName": self.name, "direction": "outbound"})

    def retire(self) -> None:
        # Before it is closed: a closed conversation takes no attributes (50377).
        conversations.merge_attributes(self.account, self.conversation, long_lived=False, status="INACTIVE")
        if channel := interactions.of_conversation(self.account, self.channel_sid):
            interactions.close(self.account, channel)
        conversations.close(self.account, self.conversation)

    def links(self) -> dict[str, str | None]:
        channel = interactions.of_conversation(self.account, self.channel_sid)
        interaction, sid = (channel.parent, channel.sid) if channel else (None, None)
        return {"session_sid": None, "interaction_sid": interaction, "interaction_channel_sid": sid}


def history_of(account: EmulatedAccount, stack: str, number: str, name: str) -> CustomerHistory:
    kinds: dict[str, type[CustomerHistory]] = {"chat": ChatHistory, "conversations": ConversationHistory}
    if stack not in kinds:
        raise ValueError(f"unknown stack {stack}: chat or conversations")
    return kinds[stack](account, number, name)
