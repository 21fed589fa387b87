"""The things that flexsms keeps or waits for, as Airflow sees them."""

from __future__ import annotations

import hashlib

from airflow.sdk import Asset, AssetWatcher

from flexsms.core.event_source import EventSource
from flexsms.triggers.inbox import InboxTrigger

# Track and cleanup emit it when documents have changed. Its asset_state_store holds the cursors of the sources, named
# by `cursor_key`, the states that no document takes, by `parked_key`, the ends that no channel is known for, by
# `ends_key`, and the documents that were named to be deleted, by `leftovers_key`.
CHANNEL_STATE = Asset(name="flexsms_channel_state", uri="x-flexsms://channels")

# Sending and waiting for the delivery emit it, an event per text, for whoever counts. Nobody has to wait for it.
TEXT = Asset(name="flexsms_text", uri="x-flexsms://texts")

# The report of a broadcast emits it, an event per run with the totals.
BROADCAST = Asset(name="flexsms_broadcast", uri="x-flexsms://broadcasts")

# What Event Streams has posted. Nobody emits it: the triggerer looks.
INBOX = Asset(
    name="flexsms_inbox",
    uri="x-flexsms://inbox",
    watchers=[AssetWatcher(name="flexsms_inbox", trigger=InboxTrigger())],
)


def text_key(message_sid: str) -> str:
    """What the events of a text have in common, whichever task of whichever run emits them.

    :param message_sid: IM…; the events do not tell it
    """
    return hashlib.sha256(message_sid.encode()).hexdigest()[:16]


def cursor_key(source: EventSource) -> str:
    """The key under which the cursor of a source is kept: there is one asset for all accounts, and a key for each."""
    return f"cursor.{source.name}.{source.scope}"


def parked_key(sync_service_sid: str) -> str:
    """The key under which the states wait whose documents in a Sync service hold no state."""
    return f"parked.{sync_service_sid}"


def ends_key(sync_service_sid: str) -> str:
    """The key under which ends of tasks wait whose events name no channel, with the newest tasks seen on channels."""
    return f"ends.{sync_service_sid}"


def leftovers_key(sync_service_sid: str) -> str:
    """The key under which the documents of the original recipe about no channel are listed that were named once."""
    return f"leftovers.{sync_service_sid}"
