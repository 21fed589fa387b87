"""One sentence for a value that pydantic does not take: what is wrong with it, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BeforeValidator, ValidationError
from pydantic_core import PydanticCustomError


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError
    return value


# Of a number: pydantic takes true for 1.
NotBool = BeforeValidator(_not_bool)


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
