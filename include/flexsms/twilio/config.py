"""The Twilio connection as one frozen settings object. Every default lives here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from flexsms.core.errors import MissingSetting
from flexsms.core.events import StackName

DEFAULT_TIMEOUT_S = 15.0
DEFAULT_MAX_IN_FLIGHT = 32
DEFAULT_EVENTS_CONN_ID = "flexsms_events"
DEFAULT_EVENTS_ENDPOINT = "/flexsms/events"
DEFAULT_INBOX_KEEP_DAYS = 7
DEFAULT_KINESIS_CONN_ID = "aws_default"

# A text whose answer was lost may still turn up for as long as a request may take, and as much again.
SETTLE_IN_TIMEOUTS = 2
# A try of a batch writes for so long after it has made sure that it is the newest.
ATTEMPT_IN_TIMEOUTS = 2
# A key is held long enough to post, to wait for a lost text, and to try again.
LEASE_IN_TIMEOUTS = 8

# Airflow puts the name of a connection into a URL as it is given, so it must not lead to another one.
CONN_ID = r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*$"

_SID_FIELDS = {
    "account_sid": "AC",
    "sync_service_sid": "IS",
    "workspace_sid": "WS",
    "conversations_service_sid": "IS",
    "chat_service_sid": "IS",
    "session_service_sid": "KS",
    "workflow_sid": "WW",
    "queue_sid": "WQ",
    "studio_flow_sid": "FW",
}

_REMEDIES = {
    **{name: f"give the {prefix}… SID from the Twilio Console" for name, prefix in _SID_FIELDS.items()},
    "inbox_path": "give a URL like s3://aws_default@bucket/flexsms or file:///var/lib/flexsms/inbox",
    "events_url": "give https://<your Airflow>/flexsms/events as Twilio calls it; flexsms setup --events-url stores it",
    "kinesis_stream": "give the stream's name, or its ARN like arn:aws:kinesis:eu-west-1:123456789012:stream/flexsms",
}


@dataclass(frozen=True, slots=True)
class TwilioSettings:
    """Everything that the Twilio side needs to know.

    :param login: Account SID or API key SID
    :param password: the token or secret that belongs to ``login``
    :param conversations_service_sid: where conversations are; empty: in the account's default service
    :param timeout_s: seconds per request, connecting included
    :param max_in_flight: requests in flight per process
    :param close_after_days: Twilio itself closes a new conversation after so long a silence; None: never
    :param rate_limits: ``documented``, ``off``, or requests per second by endpoint
    :param base_url: empty for Twilio; see :mod:`flexsms.twilio.transport`
    :param inbox_path: where posts of Event Streams are kept, a URL that Airflow's ``ObjectStoragePath`` understands
    :param events_url: what Twilio posts to, part of its signature; empty: no post is taken in
    :param events_conn_id: the Airflow connection of type ``http`` that source ``http`` pulls from
    :param events_endpoint: the path there
    :param inbox_keep_days: days that a post is kept after it has arrived
    :param kinesis_stream: name or ARN of the stream that source ``kinesis`` pulls from
    :param kinesis_conn_id: the Airflow connection of type ``aws`` for it
    """

    login: str
    password: str = field(repr=False)
    account_sid: str
    stack: StackName = StackName.CONVERSATIONS
    sync_service_sid: str = ""
    workspace_sid: str = ""
    conversations_service_sid: str = ""
    chat_service_sid: str = ""
    session_service_sid: str = ""
    workflow_sid: str = ""
    queue_sid: str = ""
    studio_flow_sid: str = ""
    auth_token: str = field(default="", repr=False)
    edge: str = ""
    region: str = ""
    timeout_s: float = DEFAULT_TIMEOUT_S
    max_in_flight: int = DEFAULT_MAX_IN_FLIGHT
    close_after_days: int | None = None
    rate_limits: str | Mapping[str, float] = "documented"
    base_url: str = ""
    inbox_path: str = ""
    events_url: str = ""
    events_conn_id: str = DEFAULT_EVENTS_CONN_ID
    events_endpoint: str = DEFAULT_EVENTS_ENDPOINT
    inbox_keep_days: int = DEFAULT_INBOX_KEEP_DAYS
    kinesis_stream: str = ""
    kinesis_conn_id: str = DEFAULT_KINESIS_CONN_ID

    @classmethod
    def from_connection(
        cls, login: str | None, password: str | None, extra: Mapping[str, Any]
    ) -> TwilioSettings:
        """Check the fields of an Airflow connection of type ``twilio``.

        :raises MissingSetting: naming the first field that is missing or wrong
        """
        login, password = (login or "").strip(), (password or "").strip()
        if not re.fullmatch(r"(AC|SK)[0-9a-fA-F]{32}", login):
            problem = "is not an Account SID or API key SID" if login else "is empty"
            raise MissingSetting("login", problem, "give AC… or SK… and 32 hexadecimal digits")
        if not password:
            raise MissingSetting("password", "is empty", "give the Auth Token or the API key's secret")
        sids = {name: _sid(extra, name, prefix) for name, prefix in _SID_FIELDS.items()}
        if login.startswith("SK") and not sids["account_sid"]:
            raise MissingSetting("account_sid", "is empty", "give AC…; an API key does not tell its account")
        given = sids["account_sid"]
        if login.startswith("AC") and given and given.lower() != login.lower():
            raise MissingSetting(
                "account_sid",
                "is another account than login, by which Twilio's products go",
                "give login and password of the account that is meant, and leave account_sid empty",
            )
        edge, region = _label(extra, "edge"), _label(extra, "region")
        if bool(edge) != bool(region):
            raise MissingSetting(
                "edge" if region else "region", "is empty", "give edge and region together, or neither"
            )
        return cls(
            login=login,
            password=password,
            stack=_stack(extra),
            auth_token=_text(extra, "auth_token"),
            edge=edge,
            region=region,
            timeout_s=_number(extra, "timeout_s", DEFAULT_TIMEOUT_S, 0.1, 600),
            max_in_flight=int(_number(extra, "max_in_flight", DEFAULT_MAX_IN_FLIGHT, 1, 1000)),
            close_after_days=_close_after_days(extra),
            rate_limits=_rate_limits(extra.get("rate_limits")),
            base_url=_base_url(extra),
            inbox_path=_inbox_path(extra),
            events_url=_events_url(extra),
            events_conn_id=_conn_id(extra, "events_conn_id", DEFAULT_EVENTS_CONN_ID),
            events_endpoint=_text(extra, "events_endpoint") or DEFAULT_EVENTS_ENDPOINT,
            inbox_keep_days=_whole_days(extra, "inbox_keep_days", DEFAULT_INBOX_KEEP_DAYS),
            kinesis_stream=_kinesis_stream(extra),
            kinesis_conn_id=_conn_id(extra, "kinesis_conn_id", DEFAULT_KINESIS_CONN_ID),
            **{**sids, "account_sid": sids["account_sid"] or login},
        )

    def changed(self, **extra: Any) -> TwilioSettings:
        """These settings with some fields of the extra given anew, checked like those of a connection.

        :raises MissingSetting: naming the field that is wrong
        """
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        login, password = given.pop("login"), given.pop("password")
        return TwilioSettings.from_connection(login, password, {**given, **extra})

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
            raise MissingSetting(name, "is empty", _REMEDIES[name])
        return value


def _text(extra: Mapping[str, Any], name: str) -> str:
    value = extra.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MissingSetting(name, f"is {type(value).__name__}, not text", "write it in quotes")
    return value.strip()


def _label(extra: Mapping[str, Any], name: str) -> str:
    """A part of a host's name: credentials go to the host that it makes."""
    value = _text(extra, name)
    if value and not re.fullmatch(r"[a-z0-9-]+", value):
        raise MissingSetting(name, "is no name of Twilio's", "give it like dublin and ie1, or leave it empty")
    return value


