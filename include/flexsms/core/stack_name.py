"""What the two generations of Flex messaging are called."""

from __future__ import annotations

from enum import StrEnum


class StackName(StrEnum):
    """The two generations of Flex messaging."""

    CHAT = "chat"
    CONVERSATIONS = "conversations"
