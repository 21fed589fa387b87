"""Endpoints: how often Twilio documents that each may be called, and which calls may be repeated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")
_IN_DEFAULT_SERVICE = re.compile(
    r"(conversations\.twilio\.com/v1)/(Conversations|ParticipantConversations)\b"
)


def in_service_too(names: Mapping[str, T]) -> dict[str, T]:
    """Adds the longer paths of conversations in a named service."""
    longer = {_IN_DEFAULT_SERVICE.sub(r"\1/Services/{id}/\2", name): value for name, value in names.items()}
    return {**names, **longer}


# Requests per second. "{id}" stands for a SID or a unique name.
# https://www.twilio.com/docs/flex/developer/messaging/limits, /docs/proxy/proxy-limits, /docs/sync/limits
DOCUMENTED: Mapping[str, float] = {
    "GET flex-api.twilio.com/v1/FlexFlows": 10,
    "GET flex-api.twilio.com/v1/FlexFlows/{id}": 2,
    "POST flex-api.twilio.com/v1/FlexFlows": 2,
    "POST flex-api.twilio.com/v1/FlexFlows/{id}": 1,
    "POST flex-api.twilio.com/v1/Channels": 10,
    "GET flex-api.twilio.com/v1/Channels/{id}": 3,
    # https://www.twilio.com/docs/flex/developer/conversations/limits
    "POST flex-api.twilio.com/v1/Interactions": 20,
    "GET flex-api.twilio.com/v1/Interactions/{id}/Channels/{id}": 20,
    "POST flex-api.twilio.com/v1/Interactions/{id}/Channels/{id}": 20,
    "POST flex-api.twilio.com/v1/Interactions/{id}/Channels/{id}/Invites": 20,
    "POST sync.twilio.com/v1/Services/{id}/Documents": 20,
    # https://www.twilio.com/docs/conversations/conversations-limits
    **in_service_too({"POST conversations.twilio.com/v1/Conversations": 30}),
    # https://www.twilio.com/docs/taskrouter/limits
    "GET taskrouter.twilio.com/v1/Workspaces/{id}/Tasks?EvaluateTaskAttributes": 3,
}

# Requests per second that hold for every endpoint of a host, each for itself.
# https://www.twilio.com/docs/proxy/proxy-limits
DOCUMENTED_FOR_EACH: Mapping[str, float] = {"proxy.twilio.com": 30}

SEARCH = "EvaluateTaskAttributes"


# POSTs that may be repeated when their answer was lost, because a natural key makes the second one harmless.
# Nothing else is repeated; least of all a message.
REPEATABLE_POSTS: Mapping[str, str] = in_service_too(
    {
        "POST conversations.twilio.com/v1/Conversations": "a second one is refused by its unique name, 409",
        "POST conversations.twilio.com/v1/Configuration/Addresses/{id}": "sets the same values again",
        "POST conversations.twilio.com/v1/Conversations/{id}/Participants": "refused by its pair, 50416",
        "POST events.twilio.com/v1/Sinks/{id}/Validate": "says the same again",
        "POST events.twilio.com/v1/Subscriptions/{id}/SubscribedEvents/{id}": "sets the same version again",
        "POST flex-api.twilio.com/v1/Channels": "gives back the active channel of the same numbers and flow",
        "POST flex-api.twilio.com/v1/FlexFlows/{id}": "sets the same values again",
        "POST flex-api.twilio.com/v1/Interactions/{id}/Channels/{id}": "closing twice changes nothing",
        "POST proxy.twilio.com/v1/Services/{id}/Sessions": "a second one is refused by its unique name, 80603",
        "POST proxy.twilio.com/v1/Services/{id}/Sessions/{id}/Participants": "a second one is refused, 80103 or 80604",
        "POST proxy.twilio.com/v1/Services/{id}/Sessions/{id}": "setting the same status twice: 80607 the second time",
        "POST sync.twilio.com/v1/Services/{id}/Documents": "a second one is refused by its unique name, 54301",
        "POST sync.twilio.com/v1/Services/{id}/Documents/{id}": "guarded by If-Match",
        "POST sync.twilio.com/v1/Services/{id}/Maps": "a second one is refused by its unique name, 54301",
        "POST sync.twilio.com/v1/Services/{id}/Maps/{id}/Items": "a second one is refused by its key, 54208",
        "POST sync.twilio.com/v1/Services/{id}/Maps/{id}/Items/{id}": "guarded by If-Match",
    }
)


def endpoint(method: str, host: str, path: str) -> str:
    """Method, host and path with every identifier replaced: ``GET chat.twilio.com/v2/Services/{id}/Channels``.

    Behind the version, Twilio's paths are collection and identifier in turn. A regional host counts as its product's
    (https://www.twilio.com/docs/global-infrastructure/using-the-twilio-rest-api-in-a-non-us-region).
    """
    if host.endswith(".twilio.com"):
        host = f"{host.partition('.')[0]}.twilio.com"
    version, *segments = path.strip("/").split("/")
    if segments[0] == "Configuration" and len(segments) > 1:  # a folder, not a collection
        version = f"{version}/{segments.pop(0)}"
    template = "/".join(segment if index % 2 == 0 else "{id}" for index, segment in enumerate(segments))
    return f"{method} {host}/{version}/{template}"


def limited_as(endpoint_name: str, query: str) -> str:
    """The name under which the rate of a request is limited: a search of tasks by attributes has a limit of its own.

    :param query: of the request, encoded
    """
    return f"{endpoint_name}?{SEARCH}" if f"{SEARCH}=" in query else endpoint_name


def host_of(endpoint_name: str) -> str:
    """The host of an endpoint."""
    return endpoint_name.partition(" ")[2].partition("/")[0]


def documented(endpoint_name: str) -> float | None:
    """How many requests per second Twilio documents for an endpoint, None where it says nothing."""
    return DOCUMENTED.get(endpoint_name) or DOCUMENTED_FOR_EACH.get(host_of(endpoint_name))


def is_repeatable(method: str, endpoint_name: str) -> bool:
    """Whether sending the same request again is harmless when nobody knows if the first one was applied."""
    return method in ("GET", "DELETE") or endpoint_name in REPEATABLE_POSTS
