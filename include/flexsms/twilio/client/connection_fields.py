"""The fields of the Twilio connection: what each may hold, and how the form asks for it.

The form in Airflow (``flexsms/connection_form.json``) and the sentence about a wrong field come from here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator
from pydantic.dataclasses import dataclass

from flexsms.core.stack_name import StackName
from flexsms.core.validation import NotBool, told
from flexsms.twilio.client.fields import (
    ADVANCED,
    EVENT_STREAMS,
    EVENTS_URL,
    FLEX_CONVERSATIONS,
    NOTIFICATIONS,
    OTHER_SOURCES,
    PROGRAMMABLE_CHAT,
    Days,
    conn_id,
    entry,
    place,
    required,
    sid,
)

DEFAULT_INBOX_KEEP_DAYS = 7
E164 = r"\+[1-9][0-9]{6,14}"
CONFIG = ConfigDict(defer_build=True, hide_input_in_errors=True)


@dataclass(frozen=True, slots=True, config=CONFIG)
class ConnectionFields:
    """The fields, in the order of the form. A default is what an empty field means; the form says so."""

    login: str = required(
        "is not an Account SID or API key SID",
        "give AC… or SK… and 32 hexadecimal digits",
        pattern="^(AC|SK)[0-9a-fA-F]{32}$",
    )
    password: str = required("is empty", "give the Auth Token or the API key's secret", repr=False)
    account_sid: str = sid(
        "AC",
        "Account SID",
        "needed when the login is an API key.",
        "the Account Dashboard",
        "; an API key does not tell its account",
        default=...,
    )
    stack: StackName = entry(
        "Stack",
        "The generation of Flex messaging: conversations, or chat (Programmable Chat and Proxy).",
        default=StackName.CONVERSATIONS,
        remedy="choose 'conversations' or 'chat'",
        enum=["conversations", "chat", None],
        values_display={"null": "not given: conversations"},
    )
    workspace_sid: str = sid(
        "WS", "TaskRouter workspace", "where task events come from.", "TaskRouter, Workspaces"
    )
    sync_service_sid: str = sid(
        "IS",
        "Sync service",
        "where channel states and ledgers are kept. flexsms setup creates one and stores its SID.",
        "Sync, Services",
        missing="run flexsms setup --write, which creates a Sync service and stores its SID",
    )
    workflow_sid: str = sid(
        "WW",
        "TaskRouter workflow",
        "routes the tasks. It may be empty if the workspace has only one.",
        "TaskRouter, Workspaces, Workflows",
    )
    studio_flow_sid: str = sid(
        "FW", "Studio flow", "answers the customers of texts of route studio.", "Studio, Flows"
    )
    conversations_service_sid: str = sid(
        "IS",
        "Conversations service",
        "where Flex has its conversations, if that is not the account's default service.",
        "Conversations, Services",
        section=FLEX_CONVERSATIONS,
    )
    queue_sid: str = sid(
        "WQ",
        "TaskRouter queue",
        "where the tasks of texts with worker_only wait. Only these need it.",
        "TaskRouter, Workspaces, Task queues",
        section=FLEX_CONVERSATIONS,
    )
    close_after_days: Days | None = entry(
        "Close after (days)",
        "A safety net: Twilio itself closes a new conversation after so many days without activity. Give some more "
        "than cleanup's retention window; empty: never.",
        default=None,
        section=FLEX_CONVERSATIONS,
    )
    chat_service_sid: str = sid(
        "IS",
        "Chat service",
        "Flex Chat Service, in which Flex keeps the channels.",
        "Programmable Chat, Services",
        section=PROGRAMMABLE_CHAT,
    )
    session_service_sid: str = sid(
        "KS",
        "Proxy service",
        "Flex Proxy Service, which carries texts to the handset and back.",
        "Proxy, Services",
        section=PROGRAMMABLE_CHAT,
    )
    inbox_path: str = entry(
        "Inbox",
        "Where posts of Event Streams are kept: a URL like s3://aws_default@bucket/flexsms or "
        "file:///var/lib/flexsms/inbox, the same for all components. Credentials belong into the Airflow connection "
        "that the URL names before the @. Empty: no inbox.",
        "[a-z][a-z0-9+.-]*://[^?#]*[^?#/]/*",
        problem="is not a URL",
        remedy="give a URL like s3://aws_default@bucket/flexsms or file:///var/lib/flexsms/inbox",
        # The form lets no credentials through to where they would be stored.
        form_pattern="^([a-z][a-z0-9+.-]*://([A-Za-z0-9_.-]+@)?[^@/?#]*(/[^?#]*)?)?$",
        section=EVENT_STREAMS,
    )
    events_url: str = entry(
        "Events URL",
        "What Twilio posts events to, like https://airflow.example.com/flexsms/events. It is part of Twilio's "
        "signature; the inbox takes nothing in without it.",
        EVENTS_URL,
        problem="is not a URL",
        remedy="give https://host/flexsms/events as Twilio calls it, without a user, a password or a ?",
        missing="give https://<your Airflow>/flexsms/events as Twilio calls it; flexsms setup --events-url … --write "
        "stores it",
        section=EVENT_STREAMS,
    )
    auth_token: str = entry(
        "Auth Token",
        "Checks the signature of Twilio's posts, when the password is an API key's secret. In the Twilio Console: the "
        "Account Dashboard.",
        format="password",
        in_repr=False,
        section=EVENT_STREAMS,
    )
    inbox_keep_days: Days = entry(
        "Keep posts for (days)",
        "How long a post stays in the inbox after it has arrived; an unread one stays.",
        default=DEFAULT_INBOX_KEEP_DAYS,
        section=EVENT_STREAMS,
    )
    events_conn_id: str = conn_id(
        "flexsms_events",
        "Collector's connection",
        "Source http: the Airflow connection of type http that events are pulled from.",
    )
    events_endpoint: str = entry(
        "Collector's endpoint",
        "Source http: its path; another Airflow with flexsms has the default.",
        default="/flexsms/events",
        section=OTHER_SOURCES,
    )
    kinesis_stream: str = entry(
        "Kinesis stream",
        "Source kinesis: name or ARN of the stream that a sink of Event Streams writes to.",
        "(arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]+:stream/)?[a-zA-Z0-9_.-]{1,128}",
        problem="is neither a stream's name nor its ARN",
        remedy="give the stream's name, or its ARN like arn:aws:kinesis:eu-west-1:123456789012:stream/flexsms",
        section=OTHER_SOURCES,
    )
    kinesis_conn_id: str = conn_id(
        "aws_default",
        "AWS connection",
        "Source kinesis: the Airflow connection of type aws; needs flexsms with the extra [kinesis].",
    )
    notify_from: str = entry(
        "Sender of notifications",
        "FlexSmsNotifier: your Twilio number that it texts from, E.164, like +14155550100.",
        E164,
        problem="is not a phone number",
        remedy="give your Twilio number in E.164, like +14155550100",
        section=NOTIFICATIONS,
        in_repr=False,
    )
    notify_numbers: str | Mapping[str, tuple[str, ...]] = entry(
        "Recipients of notifications",
        'FlexSmsNotifier: a JSON object of names and numbers, E.164, like {"oncall": ["+14155550171"]}.',
        problem="is not understood",
        remedy='give a JSON object like {"oncall": ["+14155550171"]}',
        section=NOTIFICATIONS,
        in_repr=False,
    )
    edge: str = place("Edge", "dublin", "region")
    region: str = place("Region", "ie1", "edge")
    timeout_s: Annotated[float, Field(ge=0.1, le=600), NotBool] = entry(
        "Timeout (seconds)", "For each request, connecting included.", default=15.0, section=ADVANCED
    )
    max_in_flight: Annotated[int, Field(ge=1, le=1000), NotBool] = entry(
        "Concurrent requests",
        "The maximum number of requests to Twilio at the same time, for each process.",
        default=32,
        section=ADVANCED,
    )
    rate_limits: str | Mapping[str, float] = entry(
        "Rate limits (requests per second)",
        "documented, off, or a JSON object of limits by endpoint, or for all of a host together, like "
        '{"proxy.twilio.com": 10}.',
        default="documented",
        problem="is not understood",
        remedy="give 'documented', 'off', or an object like {\"POST flex-api.twilio.com/v1/Channels\": 5}",
        section=ADVANCED,
    )
    base_url: str = entry(
        "Base URL",
        "Empty for Twilio. For a local Twilio like http://127.0.0.1:9999.",
        "https?://[^?#]+",
        problem="is not a URL",
        remedy="leave it empty for Twilio, or give http://host:port",
        section=ADVANCED,
    )

    @field_validator("base_url", "events_url")
    @classmethod
    def _url(cls, value: str) -> str:
        parts = urlsplit(value)  # raises ValueError as well
        if value and (not parts.hostname or parts.port == 0):
            raise ValueError
        return value

    @field_validator("inbox_path")
    @classmethod
    def _without_credentials(cls, value: str) -> str:
        # What stands before the @ is the ID of a connection: that is all that Airflow's ObjectStoragePath reads there.
        user, at, _ = value.partition("://")[2].partition("/")[0].rpartition("@")
        if at and not re.fullmatch(r"[A-Za-z0-9_.-]+", user):
            raise told(
                "holds more than the ID of a connection before the @",
                "put credentials into an Airflow connection and name that, like s3://conn_id@bucket/path",
            )
        return value

    @field_validator("base_url", "inbox_path")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("notify_numbers", mode="before")
    @classmethod
    def _recipients(cls, value: Any) -> Any:
        parsed = json.loads(value) if isinstance(value, str) and value else value or {}
        if not isinstance(parsed, Mapping):
            raise ValueError
        recipients = {
            str(name): tuple(one) if isinstance(one, list | tuple) else (one,) for name, one in parsed.items()
        }
        for name, numbers in recipients.items():
            if not numbers or not all(re.fullmatch(E164, str(number)) for number in numbers):
                raise told(f"has no number in E.164 for {name!r}")
        return recipients

    @field_validator("rate_limits", mode="before")
    @classmethod
    def _limits(cls, value: Any) -> Any:
        if value in ("documented", "off"):
            return value
        try:
            parsed = json.loads(value) if isinstance(value, str) else value
            limits = {str(endpoint): float(per_second) for endpoint, per_second in parsed.items()}
        except (TypeError, AttributeError):
            raise ValueError from None
        if not all(per_second > 0 for per_second in limits.values()):
            raise told("holds a limit that is not above 0")
        return limits
