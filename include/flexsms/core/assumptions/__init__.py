"""The assumptions themselves: what nobody could verify without an account of Twilio's, product by product."""

from __future__ import annotations

from collections.abc import Mapping

from flexsms.core.assumptions import both_stacks, chat, conversations
from flexsms.core.verify import Assumption

ASSUMPTIONS: Mapping[str, Assumption] = {
    one.name: one for part in (both_stacks, conversations, chat) for one in part.ASSUMPTIONS
}
