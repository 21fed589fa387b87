"""Links from a task to what it worked on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperator, BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey

CONSOLE = "https://console.twilio.com/us1/develop/chat/manage/services?frameUrl=/console/chat/services"


class ChannelLink(BaseOperatorLink):
    """Opens the channel in the Twilio Console.

    Airflow asks for the link on the worker when the task is over, so the operator can tell what it found out. The
    URL consists of SIDs alone.
    """

    name = "Channel in the Twilio Console"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The URL, empty when the task did not get as far as a channel."""
        return getattr(operator, "console_url", "")


def channel_url(chat_service_sid: str, channel_sid: str) -> str:
    """Where the Twilio Console shows a chat channel."""
    return f"{CONSOLE}/{chat_service_sid}/channels/{channel_sid}"
