"""What became of a conversation message's texts: Conversations keeps a receipt per handset.

Source: https://www.twilio.com/docs/conversations/api/receipt-resource
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

from flexsms.core.delivery_status import Delivery, DeliveryStatus
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.stacks.conversations.services import in_service

if TYPE_CHECKING:
    from twilio.rest import Client

PAGE_SIZE = 50  # the most that Conversations takes


class ConversationsDelivery:
    """Reads the receipts of conversation messages."""

    def __init__(self, client: Client, settings: TwilioSettings) -> None:
        self._conversations = in_service(client, settings).conversations

    async def delivery(
        self,
        channel_sid: str,
        session_sid: str | None,  # noqa: ARG002
        message_sid: str,
    ) -> Delivery | None:
        """Merge the receipts of the message, one per handset in the conversation; one call.

        :raises NotFound: when the conversation or the message is gone
        """
        message: Any = self._conversations(channel_sid).messages(message_sid)
        receipts = [_read(one) for one in await message.delivery_receipts.list_async(page_size=PAGE_SIZE)]
        return reduce(Delivery.merge, receipts) if receipts else None


def _read(receipt: Any) -> Delivery:
    return Delivery(
        DeliveryStatus.of(receipt.status),
        int(receipt.error_code or 0) or None,  # 0 where there is none
        receipt.channel_message_sid,
    )
