"""Channel states in Twilio Sync: one document per channel, guarded by its revision.

Documents: https://www.twilio.com/docs/sync/api/document-resource
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from flexsms.core.channel_state import ChannelState, from_recipe
from flexsms.core.exceptions import AlreadyExists, InvalidInput, NotFound, RevisionMismatch, UnreadableState
from flexsms.twilio.client.concurrency import pages_ahead
from flexsms.twilio.sync.if_match import guarded

if TYPE_CHECKING:
    from twilio.rest import Client
    from twilio.rest.sync.v1.service import ServiceContext

logger = logging.getLogger(__name__)

# A bare CH… would be refused: a unique name must not look like a SID (54302).
DOCUMENT_PREFIX = "flexsms."
STATE_PREFIX = f"{DOCUMENT_PREFIX}CH"  # other documents of ours hold no state
RECIPE_PREFIX = "ChannelSIDIS"
PAGE_SIZE = 100
# How long the state of a retired channel stays, so that late events do not bring it back: seconds.
RETIRED_TTL_S = 2 * 86_400
# How long the state of a channel without a task stays, which is never due: seconds. The first task takes this away.
# TaskRouter keeps its events as long, and what is lost then is the SID of a session, for which its name can be asked.
TASKLESS_TTL_S = 30 * 86_400
WRITE_ATTEMPTS = 20


class Written(StrEnum):
    """What merging into a document did."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class StoredState:
    """A state as Sync holds it.

    :param revision: what a guarded update has to name
    """

    state: ChannelState
    revision: str


@dataclass(frozen=True, slots=True)
class Leftover:
    """A document of the original recipe about no channel: it named one after each task, also after calls."""

    name: str


@dataclass(frozen=True, slots=True)
class UnreadableDocument:
    """A document with our prefix that holds no channel state."""

    channel_sid: str
    problem: str


# What a scan finds.
Scanned = StoredState | UnreadableDocument | Leftover


