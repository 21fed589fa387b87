"""Digests that stand for phone numbers where no number may be kept."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class NumberDigest:
    """Turns a phone number into a digest, always the same one under the same key.

    There are few enough numbers to try all of them, so only the key keeps a digest from being turned back.

    :param key: 32 random bytes
    """

    key: bytes = field(repr=False)

    def of(self, number: str) -> str:
        """The digest of a number: 32 hexadecimal digits.

        :param number: E.164; any other spelling of it has another digest
        """
        return self._keyed(number)[:32]

    @property
    def key_id(self) -> str:
        """Tells one key from the next, and nothing else of it: 8 hexadecimal digits."""
        return self._keyed("flexsms: which key")[:8]

    def _keyed(self, text: str) -> str:
        return hmac.digest(self.key, text.encode(), "sha256").hex()
