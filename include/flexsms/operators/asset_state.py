"""What tracking and cleanup keep from run to run, in the state store of the asset."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from flexsms.assets import CHANNEL_STATE, cursor_key, ends_key, parked_key
from flexsms.core.event_source import EventSource
from flexsms.twilio.tracking.parked_states import ParkedStates
from flexsms.twilio.tracking.task_ends import TaskEnds

if TYPE_CHECKING:
    from flexsms.twilio.account import Account


def last_cursor(source: EventSource, context: Context) -> str | None:
    """Where the last run stopped reading the source, None when there was none."""
    cursor = context["asset_state_store"][CHANNEL_STATE].get(cursor_key(source))
    return None if cursor is None else str(cursor)


def cursor_saver(source: EventSource, context: Context) -> Callable[[str], Awaitable[None]]:
    """Keeps where a run stopped reading the source."""

    # The store is called synchronously: `dag.test()` of Airflow 3.3.2 lacks what its asynchronous methods need.
    async def save(cursor: str) -> None:
        context["asset_state_store"][CHANNEL_STATE].set(cursor_key(source), cursor)

    return save


def parked_states(account: Account, context: Context) -> ParkedStates:
    """What is known of channels whose documents hold no state.

    :param context: of a task that has the asset among its inlets or outlets
    """
    store = context["asset_state_store"][CHANNEL_STATE]
    return ParkedStates(AssetValue(store, parked_key(account.settings.need("sync_service_sid"))))


def task_ends(account: Account, context: Context) -> TaskEnds:
    """What is known of tasks whose ends may come without their channels.

    :param context: of a task that has the asset among its inlets or outlets
    """
    store = context["asset_state_store"][CHANNEL_STATE]
    return TaskEnds(AssetValue(store, ends_key(account.settings.need("sync_service_sid"))))


class AssetValue:
    """One key of an asset's state store."""

    def __init__(self, store: Any, key: str) -> None:
        self._store = store
        self._key = key

    def get(self) -> Any:
        return self._store.get(self._key)

    def set(self, value: Any) -> None:
        self._store.set(self._key, value)
