"""Waits until it is known what became of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from flexsms.core.delivery_status import Delivery
from flexsms.triggers.polling import PollingTrigger

if TYPE_CHECKING:
    from flexsms.twilio.account import Account


class FlexDeliveryTrigger(PollingTrigger):
    """Fires when a text was delivered, or certainly was not.

    The event is :meth:`flexsms.core.delivery_status.Delivery.to_json`; that of a timeout has the same under
    ``so_far``, None when nothing had left.

    :param channel_sid: CH…, where the text was written
    :param session_sid: KC…, the Proxy session that carries it (chat); None where nobody knows it
    :param message_sid: IM…, the text
    :param polling: see :class:`flexsms.triggers.polling.PollingTrigger`
    """

    wanted: ClassVar[tuple[str, ...]] = ("channel_sid", "session_sid", "message_sid")

    def __init__(
        self, *, channel_sid: str, session_sid: str | None, message_sid: str, **polling: Any
    ) -> None:
        super().__init__(**polling)
        self.channel_sid = channel_sid
        self.session_sid = session_sid
        self.message_sid = message_sid
        self._known: Delivery | None = None

    async def poll(self, account: Account) -> dict[str, Any] | None:
        """The delivery, once nothing more will follow."""
        reader = account.deliveries(self.session_sid)
        found = await reader.delivery(self.channel_sid, self.session_sid, self.message_sid)
        if found is None:
            return None
        self._known = found if self._known is None else self._known.merge(found)
        return self._known.to_json() if self._known.status.is_final else None

    def so_far(self) -> dict[str, Any]:
        """How far the text is known to have come."""
        return {"so_far": self._known and self._known.to_json()}
