"""Waits until agents have caught up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from flexsms.triggers.polling import PollingTrigger

if TYPE_CHECKING:
    from flexsms.twilio.account import Account

DONE = "done"


class FlexOpenTasksTrigger(PollingTrigger):
    """Fires when the workspace has no more than so many open tasks.

    The event is ``{"status": "done", "open_tasks"}``.

    :param most: open tasks, those that agents are wrapping up among them
    :param polling: see :class:`flexsms.triggers.polling.PollingTrigger`
    """

    wanted: ClassVar[tuple[str, ...]] = ("most",)

    def __init__(self, *, most: int, **polling: Any) -> None:
        super().__init__(**polling)
        self.most = most

    async def poll(self, account: Account) -> dict[str, Any] | None:
        """The number of open tasks, once it is small enough."""
        from flexsms.twilio.taskrouter.open_tasks import count_open_tasks

        found = await count_open_tasks(account.client, account.settings.need("workspace_sid"))
        return {"status": DONE, "open_tasks": found} if found <= self.most else None