def _conn_id(extra: Mapping[str, Any], name: str, default: str) -> str:
    value = _text(extra, name) or default
    if not re.fullmatch(CONN_ID, value):
        raise MissingSetting(name, "is no connection's name", "give letters, digits, '_', '-' and '.'")
    return value


def _sid(extra: Mapping[str, Any], name: str, prefix: str) -> str:
    value = _text(extra, name)
    if value and not re.fullmatch(rf"{prefix}[0-9a-fA-F]{{32}}", value):
        raise MissingSetting(name, "is not a SID of this kind", f"give {prefix} and 32 hexadecimal digits")
    return value


def _stack(extra: Mapping[str, Any]) -> StackName:
    value = _text(extra, "stack") or StackName.CONVERSATIONS
    if value not in list(StackName):
        raise MissingSetting("stack", f"is {value!r}", "choose 'conversations' or 'chat'")
    return StackName(value)


def _number(extra: Mapping[str, Any], name: str, default: float, low: float, high: float) -> float:
    value = extra.get(name)
    if value in (None, ""):
        return default
    try:
        number = float(str(value))
    except ValueError:
        raise MissingSetting(name, f"is {value!r}", f"give a number between {low:g} and {high:g}") from None
    if isinstance(value, bool) or not low <= number <= high:
        raise MissingSetting(name, f"is {value!r}", f"give a number between {low:g} and {high:g}")
    return number


