"""What a generation of Flex messaging has to offer, so that sending and cleaning up need not know which it is."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from flexsms.core.delivery_status import Delivery
from flexsms.core.exceptions import FlexSmsError
from flexsms.core.outbound_message import OutboundMessage, Route
from flexsms.core.stack_name import StackName

logger = logging.getLogger(__name__)


class Healed(StrEnum):
    """What healing did with a channel."""

    NOTHING = "nothing"
    PUT_BACK = "put back"
    MOVED_ON = "moved on"  # its customer goes on in another channel


@contextmanager
def told_if_left(channel_sid: str) -> Iterator[None]:
    """Log what could not be taken back, so that the error before it is not hidden."""
    try:
        yield
    except FlexSmsError as error:
        logger.warning(
            "What was made on %s for a text that was not sent could not be taken back: %s", channel_sid, error
        )


@dataclass(frozen=True, slots=True)
class OpenConversation:
    """A channel over which the customer can be texted.

    :param created_at: when Twilio made the channel, UTC
    :param is_new: this send made it; None where Twilio does not tell
    :param session_sid: KC…, what carries the texts (chat)
    :param session_updated_at: when the session had last changed, UTC; None: nobody knows
    :param is_reconnected: this send has opened the session again, maybe one that a cleanup had closed
    :param is_out_of_use: a cleanup is retiring it in this very moment; take it back before anything else
    :param is_new_interaction: this send has started it
    :param is_set_up: it was there before, and nobody need wait for it
    :param service_sid: IS…, the service that the conversation is in (conversations)
    :param lost_flow: this send has taken its Studio flow away, for an agent's task
    :param interaction_sid: KD…, and its channel UO…, what ties the conversation to its task (conversations)
    """

    channel_sid: str
    created_at: datetime | None
    is_new: bool | None = None
    task_sid: str | None = None
    session_sid: str | None = None
    session_updated_at: datetime | None = None
    is_reconnected: bool = False
    is_out_of_use: bool = False
    interaction_sid: str | None = None
    interaction_channel_sid: str | None = None
    is_new_interaction: bool = False
    is_set_up: bool = False
    service_sid: str | None = None
    lost_flow: bool = False


@dataclass(frozen=True, slots=True)
class ChannelSnapshot:
    """A channel as it was before anything was done to it.

    :param attributes: parsed; only ``long_lived``, ``status`` and what :mod:`flexsms.twilio.stacks.short_lived`
        notes are ever written
    :param is_retired: both are written already
    :param created_at: when Twilio made it, UTC
    :param updated_at: when it last changed, UTC; whether a message counts, nobody documents
    :param session_sid: the session (chat) that carries texts to and from the customer
    """

    channel_sid: str
    attributes: Mapping[str, Any] = field(repr=False)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    session_sid: str | None = None
    is_retired: bool = False


@dataclass(frozen=True, slots=True)
class NewestText:
    """The newest message of a channel.

    :param created_at: when it was written, UTC
    :param is_customers: it came from a handset
    """

    created_at: datetime
    is_customers: bool
    body: str = field(repr=False)


class Relay(StrEnum):
    """What became of a text that is in its channel."""

    UNDISTURBED = "undisturbed"
    LEFT = "left"
    MISSING = "missing"


class Opening(Protocol):
    """Opens conversations for sending, and takes them back."""

    async def check(self, message: OutboundMessage) -> None:
        """Find out what can be found out before anything is written.

        :raises InvalidInput: for an unknown worker, or a number without a flow
        """
        ...

    async def open_conversation(
        self, message: OutboundMessage, digest: str, *, resumed: bool, since: datetime
    ) -> OpenConversation:
        """Start or continue the conversation; repeating it gives the same one.

        After a permanent error nothing that was made for it is left.

        :param digest: that of the send's idempotency key
        :param resumed: an earlier try of the same send may have come as far as this
        :param since: when the key was first taken, by Twilio's clock
        :raises ChannelClosed: when it was closed in this very moment
        """
        ...

    async def take_back(self, conversation: OpenConversation, digest: str, *, since: datetime) -> None:
        """Take back what a send has made that came to nothing, unless somebody else is using it by now.

        That is its task, and a conversation that it has started.

        :param digest: that of the send's idempotency key
        :param since: when the key was first taken, by Twilio's clock
        """
        ...

    async def is_ready(self, conversation: OpenConversation, digest: str, *, waited: bool) -> bool:
        """Whether a text may go out; if not, Flex is still setting up the interaction.

        :param digest: that of the send's idempotency key
        :param waited: it had time to do so
        :raises InteractionFailed: when Flex gave up
        :raises ChannelClosed: when the conversation was closed meanwhile
        """
        ...


class SendingStack(Protocol):
    """What sending needs of a generation of Flex messaging."""

    name: StackName

    @property
    def opening(self) -> Opening:
        """What opens its conversations."""
        ...

    def texts_per_second(self, route: Route) -> float | None:
        """How many texts to new customers the account's limits leave room for; None without limits."""
        ...

    async def post(self, conversation: OpenConversation, body: str, digest: str) -> str:
        """Send the text, marked with the digest; returns its IM… SID.

        :raises OutcomeUnknown: when the answer was lost
        :raises ChannelClosed: when the conversation was closed before, so that nothing was sent
        """
        ...

    async def relay(self, conversation: OpenConversation, message_sid: str) -> Relay:
        """Whether a text that is in the channel went on to the customer.

        ``undisturbed`` says that nothing happened to the channel, ``left`` that something did, but behind the text, and
        ``missing`` that it has not left yet, and will not after a while.

        :raises NotFound: when nobody can tell any more
        """
        ...

    async def is_in_use(self, conversation: OpenConversation) -> bool:
        """Look once more whether nobody has retired the channel."""
        ...

    async def keep(self, conversation: OpenConversation) -> bool | None:
        """Keep the channel in use though somebody is retiring it, for the agent's task on it.

        :return: None when there is no open task; False when it came too late, so that the task was ended
        """
        ...

    async def abandon(self, conversation: OpenConversation) -> bool:
        """Leave a channel over which nobody can be reached any more, and end the task on it.

        :return: whether that was open
        """
        ...

    async def find_post(self, channel_sid: str, digest: str, since: datetime) -> str | None:
        """The SID of the text marked with the digest, if there is one; looks no further back than ``since``.

        :raises NotFound: when the channel is gone, so that nobody can tell
        """
        ...

    def console_url(self, channel_sid: str) -> str:
        """Where the Twilio Console shows the channel; empty where its service is not known."""
        ...


