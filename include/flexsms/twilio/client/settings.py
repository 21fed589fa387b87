"""The checked fields of a Twilio connection, as one frozen object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from flexsms.core.exceptions import MissingSetting
from flexsms.core.stack_name import StackName
from flexsms.core.validation import sentence
from flexsms.twilio.client.connection_fields import CONFIG, ConnectionFields

# A text whose answer was lost may still turn up for as long as a request may take, and as much again.
GRACE_IN_TIMEOUTS = 2
# A try of a batch writes for so long after it has made sure that it is the newest.
ATTEMPT_IN_TIMEOUTS = 2
# A key is held long enough to post, to wait for a lost text, and to try again.
LEASE_IN_TIMEOUTS = 8
# From here on a name is taken for a field that is misspelt (0 to 1).
NEAR = 0.75


@dataclass(frozen=True, slots=True, config=CONFIG)
class TwilioSettings(ConnectionFields):
    """Everything that the Twilio side needs to know."""

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

    def numbers_of(self, name: str) -> tuple[str, ...]:
        """The phone numbers of a recipient of notifications.

        :raises MissingSetting: when the connection has no such recipient
        """
        recipients = self.notify_numbers
        numbers = () if isinstance(recipients, str) else recipients.get(name, ())
        if not numbers:
            raise MissingSetting(
                "notify_numbers", f"has no {name!r}", field_schemas()["notify_numbers"]["remedy"]
            )
        return numbers

    def need(self, name: str) -> str:
        """The value of a field that this job cannot do without.

        :raises MissingSetting: when the connection leaves it empty
        """
        value: str = getattr(self, name)
        if not value:
            schema = field_schemas()[name]
            raise MissingSetting(name, "is empty", schema.get("missing") or schema["remedy"])
        return value


def unknown_fields(extra: Mapping[str, Any]) -> dict[str, str]:
    """What the extra of a connection holds and no field reads, each with the nearest field; empty if none is near."""
    known = [name for name in field_schemas() if name not in ("login", "password")]
    return {
        name: next(iter(get_close_matches(name.lower(), known, 1, NEAR)), "")
        for name in extra
        if name not in known
    }


@cache
def _adapter() -> TypeAdapter[TwilioSettings]:
    return TypeAdapter(TwilioSettings)


@cache
def field_schemas() -> Mapping[str, Mapping[str, Any]]:
    """The JSON schema of every field, with the keywords ``problem`` and ``remedy``."""
    properties = _adapter().json_schema()["properties"]
    return {name: {"type": "string", **one, **one.get("anyOf", [{}])[0]} for name, one in properties.items()}
