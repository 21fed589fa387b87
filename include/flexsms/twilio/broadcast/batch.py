"""Sends the texts of a batch, many at once: each once, within its recipient's hours, at a pace that all workers share.

What makes it safe is in :mod:`flexsms.twilio.sending`. A batch that was killed goes through its texts again, and finds
in the ledger what has left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from flexsms.core.broadcast import BroadcastText, Outcome
from flexsms.core.exceptions import (
    FlexSmsError,
    MissingSetting,
    NotAuthorized,
    PermanentError,
    ProductGone,
    RetryableError,
    ServiceUnavailable,
    TextsUnsent,
    Unreachable,
)
from flexsms.core.outbound_message import OutboundMessage
from flexsms.core.time_slots import MICROSECONDS
from flexsms.twilio.broadcast.campaign import Campaign
from flexsms.twilio.broadcast.feed import TextFeed, each
from flexsms.twilio.broadcast.outcomes import BatchOutcomes
from flexsms.twilio.broadcast.pace import MOST_TEXTS, SharedPace, SteadyClock
from flexsms.twilio.broadcast.rules import BroadcastRules, HoursWatch, TextLanes, Wait
from flexsms.twilio.broadcast.task_room import TaskRoom
from flexsms.twilio.client.concurrency import for_each
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.client.unexpected_errors import contained
from flexsms.twilio.sending.progress import SendResult
from flexsms.twilio.sending.sender import Sender
from flexsms.twilio.stacks.protocol import SendingStack

if TYPE_CHECKING:
    from twilio.rest import Client

logger = logging.getLogger(__name__)

LONGEST_SETUP_S = 300
LOOK_EVERY_S = 2.0
# A slot that is so far behind is not made up for: others send by now.
STALE = MICROSECONDS
# Whoever waits for a slot looks so often whether the batch goes on.
GLANCE_S = 1.0
# So many texts that could not be sent for now mean that Twilio is not there, and no more are tried.
MOST_UNSENT = 1000
# With these no other text of the batch fares better.
HOPELESS = (MissingSetting, ProductGone, Unreachable)
UNAUTHORIZED = 401


class BatchSender:
    """Sends one batch, in one try of its task.

    :param stack: over which ``sender`` sends
    :param zones: of all its texts
    :param run: whose workers count together how texts fare
    :param owner: the task instance, the same for all its tries
    :param was_tried: an earlier try may have sent some of the texts
    :param clock: the present, the same for all workers
    """

    def __init__(
        self,
        client: Client,
        settings: TwilioSettings,
        sender: Sender,
        stack: SendingStack,
        campaign: Campaign,
        rules: BroadcastRules,
        outcomes: BatchOutcomes,
        *,
        zones: tuple[str, ...],
        run: str,
        owner: str,
        was_tried: bool,
        clock: SteadyClock,
    ) -> None:
        self._sender = sender
        self._campaign = campaign
        self._rules = rules
        self._outcomes = outcomes
        self._hours = HoursWatch(rules, zones, clock.moment)
        self._owner = owner
        self._was_tried = was_tried
        self._clock = clock
        self._pace = SharedPace(
            client,
            settings.need("sync_service_sid"),
            run=run,
            owner=owner,
            stop_over=rules.stop_over,
            now=clock,
        )
        self._room = TaskRoom(client, settings, rules)
        rate = stack.texts_per_second(rules.route)
        self._lanes = TextLanes(rules, {str(stack.name): rate} if rate else {}, campaign.digest_of)
        self._at_once = settings.max_in_flight
        self._places = asyncio.Semaphore(self._at_once)
        self._unsent: list[tuple[BroadcastText, RetryableError]] = []
        self._error: FlexSmsError | None = None
        self._is_halted = self._is_paused = False

    def halt(self) -> None:
        """Let no further text begin. It may be called from a signal handler."""
        self._is_halted = True

    def pause(self) -> None:
        """Let no further text begin in this process; the batch goes on in another one."""
        self._is_paused = True

    async def send(self, texts: AsyncIterator[BroadcastText]) -> Wait | None:
        """Send the texts.

        :return: why the batch goes on later, with the texts of which nothing was told; None when it is through
        :raises TextsUnsent: when texts have not left, and another try may help
        :raises FlexSmsError: when no text can leave
        """
        await self._try(texts)
        if self._unsent and self._goes_on:
            unsent, self._unsent = self._unsent, []
            logger.info("Trying %d texts again that have not left.", len(unsent))
            await self._try(each(text for text, _ in unsent))
        unpacked = await self._outcomes.pack_rest()
        with suppress(FlexSmsError):  # only the others would know a little later
            await self._reserve([])
        if self._error is not None:
            raise self._error
        if self._is_halted:
            raise TextsUnsent("The task was stopped; another try, or run of the campaign, sends the rest.")
        if self._waits:  # who goes on tries the others, and adds who was texted
            return Wait(self._hours.opens or (self._clock.moment() if self._is_paused else None))
        if self._unsent:
            for text, error in self._unsent:
                self._outcomes.failed(text, error)
            raise TextsUnsent(
                f"{len(self._unsent)} texts have not left, the last of them for this reason: {self._unsent[-1][1]}"
            )
        if unpacked is not None:  # the next try adds them
            raise unpacked
        return None

    @property
    def _waits(self) -> bool:
        return self._hours.opens is not None or self._room.is_full or self._is_paused

    @property
    def _is_stopped(self) -> bool:
        """Whether too many texts have failed, those of other workers included, as far as they are known."""
        return self._pace.tally.add(self._outcomes.learnt).judge(self._rules.stop_over).stopped

    @property
    def _goes_on(self) -> bool:
        """Whether further texts may begin."""
        if self._is_halted or self._hours.is_over or self._waits or self._error:
            return False
        return len(self._unsent) <= MOST_UNSENT and not self._is_stopped

    async def _try(self, texts: AsyncIterator[BroadcastText]) -> None:
        """Send texts until something keeps the rest from leaving; whom that concerns for good is told."""
        # Where tasks are counted, no text has a slot that the next count does not know of.
        feed = TextFeed(texts, self._reserve, ahead=not self._room.is_limited)
        async with asyncio.TaskGroup() as group:
            try:
                while self._goes_on and (given := await feed.next()) is not None:
                    await self._places.acquire()
                    begins = False
                    try:
                        begins = await self._may_begin(given[1])
                    finally:
                        if not begins:
                            self._places.release()
                            feed.put_back(*given)
                    if begins:
                        group.create_task(self._one(given[0]))
                    else:
                        feed.drop_slots(before=self._clock() - STALE)
            except FlexSmsError as error:
                # Not raised here, where it would cancel the texts that are under way.
                self._error = error
        await feed.give_up_slots()
        self._room.clear()
        if self._hours.is_over:
            await self._leave_out(feed, Outcome.TOO_LATE)
        elif self._is_stopped:
            await self._leave_out(feed, Outcome.STOPPED)

    async def _reserve(self, texts: Sequence[BroadcastText]) -> list[int]:
        """Slots for the first of some texts; none where no more may leave."""
        lanes, room = [self._lanes.of(text.from_number) for text in texts], self._room
        while True:
            learnt, asks = self._outcomes.take_learnt(), room.left if texts else None
            try:
                slots = await self._pace.reserve(lanes, learnt, opening=room.opening(texts), room=asks)
            except FlexSmsError:
                self._outcomes.learnt = self._outcomes.learnt.add(learnt)
                raise
            room.take(texts[: len(slots)])
            if slots or not texts or not self._goes_on:
                return slots
            # Texts that are under way take all the room, here or on other workers: their tasks are not open yet.
            await asyncio.sleep(LOOK_EVERY_S)

    async def _may_begin(self, slot: int) -> bool:
        """Wait for a slot; False when it has gone by unused, or no further text may begin."""
        if slot - self._clock() > GLANCE_S * MICROSECONDS:
            await self._reserve([])  # others learn how the last texts have fared, and so do we
        while self._goes_on:
            now = self._clock()
            if slot <= now:
                is_stale = now - slot > STALE and self._lanes.are_limited
                return not is_stale and self._hours.is_open()
            await asyncio.sleep(min((slot - now) / MICROSECONDS, GLANCE_S))
        return False

    async def _one(self, text: BroadcastText) -> None:
        """Send one text, whatever becomes of it."""
        try:
            with contained():
                result = await self._send(text)
        except RetryableError as error:
            logger.info("Row %d has not left: %s", text.row, error)
            self._unsent.append((text, error))
        except PermanentError as error:
            is_login = isinstance(error, NotAuthorized) and error.status == UNAUTHORIZED
            if is_login or isinstance(error, HOPELESS):
                self._error = error
            else:
                self._outcomes.failed(text, error)
        else:
            self._outcomes.sent(text, result)
            await self._outcomes.pack_some()
        finally:
            self._room.leave(text)
            self._places.release()

    async def _send(self, text: BroadcastText) -> SendResult:
        message = OutboundMessage.parse(
            from_number=text.from_number,
            to_number=text.to_number,
            body=text.body,
            route=self._rules.route,
            to_name=text.to_name,
        )
        until = self._clock() + LONGEST_SETUP_S * MICROSECONDS

        async def wait_for_setup() -> None:
            if self._clock() > until:
                raise ServiceUnavailable(
                    f"Flex has been setting up the interaction for {LONGEST_SETUP_S} s; nothing was sent yet."
                )
            self._room.leave(text)  # TaskRouter counts its task by now
            # Others send meanwhile.
            self._places.release()
            try:
                await asyncio.sleep(LOOK_EVERY_S)
            finally:
                await self._places.acquire()

        return await self._sender.send(
            message,
            key=self._campaign.key(text.to_number),
            owner=self._owner,
            whatever_text=True,
            refuse_late=self._hours.refuse_late,
            wait_for_setup=wait_for_setup,
        )

    async def _leave_out(self, feed: TextFeed, outcome: Outcome) -> None:
        """Say of the texts that do not leave any more what keeps them, unless they have left in an earlier try."""
        unsent, self._unsent = self._unsent, []

        async def look(text: BroadcastText) -> None:
            try:
                found = await self._sender.find(self._campaign.key(text.to_number))
            except PermanentError as error:
                self._outcomes.failed(text, error)
                return
            if found is None:
                self._outcomes.left_out(text, outcome)
            else:
                self._outcomes.sent(text, found)
                await self._outcomes.pack_some()

        await for_each((text for text, _ in unsent), look, at_once=self._at_once)
        if self._was_tried:
            while some := await feed.rest(MOST_TEXTS):
                await for_each(some, look, at_once=self._at_once)
        while some := await feed.rest(MOST_TEXTS):
            for text in some:
                self._outcomes.left_out(text, outcome)