def _close_after_days(extra: Mapping[str, Any]) -> int | None:
    if extra.get("close_after_days") in (None, ""):
        return None
    return _whole_days(extra, "close_after_days", 0)


def _whole_days(extra: Mapping[str, Any], name: str, default: int) -> int:
    days = float(_number(extra, name, default, 1, 3650))
    if not days.is_integer():
        raise MissingSetting(name, f"is {days:g}", "give whole days")
    return int(days)


def _rate_limits(value: Any) -> str | Mapping[str, float]:
    if value in (None, ""):
        return "documented"
    if value in ("documented", "off"):
        return str(value)
    remedy = "give 'documented', 'off', or an object like {\"POST flex-api.twilio.com/v1/Channels\": 5}"
    try:
        parsed = json.loads(value) if isinstance(value, str) else value
        limits = {str(endpoint): float(per_second) for endpoint, per_second in parsed.items()}
    except (ValueError, TypeError, AttributeError):
        raise MissingSetting("rate_limits", "is not understood", remedy) from None
    if not all(per_second > 0 for per_second in limits.values()):
        raise MissingSetting("rate_limits", "holds a limit that is not above 0", remedy)
    return limits


def _base_url(extra: Mapping[str, Any]) -> str:
    value = _text(extra, "base_url").rstrip("/")
    if value:
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or port == 0
            or parts.query
            or parts.fragment
        ):
            raise MissingSetting(
                "base_url", "is not a URL", "leave it empty for Twilio, or give http://host:port"
            )
    return value


def _inbox_path(extra: Mapping[str, Any]) -> str:
    value = _text(extra, "inbox_path").rstrip("/")
    if value and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^?#]+", value):
        raise MissingSetting("inbox_path", "is not a URL", _REMEDIES["inbox_path"])
    # What stands before the @ is the ID of a connection: that is all that Airflow's ObjectStoragePath reads there.
    user, at, _ = value.partition("://")[2].partition("/")[0].rpartition("@")
    if at and not re.fullmatch(r"[A-Za-z0-9_.-]+", user):
        raise MissingSetting(
            "inbox_path",
            "holds more than the ID of a connection before the @",
            "put credentials into an Airflow connection and name that, like s3://conn_id@bucket/path",
        )
    return value


def _events_url(extra: Mapping[str, Any]) -> str:
    value = _text(extra, "events_url")
    # Whether Twilio signs a user and password in the URL is not documented, and the SDK's validator mangles them.
    if value and not (re.fullmatch(r"https?://[^/?#@\s]+/[^?#\s]*", value) and _has_valid_port(value)):
        raise MissingSetting(
            "events_url",
            "is not a URL",
            "give https://host/flexsms/events as Twilio calls it, without a user, a password or a ?",
        )
    return value


def _has_valid_port(url: str) -> bool:
    """Whether the port of a URL, if it names one, is one."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _kinesis_stream(extra: Mapping[str, Any]) -> str:
    value = _text(extra, "kinesis_stream")
    name = r"[a-zA-Z0-9_.-]{1,128}"
    if value and not re.fullmatch(rf"(arn:aws[a-z-]*:kinesis:[a-z0-9-]+:\d+:stream/)?{name}", value):
        raise MissingSetting(
            "kinesis_stream", "is neither a stream's name nor its ARN", _REMEDIES["kinesis_stream"]
        )
    return value
