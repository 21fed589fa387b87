"""Looking for a text whose conversation is gone in Twilio's list of messages, which outlives it.

Source: https://www.twilio.com/docs/messaging/api/message-resource#read-multiple-message-resources

That a text is listed is certain. That it is not says nothing: the list is by the date of sending, so it lacks what
still waits at Twilio, which may be for ten hours (``ValidityPeriod``); nobody documents how soon a text shows; and
anybody may delete a message. So a text that is not there is never sent again because of that.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from flexsms.core.outbound_message import OutboundMessage
from flexsms.twilio.client.dates import utc
from flexsms.twilio.stacks.message_search import CLOCK_SKEW

if TYPE_CHECKING:
    from twilio.rest import Client

PAGE_SIZE = 1000  # the most that Messaging takes


class MessageLog:
    """The texts that an account has sent, by whichever product."""

    def __init__(self, client: Client, account_sid: str) -> None:
        self._texts = client.api.v2010.accounts(account_sid).messages

    async def find(self, message: OutboundMessage, *, since: datetime, until: datetime) -> str | None:
        """The SM… SID of a text with these numbers and this body; None where none is listed. One call.

        Twilio's list names no conversation. So it may be the same text of another send at the same time: its recipient
        has this very text all the same.

        :param since: nobody has posted it before, an aware datetime
        :param until: nobody has posted it after
        """
        page: Any = await self._texts.page_async(
            to=message.to_number,
            from_=message.from_number,
            date_sent_after=since - CLOCK_SKEW,
            page_size=PAGE_SIZE,
        )
        for text in page:
            given_at = utc(text.date_created or text.date_sent)
            is_in_time = given_at is not None and since - CLOCK_SKEW <= given_at <= until + CLOCK_SKEW
            if is_in_time and message.body in str(text.body or ""):
                return str(text.sid)
        return None