class DeliveryStack(Protocol):
    """What reading the delivery of a text needs of a generation of Flex messaging."""

    async def delivery(self, channel_sid: str, session_sid: str | None, message_sid: str) -> Delivery | None:
        """What is known of the SMS that carries a message; None when nothing has left yet.

        :param session_sid: KC… (chat); None where nobody knows it
        """
        ...


class RetiringStack(Protocol):
    """What cleaning up needs of a generation of Flex messaging.

    :param usual: what the two attributes of an ordinary channel are before it is retired
    :param closing_is_final: a text that comes right before ``close`` ends in the closed channel, so another look is due
    """

    name: StackName
    usual: Mapping[str, Any]
    closing_is_final: bool

    async def fetch(self, channel_sid: str) -> ChannelSnapshot:
        """The channel as it is now.

        :raises NotFound: when it is gone
        """
        ...

    async def channel_type(self, snapshot: ChannelSnapshot) -> str | None:
        """What kind of channel it is, like ``sms`` or ``web``, by the channel itself; None where that does not tell."""
        ...

    async def suspend(self, snapshot: ChannelSnapshot, links: Mapping[str, str]) -> None:
        """Take the channel out of use and write the two attributes, so that all of it can be undone.

        :param links: what the channel's state knows of SIDs that belong to it
        """
        ...

    async def resume(self, channel_sid: str, links: Mapping[str, str], *, was_active: bool = False) -> bool:
        """Undo: put the two attributes back and connect the customer again.

        :param was_active: it was in use until this cleanup suspended it, so whatever ended it since did so by our mark
        :return: False when that came too late, so that the customer goes on in a fresh channel
        :raises NotFound: when the channel is gone
        """
        ...

    async def heal(self, channel_sid: str, links: Mapping[str, str], *, has_moved: bool = False) -> Healed:
        """Put a live channel back that has our mark, whoever left it so.

        Only Twilio and the channel's state are asked, so it works without anything that a run remembers.

        :param has_moved: its customer was found in another channel before, so only that one's task is looked for
        :raises NotFound: when the channel is gone
        """
        ...

    async def newest_text(self, channel_sid: str) -> NewestText | None:
        """The newest message, whoever wrote it; None where there is none; one call."""
        ...

    async def assign_to_agent(self, channel_sid: str) -> None:
        """Open a task for a customer whose text nobody was told of, unless the channel has one.

        :raises InteractionFailed: when its customer is no longer in it
        """
        ...

    async def close(self, channel_sid: str, links: Mapping[str, str]) -> bool:
        """Do what cannot be undone, once it is certain that the channel stayed quiet.

        :return: False when an interaction was left open because no task named it
        """
        ...

    async def delete(self, channel_sid: str, links: Mapping[str, str]) -> None:
        """Remove a closed channel and its history; one that is gone is as good."""
        ...
