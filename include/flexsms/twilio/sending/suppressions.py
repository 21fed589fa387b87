"""Who has opted out, kept in Sync: one map item per number, named by the number's digest."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import (
    AlreadyExists,
    FlexSmsError,
    InvalidInput,
    NotFound,
    OptedOut,
    PermanentError,
    RevisionMismatch,
    TwilioRefused,
)
from flexsms.core.number_digest import NumberDigest
from flexsms.core.opt_out import OPTED_OUT, OptOut, Why
from flexsms.core.task_events import to_ms
from flexsms.twilio.client.clock import Now
from flexsms.twilio.client.concurrency import merged
from flexsms.twilio.client.dates import utc
from flexsms.twilio.client.not_found import twice
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.sync.digest_key import SUPPRESSIONS
from flexsms.twilio.sync.map import FOR_EVER, MapItem, SyncMap

if TYPE_CHECKING:
    from twilio.rest import Client

logger = logging.getLogger(__name__)

WRITE_ATTEMPTS = 20
# How long after a START a STOP of before may still turn up.
LATE = timedelta(days=30)
_E164 = re.compile(r"\+[1-9]\d{6,14}")
_DIGEST = re.compile(r"[0-9a-f]{32}")


class Suppressions:
    """The opt-outs of one account.

    :param number_digest: gives what turns numbers into digests
    :param now: the present by Twilio's clock, by which the words of customers are dated, too
    """

    def __init__(
        self,
        client: Client,
        settings: TwilioSettings,
        *,
        number_digest: Callable[[], Awaitable[NumberDigest]],
        now: Now,
    ) -> None:
        self._client = client
        self._service_sid = settings.need("sync_service_sid")
        self._texts = client.api.v2010.accounts(settings.account_sid).messages
        self._number_digest = number_digest
        self._now = now

    async def find(self, number: str) -> OptOut | None:
        """What is known of a number, None when nothing is. One call.

        :param number: E.164
        :raises PermanentError: when what is stored cannot be read
        """
        digest = (await self._number_digest()).of(number)
        try:
            return _read(await self._map(digest).fetch(digest))
        except NotFound:
            return None

    async def is_out(self, number: str) -> bool:
        """Whether a number has opted out; as :meth:`find`."""
        found = await self.find(number)
        return found is not None and found.out

    async def refuse(self, number: str) -> None:
        """Do nothing, if a number may be texted; as :meth:`find`.

        :raises OptedOut: when it may not
        """
        found = await self.find(number)
        if found is not None and found.out:
            raise OptedOut(number, since=found.since, why=found.why.phrase)

    async def learn(self, number: str, *, out: bool, at: datetime, why: Why) -> bool:
        """Add what became known of a number; see :meth:`learn_of`.

        :param at: when the customer said so, an aware datetime
        """
        return await self.learn_of(
            (await self._number_digest()).of(number), OptOut(to_ms("at", at), out, why)
        )

    async def learn_from(self, error: FlexSmsError, number: str) -> None:
        """If Twilio has refused a text because its recipient has opted out, remember that.

        What keeps it from being stored is logged only, so that the error is not hidden.
        """
        if isinstance(error, TwilioRefused) and error.code == OPTED_OUT:
            try:
                await self.learn(number, out=True, at=self._now(), why=Why.REFUSED)
            except FlexSmsError as failure:
                logger.warning("That the recipient has opted out could not be stored: %s", failure)

    async def learn_from_text(self, sms_sid: str) -> None:
        """Remember that the recipient of a text has opted out. One call more, for the number.

        :param sms_sid: SM…, which Twilio did not deliver for that reason
        """
        text: Any = await self._texts(sms_sid).fetch_async()
        # Not the present: the customer may have sent START since.
        at = utc(text.date_sent or text.date_created) or self._now()
        await self.learn(_number(text.to), out=True, at=at, why=Why.REFUSED)

    async def sender_of(self, message_sid: str) -> str:
        """Who has sent a message to us: a number in E.164. One call.

        Two before a refusal is believed, because nobody asks again, and an opt-out would be lost.

        :raises PermanentError: when Twilio does not tell, for the message was deleted or the key may not ask
        """
        text: Any = await twice(self._texts(message_sid).fetch_async, PermanentError)
        return _number(text.from_)

    async def learn_of(self, digest: str, learnt: OptOut) -> bool:
        """Add what became known of a number's digest. One call for a new one, two when nothing changes, else three.

        It takes the place of what cannot be read.

        :return: whether that changed what was known
        """
        for _ in range(WRITE_ATTEMPTS):
            items = self._map(digest, _stays(learnt))
            try:
                await items.create(digest, learnt.to_json())
                return True
            except AlreadyExists:
                pass
            try:
                item = await items.fetch(digest)
                stored = _read_or_none(item)
                known = stored.merge(learnt) if stored else learnt
                if known == stored:
                    return False
                items = self._map(digest, _stays(known))
                await items.update(digest, known.to_json(), revision=item.revision)
                return True
            except (NotFound, RevisionMismatch):
                continue
        raise RevisionMismatch(f"What is known of a number changed {WRITE_ATTEMPTS} times; try again.")

    async def all(self) -> AsyncGenerator[str, None]:
        """The digests of all who have opted out; one call per 100 numbers, and 16 at least.

        What cannot be read counts as opted out, and is named in the log.
        """
        async with aclosing(self.entries()) as entries:
            async for digest, known in entries:
                if known is None or known.out:
                    yield digest

    async def entries(self) -> AsyncGenerator[tuple[str, OptOut | None], None]:
        """All that is known, by digest; None where it cannot be read. As many calls as :meth:`all`."""
        pages = [self._map(first).pages() for first in "0123456789abcdef"]
        async with aclosing(merged(pages)) as found:
            async for page in found:
                for item in page:
                    if _DIGEST.fullmatch(item.key):
                        yield item.key, _read_or_none(item)
                    else:
                        logger.warning("%s has a key that stands for no number; delete it.", _where(item))

    def _map(self, digest: str, ttl: timedelta = FOR_EVER) -> SyncMap:
        # Sync takes 20 writes/s per map, so the numbers are spread over 16 of them.
        return SyncMap(self._client, self._service_sid, SUPPRESSIONS + digest[0], ttl=ttl)


def _stays(known: OptOut) -> timedelta:
    """How long it has to be known. Of an opt-in, only the order counts."""
    return LATE if known.why is Why.START else FOR_EVER


def _number(value: object) -> str:
    """A number of Twilio's answer. One of a message that was redacted is none."""
    if not isinstance(value, str) or not _E164.fullmatch(value):
        raise PermanentError("The message names no phone number.")
    return value


def _read_or_none(item: MapItem) -> OptOut | None:
    try:
        return _read(item)
    except PermanentError as error:
        logger.warning("%s", error)
        return None


def _read(item: MapItem) -> OptOut:
    try:
        return OptOut.from_json(item.data)
    except InvalidInput as error:
        raise PermanentError(
            f"{_where(item)} says nothing of an opt-out ({error}) Repair it, or delete it."
        ) from None


def _where(item: MapItem) -> str:
    return f"Item {item.key} of Sync map {SUPPRESSIONS}{item.key[:1]}"
