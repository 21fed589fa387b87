"""Declared parameters: required, unknown and invalid ones are answered in one place.

A route says `Params(UniqueName=text(191), Ttl=integer(0, YEAR_S), Data=json_value())`. An unknown parameter
is refused: Twilio mostly ignores it, but a client that sends one has a mistake that its tests should find.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from ..http import Form, Invalid
from ..state.clock import parse_iso

YEAR_S = 31_536_000


@dataclass(frozen=True, slots=True)
class Param:
    """How one parameter is read. `read` gets the name and the raw text, and raises Invalid."""

    read: Callable[[str, str], Any]
    required: bool = False
    many: bool = False

    def must(self) -> Param:
        return replace(self, required=True)

    def repeated(self) -> Param:
        return replace(self, many=True)


def text(longest: int | None = None, *, code: int = 20001) -> Param:
    def read(name: str, raw: str) -> str:
        if longest is not None and len(raw) > longest:
            raise Invalid(f"Invalid {name}: longer than {longest} characters", code)
        return raw

    return Param(read)


def integer(least: int | None = None, most: int | None = None) -> Param:
    def read(name: str, raw: str) -> int:
        try:
            value = int(raw)
        except ValueError:
            raise Invalid(f"Invalid {name}: {raw!r} is not a number") from None
        if (least is not None and value < least) or (most is not None and value > most):
            raise Invalid(f"Invalid {name}: {value} is not between {least} and {most}")
        return value

    return Param(read)


def boolean() -> Param:
    def read(name: str, raw: str) -> bool:
        if raw.lower() not in ("true", "false"):
            raise Invalid(f"Invalid {name}: {raw!r} is neither true nor false")
        return raw.lower() == "true"

    return Param(read)


def enum(*values: str) -> Param:
    def read(name: str, raw: str) -> str:
        if raw not in values:
            raise Invalid(f"Invalid {name}: {raw!r} is none of {', '.join(values)}")
        return raw

    return Param(read)


def moment() -> Param:
    def read(name: str, raw: str) -> float:
        try:
            return parse_iso(raw)
        except ValueError:
            raise Invalid(f"Invalid {name}: {raw!r} is not an ISO 8601 date") from None

    return Param(read)


DURATION = re.compile(
    r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.IGNORECASE
)
UNITS_S = (604_800, 86_400, 3_600, 60, 1)


def duration(least_s: float) -> Param:
    """An ISO 8601 duration, as seconds. Months and years have no length that Twilio's documents name."""

    def read(name: str, raw: str) -> float:
        found = DURATION.fullmatch(raw)
        if found is None or not any(found.groups()):
            raise Invalid(f"Invalid {name}: {raw!r} is not an ISO 8601 duration")
        seconds = sum(float(part or 0) * unit for part, unit in zip(found.groups(), UNITS_S, strict=True))
        if seconds < least_s:
            raise Invalid(f"Invalid {name}: {raw} is less than {least_s:g} seconds")
        return seconds

    return Param(read)


def json_text(kind: type | None = None, *, most_bytes: int | None = None) -> Param:
    """A JSON document kept as the string it came as (attributes of channels, messages, tasks)."""

    def read(name: str, raw: str) -> str:
        if most_bytes is not None and len(raw.encode()) > most_bytes:
            raise Invalid(f"Invalid {name}: larger than {most_bytes} bytes")
        _parse(name, raw, kind)
        return raw

    return Param(read)


def json_value(kind: type | None = None) -> Param:
    """A JSON document as its value."""

    def read(name: str, raw: str) -> Any:
        return _parse(name, raw, kind)

    return Param(read)


def _parse(name: str, raw: str, kind: type | None) -> Any:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Invalid(f"Invalid {name}: not JSON") from None
    if kind is not None and not isinstance(value, kind):
        raise Invalid(f"Invalid {name}: a JSON {'object' if kind is dict else kind.__name__} is expected")
    return value


class Params:
    """The parameters of one route. Names with a dot are given as a dict."""

    def __init__(self, dotted: dict[str, Param] | None = None, /, **params: Param) -> None:
        self._code = 20001
        self._params = {**params, **(dotted or {})}
        self._required = [name for name, param in self._params.items() if param.required]

    def optional(self) -> Params:
        """The same parameters for an update, where none is required."""
        return Params({name: replace(param, required=False) for name, param in self._params.items()})

    def refused_as(self, code: int) -> Params:
        """The same parameters of a product with a code of its own for a request that is wrong."""
        params = Params(self._params)
        params._code = code
        return params

    def declared(self) -> dict[str, Param]:
        """The parameters by name, for a route that takes these and more."""
        return dict(self._params)

    def read(self, fields: Form) -> dict[str, Any]:
        """Values by name, only of those given. Raises Invalid for the first one at fault."""
        try:
            return self._read(fields)
        except Invalid as invalid:
            raise (Invalid(invalid.message, self._code) if invalid.code == 20001 else invalid) from None

    def _read(self, fields: Form) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, raws in fields.items():
            param = self._params.get(name)
            if param is None:
                raise Invalid(f"Unknown parameter {name}")
            if param.many:
                values[name] = [param.read(name, raw) for raw in raws]
            else:
                values[name] = param.read(name, raws[-1])
        for name in self._required:
            if values.get(name) in (None, ""):
                raise Invalid(f"Missing required parameter {name} in the post body")
        return values


NONE = Params()
