"""Links from a task to what it worked on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperator, BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


class ChannelLink(BaseOperatorLink):
    """Opens the channel in the Twilio Console.

    Airflow asks for the link on the worker when the task is over, so the operator can tell what it found out. The
    URL consists of SIDs alone.
    """

    name = "Channel in the Twilio Console"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The URL, empty when the task did not get as far as a channel."""
        return getattr(operator, "console_url", "")
