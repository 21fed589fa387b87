"""Keeping a channel in use for a text or a task, also while a cleanup is retiring it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import ChannelClosed
from flexsms.core.task_events import to_ms
from flexsms.twilio.sending.progress import Progress
from flexsms.twilio.stacks.protocol import OpenConversation, SendingStack
from flexsms.twilio.sync.channel_states import SyncStore


class ChannelsInUse:
    """Uses channels.

    :param store: the channel states, by which a cleanup learns of it
    :param now: the present, an aware datetime
    """

    def __init__(self, stack: SendingStack, store: SyncStore, *, now: Callable[[], datetime]) -> None:
        self._stack = stack
        self._store = store
        self._now = now

    async def use_again(self, conversation: OpenConversation) -> None:
        """Use a channel whose session was closed, maybe by a cleanup that is retiring it, for a text or a task.

        :raises ChannelClosed: when it stays retired
        """
        if not conversation.is_out_of_use:
            state = await self._learn(conversation)
            if not state.is_retired:
                return
            if not _is_deleted_next(state) and await self._stack.is_in_use(conversation):
                return
        kept = await self.keep(conversation)
        if kept is None:
            await self._stack.abandon(conversation)
        if not kept:
            raise ChannelClosed(f"{conversation.channel_sid} was retired in this very moment.")

    async def keep(self, conversation: OpenConversation) -> bool | None:
        """Keep a channel in use that a cleanup may be retiring, for the agent's task on it.

        A cleanup that is about to delete it looks no more, so it stays out of use, where no customer comes by.

        :return: None when there is no open task; False when it came too late, so that the task was ended
        """
        if conversation.task_sid is None or not conversation.session_sid:
            return await self._stack.keep(conversation)
        if _is_deleted_next(await self._learn(conversation)):
            return False if await self._stack.abandon(conversation) else None
        return await self._stack.keep(conversation)

    async def remember_session(self, conversation: OpenConversation, progress: Progress) -> None:
        """Keep the session of a channel that is new, so that retiring it later need not look it up."""
        if conversation.session_sid and conversation.session_sid != progress.session_sid:
            await self._learn(conversation)
            progress.session_sid = conversation.session_sid

    async def _learn(self, conversation: OpenConversation) -> ChannelState:
        """Write the session into the channel's state; returns what is there by then.

        A cleanup that has closed the session marks nothing as retired after this, but puts the channel back.
        """
        links = {"session": (to_ms("now", self._now()), str(conversation.session_sid))}
        state = ChannelState(conversation.channel_sid, self._stack.name, links=links)
        _, stored = await self._store.learn(state)
        return stored.state


def _is_deleted_next(state: ChannelState) -> bool:
    """Whether a cleanup has marked the channel as retired and deletes it next, if it has not done so."""
    return state.is_retired and (state.retired or (0, ""))[1] == "delete"
