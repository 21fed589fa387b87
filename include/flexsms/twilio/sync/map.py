"""A Sync map, which is created with its first item.

Source: https://www.twilio.com/docs/sync/api/map-item-resource
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import AlreadyExists, NotFound
from flexsms.twilio.client.concurrency import pages_ahead
from flexsms.twilio.client.dates import utc
from flexsms.twilio.sync.if_match import guarded

if TYPE_CHECKING:
    from twilio.rest import Client

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ONE_YEAR = timedelta(days=365)  # the longest life that Sync gives an item
FOR_EVER = timedelta(0)


@dataclass(frozen=True, slots=True)
class MapItem:
    """An item as Sync holds it, with the revision that a guarded update has to name."""

    key: str
    data: Mapping[str, Any]
    revision: str
    created_at: datetime
    updated_at: datetime


class SyncMap:
    """One map of a Sync service.

    :param unique_name: letters, digits, dots and dashes; no personal data
    :param ttl: how long an item lives after its last write; :data:`FOR_EVER`: until it is deleted
    """

    def __init__(
        self, client: Client, service_sid: str, unique_name: str, *, ttl: timedelta = ONE_YEAR
    ) -> None:
        self._maps = client.sync.v1.services(service_sid).sync_maps
        self._unique_name = unique_name
        self._ttl_s = round(ttl.total_seconds())

    async def create(self, key: str, data: Mapping[str, Any]) -> MapItem:
        """Add an item.

        :raises AlreadyExists: when there is one of that key
        """
        items = self._maps(self._unique_name).sync_map_items
        try:
            return _item(await items.create_async(key=key, data=dict(data), item_ttl=self._ttl_s))
        except NotFound:
            with suppress(AlreadyExists):
                await self._maps.create_async(unique_name=self._unique_name)
            return _item(await items.create_async(key=key, data=dict(data), item_ttl=self._ttl_s))

    async def fetch(self, key: str) -> MapItem:
        """Read an item.

        :raises NotFound: when there is none of that key
        """
        return _item(await self._maps(self._unique_name).sync_map_items(key).fetch_async())

    async def pages(self) -> AsyncGenerator[list[MapItem], None]:
        """All items, a page of 100 at a time, in the order of their keys; none where there is no map."""
        items = self._maps(self._unique_name).sync_map_items
        try:
            first = await items.page_async(order="asc", page_size=100)
        except NotFound:
            return
        async with aclosing(pages_ahead(first)) as pages:
            async for page in pages:
                yield [_item(item) for item in page]

    async def list(self, *, since: str) -> list[MapItem]:
        """The items from a key on, in the order of their keys; none where there is no map. One call per 100 items."""
        items = self._maps(self._unique_name).sync_map_items
        try:
            found = await items.list_async(order="asc", from_=since, page_size=100)
        except NotFound:
            return []
        return [_item(item) for item in found]

    async def update(self, key: str, data: Mapping[str, Any], *, revision: str) -> MapItem:
        """Replace an item's data.

        :raises RevisionMismatch: when somebody else wrote first
        """
        item = self._maps(self._unique_name).sync_map_items(key)
        return _item(await guarded(item.update_async, revision, data=dict(data), item_ttl=self._ttl_s))

    async def delete(self, key: str) -> None:
        """Remove an item, if it is there."""
        with suppress(NotFound):
            await self._maps(self._unique_name).sync_map_items(key).delete_async()


def _item(answer: Any) -> MapItem:
    return MapItem(
        key=answer.key,
        data=answer.data,
        revision=answer.revision,
        created_at=utc(answer.date_created) or EPOCH,
        updated_at=utc(answer.date_updated) or EPOCH,
    )
