"""The emulated products. Importing this package registers their routes."""

from . import (
    chat,
    conversation_messages,
    conversation_people,
    conversation_settings,
    conversations,
    events,
    flex,
    interaction_parts,
    interactions,
    messaging,
    proxy,
    proxy_parts,
    sync,
    sync_items,
    taskrouter,
    workspaces,
)

__all__ = [
    "chat",
    "conversation_messages",
    "conversation_people",
    "conversation_settings",
    "conversations",
    "events",
    "flex",
    "interaction_parts",
    "interactions",
    "messaging",
    "proxy",
    "proxy_parts",
    "sync",
    "sync_items",
    "taskrouter",
    "workspaces",
]