class SyncStore:
    """The channel states of one Sync service.

    :param client: a client on :class:`flexsms.twilio.client.http_client.TwilioTransport`
    :param service_sid: IS…
    """

    def __init__(self, client: Client, service_sid: str) -> None:
        self._service: ServiceContext = client.sync.v1.services(service_sid)

    async def load(self, channel_sid: str) -> StoredState | None:
        """The state of one channel, None when there is none.

        :raises UnreadableState: when its document holds no state, or that of another channel
        """
        try:
            document: Any = await self._service.documents(DOCUMENT_PREFIX + channel_sid).fetch_async()
        except NotFound:
            return None
        return StoredState(_state(channel_sid, document.data), document.revision)

    async def merge(self, learnt: ChannelState, ends: Mapping[str, int] | None = None) -> Written:
        """Add to what is stored about a channel. Two calls when something changes, one when nothing does.

        :param ends: when tasks ended whose channel is not known, by task; those of this channel count as well
        """
        return (await self.learn(learnt, ends))[0]

    async def learn(
        self,
        learnt: ChannelState,
        ends: Mapping[str, int] | None = None,
        *,
        stored: StoredState | None = None,
    ) -> tuple[Written, StoredState]:
        """:meth:`merge`, which also returns what is stored by then.

        :param stored: what has just been read of the channel, which saves one call
        """
        ends = ends or {}
        learnt = learnt.end(ends)
        for _ in range(WRITE_ATTEMPTS):
            stored = stored or await self.load(learnt.channel_sid)
            if stored is None:
                try:
                    return Written.CREATED, await self._create(learnt)
                except AlreadyExists:
                    continue
            merged = stored.state.merge(learnt).end(ends)
            if merged == stored.state:
                return Written.UNCHANGED, stored
            try:
                return Written.UPDATED, await self._write(merged, stored.revision)
            except (RevisionMismatch, NotFound):
                stored = None
        raise RevisionMismatch(
            f"The state of {learnt.channel_sid} changed {WRITE_ATTEMPTS} times while it was written; try again."
        )

    async def mark_retired(self, state: ChannelState, revision: str) -> None:
        """Replace the state by that of a retired channel, which Sync removes by itself after a while.

        :raises RevisionMismatch: when the state changed since it was read
        """
        await self._write(state, revision)

    async def _create(self, state: ChannelState) -> StoredState:
        created: Any = await self._service.documents.create_async(
            unique_name=DOCUMENT_PREFIX + state.channel_sid, data=state.to_json(), ttl=_ttl_s(state)
        )
        return StoredState(state, created.revision)

    async def _write(self, state: ChannelState, revision: str) -> StoredState:
        document = self._service.documents(DOCUMENT_PREFIX + state.channel_sid)
        written: Any = await guarded(document.update_async, revision, data=state.to_json(), ttl=_ttl_s(state))
        return StoredState(state, written.revision)

    async def scan(self, *, adopt: bool) -> AsyncGenerator[list[Scanned], None]:
        """All states, a page at a time; one call per 100 documents.

        Documents of the original recipe are merged with ours of the same channel.

        :param adopt: migrate the recipe's documents to ours; else nothing is written
        """
        first = await self._service.documents.page_async(page_size=PAGE_SIZE)
        async with aclosing(pages_ahead(first)) as pages:
            async for page in pages:
                yield await self._read_page(page, adopt=adopt)

    async def _read_page(self, page: Any, *, adopt: bool) -> list[Scanned]:
        states: list[Scanned] = []
        for document in page:
            name = document.unique_name or ""
            if name.startswith(STATE_PREFIX):
                channel_sid = name.removeprefix(DOCUMENT_PREFIX)
                states.append(self._read(channel_sid, document.data, document.revision))
            elif name.startswith(RECIPE_PREFIX):
                states.extend(await self._adopt(document, write=adopt))
        return states

    @staticmethod
    def _read(channel_sid: str, data: Any, revision: str) -> StoredState | UnreadableDocument:
        try:
            return StoredState(_state(channel_sid, data), revision)
        except InvalidInput as error:
            return UnreadableDocument(channel_sid, str(error))

    async def _adopt(self, document: Any, *, write: bool) -> list[Scanned]:
        name = document.unique_name
        try:
            learnt = from_recipe(document.data)
        except InvalidInput as error:
            channel_sid = name.removeprefix(RECIPE_PREFIX)
            if not channel_sid.startswith("CH"):
                return [Leftover(name)]
            return [UnreadableDocument(channel_sid, str(error))]
        try:
            return await self._adopt_state(name, learnt, write=write)
        except UnreadableState as error:
            return [UnreadableDocument(learnt.channel_sid, str(error))]

    async def _adopt_state(self, name: str, learnt: ChannelState, *, write: bool) -> list[Scanned]:
        ours = await self.load(learnt.channel_sid)
        if write:
            await self.merge(learnt)
            with suppress(NotFound):  # another run has migrated it, too
                await self._service.documents(name).delete_async()
            logger.info("Migrated document %s to %s%s.", name, DOCUMENT_PREFIX, learnt.channel_sid)
        if ours is not None:
            return []  # the scan meets our document by itself
        adopted = await self.load(learnt.channel_sid) if write else None
        return [adopted or StoredState(learnt, "")]


def _ttl_s(state: ChannelState) -> int:
    """How long a document stays after this write, seconds; 0 is for ever."""
    if state.is_retired:
        return RETIRED_TTL_S
    has_tasks = bool(state.seen) or state.last_ended_ms is not None
    return 0 if has_tasks else TASKLESS_TTL_S


def _state(channel_sid: str, data: Any) -> ChannelState:
    state = ChannelState.from_json(data)
    if state.channel_sid != channel_sid:
        raise UnreadableState(
            "channel_sid",
            f"is {state.channel_sid} in the document of {channel_sid}",
            "delete the document or repair it",
        )
    return state
