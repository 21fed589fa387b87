"""How many texts may begin before the workspace has more open tasks than a person allows (``max_open_tasks``).

TaskRouter counts the tasks that are open. A text of route ``agent`` that has a slot, and whose task is not open yet,
takes its place as well: those of this worker are counted here, and those of the others are told with their slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from flexsms.core.broadcast import BroadcastText
from flexsms.core.outbound_message import Route
from flexsms.twilio.broadcast.rules import BroadcastRules
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.taskrouter.open_tasks import count_open_tasks

if TYPE_CHECKING:
    from twilio.rest import Client


class TaskRoom:
    """The room that one batch sees.

    :ivar is_full: by TaskRouter's count there is none; the texts that are about to open a task are not in it
    """

    def __init__(self, client: Client, settings: TwilioSettings, rules: BroadcastRules) -> None:
        self._client = client
        self._settings = settings
        self._most = rules.max_open_tasks
        # Of texts on the other route, nobody knows how many are answered.
        self._opens_tasks = rules.route is Route.AGENT
        self._opening: set[int] = set()
        self.is_full = False

    @property
    def is_limited(self) -> bool:
        """Whether anybody looks at open tasks."""
        return self._most is not None

    def opening(self, without: Sequence[BroadcastText]) -> int | None:
        """How many texts of this worker have a slot and, as far as it knows, no open task yet.

        :return: None where texts open no tasks
        """
        return len(self._opening - {text.row for text in without}) if self._opens_tasks else None

    def take(self, texts: Sequence[BroadcastText]) -> None:
        """Texts have got a slot."""
        if self._opens_tasks:
            self._opening.update(text.row for text in texts)

    def leave(self, text: BroadcastText) -> None:
        """The task of a text is open, or there will be none."""
        self._opening.discard(text.row)

    def clear(self) -> None:
        """No text has a slot any more."""
        self._opening.clear()

    async def left(self, opening: int) -> int | None:
        """How many texts may begin; one call. None: as many as one likes.

        :param opening: texts of all workers that are about to open a task
        """
        if self._most is None:
            return None
        found = await count_open_tasks(self._client, self._settings.need("workspace_sid"))
        left = self._most + 1 - found
        self.is_full = left <= 0
        if self.is_full:
            return 0
        return max(0, left - opening) if self._opens_tasks else None
