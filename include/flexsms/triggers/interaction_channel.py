"""Waits until Flex has set up the channel of an interaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from flexsms.core.exceptions import NotFound
from flexsms.core.redaction import redact
from flexsms.triggers.polling import PollingTrigger

if TYPE_CHECKING:
    from flexsms.twilio.account import Account

SETUP = "setup"
MOST_MISSES = 5  # in a row
GONE = {"status": "gone", "error_code": None, "error_message": None}


class FlexChannelTrigger(PollingTrigger):
    """Fires when the channel of an interaction is active, has failed, or is whatever comes after its setup.

    The event is ``{"status", "error_code", "error_message"}``, the latter two None unless the status is ``failed``. One
    that is not found five times in a row is ``gone``.
    Source: https://www.twilio.com/docs/flex/developer/conversations/interactions-api/interaction-channels

    :param interaction_sid: KD…
    :param interaction_channel_sid: UO…
    :param polling: see :class:`flexsms.triggers.polling.PollingTrigger`
    """

    wanted: ClassVar[tuple[str, ...]] = ("interaction_sid", "interaction_channel_sid")

    def __init__(self, *, interaction_sid: str, interaction_channel_sid: str, **polling: Any) -> None:
        super().__init__(**polling)
        self.interaction_sid = interaction_sid
        self.interaction_channel_sid = interaction_channel_sid
        self._misses = 0

    async def poll(self, account: Account) -> dict[str, Any] | None:
        """The channel's status, once it is another than ``setup``."""
        interaction = account.client.flex_api.v1.interaction(self.interaction_sid)
        try:
            channel: Any = await interaction.channels(self.interaction_channel_sid).fetch_async()
        except NotFound:
            # One that was only just made may not show yet.
            self._misses += 1
            return {**GONE} if self._misses == MOST_MISSES else None
        self._misses = 0
        if channel.status == SETUP:
            return None
        message = channel.error_message
        return {
            "status": str(channel.status),
            "error_code": channel.error_code,
            "error_message": None if message is None else redact(str(message)),
        }
