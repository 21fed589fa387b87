"""The emulated products. Importing this package registers their routes."""

from . import chat, events, flex, proxy, proxy_parts, sync, sync_items, taskrouter, workspaces

__all__ = ["chat", "events", "flex", "proxy", "proxy_parts", "sync", "sync_items", "taskrouter", "workspaces"]
