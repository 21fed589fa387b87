"""Learns from a source of events who has opted out or in again."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from flexsms.core.event_source import EventPage, EventSource
from flexsms.core.exceptions import PermanentError
from flexsms.core.inbound_messages import OptOutWord
from flexsms.core.opt_out import Why
from flexsms.core.task_events import from_ms
from flexsms.twilio.client.concurrency import for_each
from flexsms.twilio.sending.suppressions import Suppressions

logger = logging.getLogger(__name__)


class LearningSource:
    """A source that stores the opt-outs of a page before it hands the page on, and so before a cursor moves.

    :param source: where the events come from
    :param at_once: messages asked for at a time
    """

    def __init__(self, source: EventSource, suppressions: Suppressions, *, at_once: int) -> None:
        self.name = source.name
        self.scope = source.scope
        self._source = source
        self._suppressions = suppressions
        self._at_once = at_once

    async def read(self, cursor: str | None) -> AsyncGenerator[EventPage, None]:
        """What the source gives; of its opt-outs, those whose message Twilio does not tell are among the rejected.

        One call for the message of each, and one to three to store it.

        :raises FlexSmsError: when an opt-out could not be stored, or Twilio did not answer; then read it again
        """
        async with aclosing(self._source.read(cursor)) as pages:
            async for page in pages:
                yield await self._learn(page) if page.opt_outs else page

    async def _learn(self, page: EventPage) -> EventPage:
        learnt: list[OptOutWord] = []
        rejected: list[str] = []

        async def learn(word: OptOutWord) -> None:
            try:
                number = await self._suppressions.sender_of(word.message_sid)
            except PermanentError as error:
                rejected.append(f"{word.message_sid}: who has opted {_way(word)} is not known. {error}")
                return
            why = Why.STOP if word.out else Why.START
            await self._suppressions.learn(number, out=word.out, at=from_ms(word.at_ms), why=why)
            learnt.append(word)

        await for_each(dict.fromkeys(page.opt_outs), learn, at_once=self._at_once)
        return replace(page, opt_outs=learnt, rejected=[*page.rejected, *rejected])


def _way(word: OptOutWord) -> str:
    return "out" if word.out else "in"
