"""The Twilio connection: its fields, what each may hold, and one frozen object of them.

The form in Airflow (``flexsms/connection_form.json``) and the sentence about a wrong field come from here, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from pydantic.dataclasses import dataclass

from flexsms.core.exceptions import MissingSetting
from flexsms.core.stack_name import StackName
from flexsms.core.validation import NotBool, sentence, told
from flexsms.twilio.client.fields import EVENTS_URL, Days, conn_id, entry, place, required, sid

# A text whose answer was lost may still turn up for as long as a request may take, and as much again.
SETTLE_IN_TIMEOUTS = 2
# A try of a batch writes for so long after it has made sure that it is the newest.
ATTEMPT_IN_TIMEOUTS = 2
# A key is held long enough to post, to wait for a lost text, and to try again.
LEASE_IN_TIMEOUTS = 8

DEFAULT_INBOX_KEEP_DAYS = 7


@dataclass(frozen=True, slots=True, config=ConfigDict(defer_build=True, hide_input_in_errors=True))
class TwilioSettings:
    """Everything that the Twilio side needs to know. A default is what an empty field means; the form says so."""

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
        "; an API key does not tell its account",
        ...,
    )
    stack: StackName = entry(
        "Stack",
        "The generation of Flex messaging: conversations, or chat (Programmable Chat and Proxy).",
        default=StackName.CONVERSATIONS,
        remedy="choose 'conversations' or 'chat'",
        enum=["conversations", "chat", None],
        values_display={"null": "not given: conversations"},
    )
    sync_service_sid: str = sid("IS", "Sync service", "where channel states and ledgers are kept.")
    workspace_sid: str = sid("WS", "TaskRouter workspace", "where task events come from.")
    conversations_service_sid: str = sid(
        "IS",
        "Conversations service",
        "stack conversations: where Flex has its conversations, if that is not the account's default service.",
    )
    chat_service_sid: str = sid("IS", "Chat service", "stack chat: the service that Flex keeps channels in.")
    session_service_sid: str = sid(
        "KS", "Proxy service", "stack chat: carries texts to the handset and back."
    )
    workflow_sid: str = sid("WW", "TaskRouter workflow", "stack conversations: routes the tasks.")
    queue_sid: str = sid("WQ", "TaskRouter queue", "stack conversations: where tasks wait.")
    studio_flow_sid: str = sid("FW", "Studio flow", "stack conversations: answers texts of route studio.")
    auth_token: Annotated[str, Field(repr=False)] = entry(
        "Auth Token",
        "Only for checking webhook signatures, when the password is an API key's secret.",
        format="password",
    )
    edge: str = place("Edge", "dublin")
    region: str = place("Region", "ie1")
    timeout_s: Annotated[float, Field(ge=0.1, le=600), NotBool] = entry(
        "Timeout", "Seconds per request, connecting included.", default=15.0
    )
    max_in_flight: Annotated[int, Field(ge=1, le=1000), NotBool] = entry(
        "Requests in flight", "At most so many at a time, per process.", default=32
    )
    close_after_days: Days | None = entry(
        "Close after days",
        "Stack conversations, a safety net: Twilio itself closes a new conversation after so many days without "
        "activity. Give some more than cleanup's retention window; empty: never.",
        default=None,
    )
    rate_limits: str | Mapping[str, float] = entry(
        "Rate limits",
        "documented, off, or a JSON object of requests per second by endpoint, or for all of a host together, like "
        '{"proxy.twilio.com": 10}.',
        default="documented",
        problem="is not understood",
        remedy="give 'documented', 'off', or an object like {\"POST flex-api.twilio.com/v1/Channels\": 5}",
    )
    base_url: str = entry(
        "Base URL",
        "Empty for Twilio. For a local Twilio like http://127.0.0.1:9999.",
        "https?://[^?#]+",
        problem="is not a URL",
        remedy="leave it empty for Twilio, or give http://host:port",
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
    )
    events_url: str = entry(
        "Events URL",
        "What Twilio posts events to, like https://airflow.example.com/flexsms/events. It is part of Twilio's "
        "signature; the inbox takes nothing in without it.",
        EVENTS_URL,
        problem="is not a URL",
        remedy="give https://host/flexsms/events as Twilio calls it, without a user, a password or a ?",
        missing="give https://<your Airflow>/flexsms/events as Twilio calls it; flexsms setup --events-url stores it",
    )
    events_conn_id: str = conn_id(
        "flexsms_events",
        "Collector",
        "Source http: the Airflow connection of type http that events are pulled from.",
    )
    events_endpoint: str = entry(
        "Collector's endpoint",
        "Source http: its path; another Airflow with flexsms has the default.",
        default="/flexsms/events",
    )
    inbox_keep_days: Days = entry(
        "Keep posts for",
        "Days that a post stays in the inbox after it has arrived; an unread one stays.",
        default=DEFAULT_INBOX_KEEP_DAYS,
    )
    kinesis_stream: str = entry(
        "Kinesis stream",
        "Source kinesis: name or ARN of the stream that a sink of Event Streams writes to.",
        "(arn:aws[a-z-]*:kinesis:[a-z0-9-]+:[0-9]+:stream/)?[a-zA-Z0-9_.-]{1,128}",
        problem="is neither a stream's name nor its ARN",
        remedy="give the stream's name, or its ARN like arn:aws:kinesis:eu-west-1:123456789012:stream/flexsms",
    )
    kinesis_conn_id: str = conn_id(
        "aws_default",
        "AWS connection",
        "Source kinesis: the Airflow connection of type aws; needs flexsms with the extra [kinesis].",
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

    @classmethod
    def from_connection(
        cls, login: str | None, password: str | None, extra: Mapping[str, Any]
    ) -> TwilioSettings:
        """Check the fields of an Airflow connection of type ``twilio``.

        :raises MissingSetting: naming the first field that is missing or wrong
        """
        fields = {**extra, "login": login, "password": password}
        stripped = {name: one.strip() if isinstance(one, str) else one for name, one in fields.items()}
        given = {name: one for name, one in stripped.items() if one not in (None, "")}
        account = str(given.get("login", ""))
        if account.startswith("AC"):
            given.setdefault("account_sid", account)
        try:
            settings = _adapter().validate_python(given)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            raise MissingSetting(name, *sentence(error, field_schemas()[name])) from None
        if account.startswith("AC") and settings.account_sid.lower() != account.lower():
            raise MissingSetting(
                "account_sid",
                "is another account than login, by which Twilio's products go",
                "give login and password of the account that is meant, and leave account_sid empty",
            )
        if bool(settings.edge) != bool(settings.region):
            raise MissingSetting(
                "edge" if settings.region else "region",
                "is empty",
                "give edge and region together, or neither",
            )
        return settings

    def changed(self, **extra: Any) -> TwilioSettings:
        """These settings with some fields of the extra given anew, checked like those of a connection.

        :raises MissingSetting: naming the field that is wrong
        """
        return TwilioSettings.from_connection(self.login, self.password, {**asdict(self), **extra})

    @property
    def stacks(self) -> list[StackName]:
        """The stack that sends, and, in an account that is moving over, Programmable Chat as well."""
        return list(dict.fromkeys([self.stack, *([StackName.CHAT] if self.has_chat else [])]))

    @property
    def has_chat(self) -> bool:
        """Whether the settings of Programmable Chat are there, whatever stack sends."""
        return bool(self.chat_service_sid and self.session_service_sid)

    @property
    def signing_key(self) -> str:
        """What Twilio signs its posts with: the account's Auth Token, never the secret of an API key.

        Source: https://www.twilio.com/docs/usage/webhooks/webhooks-security

        :raises MissingSetting: when the connection does not hold it
        """
        if self.auth_token:
            return self.auth_token
        if self.login.startswith("AC"):
            return self.password
        raise MissingSetting(
            "auth_token", "is empty", "give the account's Auth Token; it signs what Twilio posts"
        )

    def need(self, name: str) -> str:
        """The value of a field that this job cannot do without.

        :raises MissingSetting: when the connection leaves it empty
        """
        value: str = getattr(self, name)
        if not value:
            schema = field_schemas()[name]
            raise MissingSetting(name, "is empty", schema.get("missing") or schema["remedy"])
        return value


@cache
def _adapter() -> TypeAdapter[TwilioSettings]:
    return TypeAdapter(TwilioSettings)


@cache
def field_schemas() -> Mapping[str, Mapping[str, Any]]:
    """The JSON schema of every field, with the keywords ``problem`` and ``remedy``."""
    properties = _adapter().json_schema()["properties"]
    return {name: {"type": "string", **one, **one.get("anyOf", [{}])[0]} for name, one in properties.items()}
