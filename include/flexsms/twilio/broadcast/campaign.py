"""Whom a campaign has texted.

The truth is in the ledger of :mod:`flexsms.twilio.sending.idempotency`, with a key per campaign and recipient. To read
that takes two calls per recipient, so whoever was texted is written down once more in packs: items of a Sync map with
some hundred digests each, which are listed a hundred at a time. Source:
https://www.twilio.com/docs/sync/api/map-item-resource
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from flexsms.core.exceptions import AlreadyExists, PermanentError
from flexsms.core.number_digest import NumberDigest
from flexsms.twilio.sync.map import MapItem, SyncMap

if TYPE_CHECKING:
    from twilio.rest import Client

MAP_PREFIX = "flexsms.broadcast."
DIGEST_BYTES = 16
# So many fit into 10 KiB, from which on Sync takes two writes a second instead of twenty.
# https://www.twilio.com/docs/sync/limits
PACK_SIZE = 450


class Campaign:
    """One campaign, whose scope is the recipient: whoever was texted in it is not texted again, whatever the text.

    Get it from :meth:`flexsms.twilio.account.Account.campaign`.

    :param name: what the campaign is called; only its digest leaves this process
    :param numbers: turns numbers into digests
    """

    def __init__(self, client: Client, service_sid: str, name: str, numbers: NumberDigest) -> None:
        self.digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        self._numbers = numbers
        self._packs = SyncMap(client, service_sid, MAP_PREFIX + self.digest)

    def digest_of(self, number: str) -> str:
        """What stands for a recipient in the packs.

        :param number: E.164
        """
        return self._numbers.of(number)

    def key(self, number: str) -> str:
        """The idempotency key of the campaign's text to a recipient.

        :param number: E.164
        """
        return f"broadcast/{self.digest}/{self.digest_of(number)}"

    async def texted(self) -> AsyncGenerator[str, None]:
        """The digests of whom the campaign is known to have texted, one call per 100 packs.

        Who is in no pack may have been texted all the same: a batch that was killed has written none. Somebody may come
        twice.

        :raises PermanentError: when a pack was written with another key of digests, so that nobody can tell who it is
        """
        async with aclosing(self._packs.pages()) as pages:
            async for page in pages:
                for pack in page:
                    for digest in self._read(pack):
                        yield digest

    async def add(self, digests: Iterable[str]) -> None:
        """Write down that the campaign has texted somebody; one call per 450 digests.

        Adding the same digests again changes nothing.
        """
        known = sorted(set(digests))
        for start in range(0, len(known), PACK_SIZE):
            packed = bytes.fromhex("".join(known[start : start + PACK_SIZE]))
            data = {"v": 1, "key_id": self._numbers.key_id, "digests": b64encode(packed).decode()}
            with suppress(AlreadyExists):
                await self._packs.create(hashlib.sha256(packed).hexdigest()[:32], data)

    def _read(self, pack: MapItem) -> Iterable[str]:
        if pack.data.get("key_id") != self._numbers.key_id:
            raise PermanentError(
                "The campaign was sent with another key of digests than the account has now, so nobody can tell whom "
                "it has texted; put back the Sync document flexsms.digest_key, or send under another campaign name."
            )
        packed = b64decode(pack.data["digests"])
        for start in range(0, len(packed), DIGEST_BYTES):
            yield packed[start : start + DIGEST_BYTES].hex()
