"""Twilio's documented rate limits, as token buckets on the wall clock (waiting for a 429 is real waiting).

Sources: the pages on limits of legacy Flex (https://www.twilio.com/docs/flex/developer/messaging/limits),
Flex Conversations (https://www.twilio.com/docs/flex/developer/conversations/limits), Conversations
(https://www.twilio.com/docs/conversations/conversations-limits), Proxy (https://www.twilio.com/docs/proxy/proxy-limits),
Sync (https://www.twilio.com/docs/sync/limits) and TaskRouter (https://www.twilio.com/docs/taskrouter/limits). Chat v2
publishes no rate that anyone found.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

from ..http import Problem, Request
from .router import Route

FLEX = "flex-api.twilio.com"
CONVERSATIONS = "conversations.twilio.com"
PROXY = "proxy.twilio.com"
SYNC = "sync.twilio.com"
TASKROUTER = "taskrouter.twilio.com"


@dataclass(frozen=True, slots=True)
class Limit:
    """rate: requests per second; burst: how many may come at once after a pause; code: of the 429."""

    rate: float
    burst: float
    code: int = 20429


def _per_second(rate: float) -> Limit:
    return Limit(rate, rate)


# The table of the legacy Flex limits page, read as requests per second and account.
FLEX_LIMITS = {
    ("GET", "/v1/FlexFlows"): _per_second(10),
    ("POST", "/v1/FlexFlows"): _per_second(2),
    ("GET", "/v1/FlexFlows/{flow}"): _per_second(2),
    ("POST", "/v1/FlexFlows/{flow}"): _per_second(1),
    ("DELETE", "/v1/FlexFlows/{flow}"): _per_second(2),
    ("POST", "/v1/Channels"): _per_second(10),
    ("GET", "/v1/Channels"): _per_second(5),
    ("GET", "/v1/Channels/{channel}"): _per_second(3),
    ("DELETE", "/v1/Channels/{channel}"): _per_second(10),
}
# Interactions: per endpoint and account. Conversations: changes per conversation, and of conversations per service.
INTERACTION_LIMIT = Limit(20, 20, 45780)
CONVERSATION_LIMIT = _per_second(30)
# 30/s per endpoint and service, five times that at once over a 5 s window.
PROXY_LIMIT = Limit(30, 150)
# 20 reads and 20 writes per second and object with a 10 s window; a document of 10 KiB or more is written
# 2/s.
SYNC_LIMIT = Limit(20, 200, 54009)
SYNC_LARGE_LIMIT = Limit(2, 20, 54009)
SYNC_LARGE_BYTES = 10 * 1024
EVALUATE_LIMIT = _per_second(3)


class Limits:
    """One bucket per thing that is limited, made when it is first used."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, ...], tuple[float, float]] = {}

    def check(self, route: Route, request: Request, found: list[str]) -> None:
        """Take a token, or raise the 429 of this product. A refused request is not processed."""
        for key, limit in self._applying(route, request, found):
            now = monotonic()
            tokens, since = self._buckets.get(key, (limit.burst, now))
            tokens = min(limit.burst, tokens + (now - since) * limit.rate)
            if tokens < 1:
                self._buckets[key] = (tokens, now)
                raise Problem(429, limit.code, "Too Many Requests")
            self._buckets[key] = (tokens - 1, now)

    def _applying(
        self, route: Route, request: Request, found: list[str]
    ) -> list[tuple[tuple[str, ...], Limit]]:
        endpoint = (route.method, route.template)
        if route.host == FLEX and route.template.startswith("/v1/Interactions"):
            return [(endpoint, INTERACTION_LIMIT)]
        if route.host == CONVERSATIONS and route.method != "GET":
            return [(("conversation", _conversation(request)), CONVERSATION_LIMIT)]
        if route.host == FLEX:
            limit = FLEX_LIMITS.get(endpoint)
            return [(endpoint, limit)] if limit else []
        if route.host == PROXY:
            return [((*endpoint, *found[:1]), PROXY_LIMIT)]
        if route.host == SYNC and len(found) > 1:
            # Items count against their map or list: its name is the second variable segment.
            kind = "read" if route.method == "GET" else "write"
            size = sum(len(value) for value in request.form.get("Data", []))
            limit = SYNC_LARGE_LIMIT if size >= SYNC_LARGE_BYTES else SYNC_LIMIT
            return [((kind, str(limit.rate), *found[:2]), limit)]
        if route.host == TASKROUTER and "EvaluateTaskAttributes" in request.query:
            return [(("evaluate", *found[:1]), EVALUATE_LIMIT)]
        return []


def _conversation(request: Request) -> str:
    """The conversation that a request changes something of, or nothing if it makes or deletes one."""
    name, _, inside = request.path.partition("/Conversations/")[2].partition("/")
    return name if inside or request.method == "POST" else ""
