"""The emulated products. Importing this package registers their routes."""

from . import chat, flex, proxy, sync, taskrouter

__all__ = ["chat", "flex", "proxy", "sync", "taskrouter"]
