"""Plain texts to colleagues: each once, and only so many an hour.

Source: https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from flexsms.core.exceptions import AlreadyExists, FlexSmsError
from flexsms.core.redaction import mask_number
from flexsms.twilio.client.clock import Now
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.sync.map import SyncMap

if TYPE_CHECKING:
    from twilio.rest import Client

logger = logging.getLogger(__name__)

MAP_NAME = "flexsms.notifications"
# A run that is cleared after so long texts anew.
KEPT = timedelta(days=30)
LONGEST = 459  # three segments of GSM-7


class Notified(StrEnum):
    """What became of a notification, as a sentence without its end."""

    SENT = "Texted"
    REPEATED = "Not texted, because the same message of the same run was"
    TOO_MANY = "Not texted, because there were enough texts in this hour"


class Notifications:
    """Texts the numbers that the connection has for a name.

    :param now: the present, an aware datetime
    """

    def __init__(self, client: Client, settings: TwilioSettings, *, now: Now) -> None:
        self._settings = settings
        self._messages = client.api.v2010.accounts(settings.account_sid).messages
        self._ledger = SyncMap(client, settings.need("sync_service_sid"), MAP_NAME, ttl=KEPT)
        self._now = now

    async def notify(self, to: str, message: str, *, run: str, per_hour: int) -> Notified:
        """Text a message.

        Where every number of the name refuses it, the next call tries again, and the text does not count in its hour.
        So it is, too, where an answer was lost and the text may have left: better two than none.

        :param to: a name in the connection's ``notify_numbers``
        :param run: a message is texted once per run; empty: whenever it is called
        :param per_hour: texts to the name in an hour of the clock at most
        :raises MissingSetting: when the connection lacks the name or the sender
        :raises TwilioError: when the text could be sent to none of the numbers
        """
        numbers, sender = self._settings.numbers_of(to), self._settings.need("notify_from")
        once = f"once.{_digest(to, run, message)}" if run else ""
        if once and not await self._take(once):
            return Notified.REPEATED
        place = ""
        try:
            place = await self._place(to, per_hour)
            if not place:
                await self._give_back(once)
                return Notified.TOO_MANY
            body = message if len(message) <= LONGEST else f"{message[: LONGEST - 3]}..."
            failures: list[FlexSmsError] = []
            for number in numbers:
                try:
                    await self._messages.create_async(to=number, from_=sender, body=body)
                except FlexSmsError as error:
                    logger.warning("No notification to %s: %s", mask_number(number), error)
                    failures.append(error)
            if len(failures) == len(numbers):
                raise failures[0]
        except FlexSmsError:
            await self._give_back(once, place)
            raise
        return Notified.SENT

    async def _place(self, to: str, per_hour: int) -> str:
        """The key of a place in this hour, taken; empty if there is none."""
        hour = f"hour.{_digest(to)}.{self._now().astimezone(UTC):%Y-%m-%dT%H}"
        for number in range(per_hour):
            if await self._take(f"{hour}.{number}"):
                return f"{hour}.{number}"
        return ""

    async def _take(self, key: str) -> bool:
        """Whether nobody else had the key."""
        try:
            await self._ledger.create(key, {})
        except AlreadyExists:
            return False
        return True

    async def _give_back(self, *keys: str) -> None:
        for key in filter(None, keys):
            await self._ledger.delete(key)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
