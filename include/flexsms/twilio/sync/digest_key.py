"""The key of the digests of phone numbers: one document, which is made once and never changes.

Without it nobody can tell any more which number a digest stands for: who has opted out, and who was texted.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import AlreadyExists, NotFound, PermanentError
from flexsms.core.number_digest import KEY_BYTES, NumberDigest

if TYPE_CHECKING:
    from twilio.rest import Client

DOCUMENT = "flexsms.digest_key"
# Maps whose items say nothing any more once the key is gone.
SUPPRESSIONS = "flexsms.suppressions."
BROADCASTS = "flexsms.broadcast."
PACE = "flexsms.pace"  # written before the first text of a broadcast leaves
LOST = "with another key all opt-outs, and who was texted in a broadcast, are forgotten"
_HEX = re.compile(rf"[0-9a-f]{{{2 * KEY_BYTES}}}")


class DigestKey:
    """The key of one Sync service. It is read once; several that ask for it at the same time share one call.

    :param service_sid: IS…
    """

    def __init__(self, client: Client, service_sid: str) -> None:
        service = client.sync.v1.services(service_sid)
        self._documents, self._maps = service.documents, service.sync_maps
        self._reading = asyncio.Lock()
        self._found: NumberDigest | None = None

    async def number_digest(self) -> NumberDigest:
        """What turns numbers into digests. One call. Where there is none yet, it is made with two more.

        Of several who make it at once the first one wins, and all have its key.

        :raises PermanentError: when the document holds no key, or is gone
        """
        async with self._reading:
            if self._found is None:
                self._found = _read(await self._load())
            return self._found

    async def _load(self) -> Any:
        try:
            return await self._documents(DOCUMENT).fetch_async()
        except NotFound:
            pass
        if await self._is_in_use():
            return await self._made_meanwhile()
        try:
            return await self._documents.create_async(unique_name=DOCUMENT, data={"v": 1, "key": new_key()})
        except AlreadyExists:  # somebody else's, or our own, whose answer was lost
            return await self._documents(DOCUMENT).fetch_async()

    async def _is_in_use(self) -> bool:
        """Whether something was stored under a key."""
        async for one in await self._maps.stream_async(page_size=100):
            if (one.unique_name or "").startswith((SUPPRESSIONS, BROADCASTS, PACE)):
                return True
        return False

    async def _made_meanwhile(self) -> Any:
        try:
            return await self._documents(DOCUMENT).fetch_async()
        except NotFound:
            raise PermanentError(
                f"Sync document {DOCUMENT} is gone; put it back, for {LOST}. To begin anew, delete the maps "
                f"{SUPPRESSIONS}…, {BROADCASTS}… and {PACE}."
            ) from None


def new_key() -> str:
    """A random key, hexadecimal."""
    return secrets.token_hex(KEY_BYTES)


def _read(document: Any) -> NumberDigest:
    data = document.data
    key = data.get("key") if isinstance(data, dict) else None
    if not isinstance(key, str) or not _HEX.fullmatch(key):
        raise PermanentError(f"Sync document {DOCUMENT} holds no key; put back what it held, for {LOST}.")
    return NumberDigest(bytes.fromhex(key))
