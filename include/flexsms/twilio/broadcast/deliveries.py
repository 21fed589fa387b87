"""What became of a broadcast's texts, by Twilio's list of messages: one call per 1000 texts, on both stacks.

Source: https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from flexsms.core.delivery_status import Delivery, DeliveryStatus
from flexsms.twilio.client.dates import utc
from flexsms.twilio.sending.message_log import PAGE_SIZE

if TYPE_CHECKING:
    from twilio.rest import Client

# How far Twilio's clock may be behind ours.
CLOCKS = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class ListedText:
    """One SMS that left, as Twilio lists it.

    :param at: when it was given to Twilio; UTC. Not when Twilio sent it: a text may wait behind those of its number
    """

    to_number: str = field(repr=False)
    body: str = field(repr=False)
    at: datetime | None
    delivery: Delivery


class BroadcastDeliveries:
    """Lists what has left a number."""

    def __init__(self, client: Client, account_sid: str) -> None:
        self._texts = client.api.v2010.accounts(account_sid).messages

    async def pages(self, from_number: str, since: datetime) -> AsyncGenerator[list[ListedText], None]:
        """What has left a number since a moment, the newest first.

        What is still queued may be missing, as Twilio lists by the date of sending.

        :param from_number: E.164
        :param since: an aware datetime
        """
        page: Any = await self._texts.page_async(
            from_=from_number, date_sent_after=since - CLOCKS, page_size=PAGE_SIZE
        )
        while page is not None:
            yield [_read(message) for message in page if message.direction != "inbound"]
            page = await page.next_page_async()


def _read(message: Any) -> ListedText:
    code = None if message.error_code is None else int(message.error_code) or None
    return ListedText(
        str(message.to),
        str(message.body or ""),
        utc(message.date_created or message.date_sent),
        Delivery(DeliveryStatus.of(message.status), code, message.sid),
    )
