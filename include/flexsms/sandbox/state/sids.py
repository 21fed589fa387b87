"""SIDs: two events and 32 hex digits, the same ones again for the same seed and the same order of calls."""

from __future__ import annotations

import re
from hashlib import blake2b

# What Sync refuses as a unique name (54302) and what tells a SID from a unique name in a path.
SID = re.compile(r"[A-Za-z]{2}[0-9a-fA-F]{32}")


class Sids:
    """A counter per prefix, hashed with the seed."""

    def __init__(self, seed: int, issued: dict[str, int] | None = None) -> None:
        self.seed = seed
        self.issued = issued if issued is not None else {}

    def new(self, prefix: str) -> str:
        self.issued[prefix] = count = self.issued.get(prefix, 0) + 1
        return prefix + self.token(f"{prefix}{count}")

    def token(self, name: str) -> str:
        """32 hex digits that belong to `name`: also used for the auth token and key secrets."""
        return blake2b(f"{self.seed}/{name}".encode(), digest_size=16).hexdigest()


def looks_like(prefix: str, text: str) -> bool:
    return text.startswith(prefix) and SID.fullmatch(text) is not None
