"""Kinds of fields that a Twilio connection has: what they may hold, and what is said when they hold something else."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from flexsms.core.validation import NotBool

# Airflow puts the name of a connection into a URL as it is given, so it must not lead to another one.
CONN_ID = r"[A-Za-z0-9_-][A-Za-z0-9_.-]*"
# Whether Twilio signs a user and password in the URL is not documented, and the SDK's validator mangles them.
EVENTS_URL = r"https?://[^/?#@\s]+/[^?#\s]*"

# The sections of the form. A field without one is asked for first.
FLEX_CONVERSATIONS = "Flex Conversations"
PROGRAMMABLE_CHAT = "Programmable Chat"
EVENT_STREAMS = "Event Streams"
OTHER_SOURCES = "Other sources"
NOTIFICATIONS = "Notifications"
ADVANCED = "Advanced"

Days = Annotated[int, Field(ge=1, le=3650), NotBool]


def entry(
    title: str, description: str, pattern: str = "", default: Any = "", *, in_repr: bool = True, **more: Any
) -> Any:
    """A field that may stay empty.

    :param in_repr: whether an object of settings may show it
    :param more: ``problem`` and ``remedy`` of a wrong value, ``missing`` as the remedy of one that a job lacks,
        and keywords for the form's schema
    """
    matched = f"^({pattern})?$" if pattern else None
    return Field(
        default,
        title=title,
        description=description,
        pattern=matched,
        repr=in_repr,
        json_schema_extra=more,
    )


def sid(
    prefix: str,
    title: str,
    description: str,
    where: str,
    why: str = "",
    *,
    default: Any = "",
    **more: Any,
) -> Any:
    """The SID of a thing in the account.

    :param where: the menu of the Twilio Console that shows it
    """
    about: dict[str, Any] = {
        "problem": "is not a SID of this kind",
        "remedy": f"give {prefix} and 32 hexadecimal digits, from the Twilio Console under {where}{why}",
    }
    told = f"{prefix}…; {description} In the Twilio Console: {where}."
    return entry(title, told, f"{prefix}[0-9a-fA-F]{{32}}", default, **about, **more)


def conn_id(default: str, title: str, description: str) -> Any:
    """The name of another Airflow connection."""
    about: dict[str, Any] = {
        "problem": "is no connection's name",
        "remedy": "give letters, digits, '_', '-' and '.'",
    }
    return entry(title, description, CONN_ID, default, section=OTHER_SOURCES, **about)


def place(title: str, example: str, other: str) -> Any:
    """A part of a host's name: credentials go to the host that it makes.

    :param other: the field that it goes with
    """
    about: dict[str, Any] = {
        "problem": "is no name of Twilio's",
        "remedy": "give it like dublin and ie1, or leave it empty",
    }
    told = f"Like {example}. Give {other} as well, or leave both empty."
    return entry(title, told, "[a-z0-9-]+", section=ADVANCED, **about)


def required(problem: str, remedy: str, **more: Any) -> Any:
    """A field that no connection goes without."""
    return Field(json_schema_extra={"problem": problem, "remedy": remedy}, **more)
