"""One sentence for a value that cannot be taken, by pydantic or here: what is wrong with it, what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import BeforeValidator, ValidationError
from pydantic_core import PydanticCustomError

from flexsms.core.attributes import is_sid
from flexsms.core.exceptions import InvalidInput

E = TypeVar("E", bound=StrEnum)


# But tab, line feed and carriage return.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError
    return value


# Of a number: pydantic takes true for 1.
NotBool = BeforeValidator(_not_bool)


def parse_choice(kind: type[E], field: str, problem: str, value: str) -> E:
    """One of the values of an enumeration.

    :param problem: what is wrong with any other value, to follow it in the sentence
    :raises InvalidInput: when it is none of them
    """
    if value not in list(kind):
        remedy = " or ".join(f"'{one}'" for one in kind)
        raise InvalidInput(field, f"{value!r} {problem}", f"choose {remedy}")
    return kind(value)


def told(problem: str, remedy: str = "") -> PydanticCustomError:
    """The error of a validator that can say more than the schema of its value does."""
    return PydanticCustomError("told", "{problem}", {"problem": problem, "remedy": remedy})


def sentence(error: ValidationError, schema: Mapping[str, Any]) -> tuple[str, str]:
    """The problem and the remedy of the first error.

    :param schema: the JSON schema of the value, with keywords ``problem`` and ``remedy`` where its type and its range
        do not say enough
    """
    first = error.errors(include_url=False)[0]
    value, problem, remedy = first["input"], schema.get("problem"), schema.get("remedy")
    match first["type"]:
        case "told":
            problem, remedy = first["ctx"]["problem"], first["ctx"]["remedy"] or remedy
        case "string_type":
            problem, remedy = f"is {type(value).__name__}, not text", "write it in quotes"
        case "missing":
            problem = "is empty"
    return problem or f"is {value!r}", remedy or _range(schema)


def _range(schema: Mapping[str, Any]) -> str:
    kind = "whole number" if schema["type"] == "integer" else "number"
    return f"give a {kind} between {schema['minimum']:g} and {schema['maximum']:g}"


def parse_text(name: str, value: str | None) -> str:
    """A text without blanks around it, empty where none is given.

    :raises InvalidInput: naming the field
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidInput(name, f"is {type(value).__name__}, not text", "write it in quotes")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInput(
            name, "holds half an emoji", "write it again, or take it from where it was not cut"
        )
    return value.strip()


def parse_visible(name: str, value: str | None) -> str:
    """:func:`parse_text`, of what a person is to read: it has no control characters but ends of lines and tabs.

    :raises InvalidInput: naming the field
    """
    text = parse_text(name, value)
    # Of the whole value, for some control characters count as blanks.
    if value and not value.isprintable() and (found := _CONTROL.search(value)):
        problem = f"holds the control character U+{ord(found.group()):04X}, which nobody can read"
        raise InvalidInput(name, problem, "remove it")
    return text


def unknown_store(url: str) -> tuple[str, str]:
    """The problem and the remedy of a URL whose store no installed provider knows."""
    problem = f"is in a store that this Airflow does not know, {url.partition(':')[0]}"
    return problem, "install its provider, for s3:// apache-airflow-providers-amazon[s3fs]"


def parse_sid(name: str, prefix: str, value: str | None) -> str | None:
    """The SID of a thing at Twilio, None where none is given.

    :raises InvalidInput: naming the field
    """
    text = parse_text(name, value)
    if not text:
        return None
    if not is_sid(text, prefix):
        raise InvalidInput(
            name,
            "is not a Twilio SID of this kind",
            f"copy it from the Console: {prefix} and 32 hexadecimal digits",
        )
    return text
