"""The one thing that flexsms keeps up to date, as Airflow sees it."""

from __future__ import annotations

from airflow.sdk import Asset

# Track and cleanup emit it; its asset_state_store holds the cursors of the sources, named by `cursor_key`.
CHANNEL_STATE = Asset(name="flexsms_channel_state", uri="x-flexsms://channels")


def cursor_key(source: str) -> str:
    """The key under which the cursor of a source is kept."""
    return f"cursor.{source}"
