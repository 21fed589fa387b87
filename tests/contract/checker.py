"""Does recorded traffic keep to Twilio's OpenAPI documents?

A sandbox records each exchange as one JSON line: {method, host, path, query, form, headers (the request's), status,
response_headers, body}. Every request has to be a published operation with published parameters, every answer has to
fit the published schema of its status, every error the error envelope.

A run records tens of thousands of exchanges of a few dozen shapes. Values that no schema can tell apart (two SIDs with
the same prefix, two dates) count as the same, and each shape is validated once.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
from jsonschema import FormatChecker
from jsonschema.exceptions import ValidationError
from openapi_schema_validator import OAS30Validator

from tests.contract.deviations import DEVIATIONS, Deviation
from tests.contract.openapi import Documents, Operation, Parameter, Schema

# Headers that change what an operation does. Where one is sent, the operation has to know it.
HEADERS = ("if-match", "if-none-match", "x-twilio-webhook-enabled")

ERROR: Schema = {
    "type": "object",
    "required": ["code", "message", "more_info", "status"],
    "properties": {
        "code": {"type": "integer", "minimum": 10000, "maximum": 99999, "nullable": True},
        "message": {"type": "string", "minLength": 1},
        "more_info": {"type": "string", "format": "uri", "nullable": True},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "details": {"type": "object", "nullable": True},
        "user_error": {"type": "boolean"},
    },
    "additionalProperties": False,
}

formats = FormatChecker(formats=())


@formats.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or ("T" in value and datetime.fromisoformat(value).tzinfo is not None)


@formats.checks("uri", raises=ValueError)
def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or all(urlsplit(value)[:2])


@formats.checks("uri-map", raises=ValueError)
def _is_uri_map(value: object) -> bool:
    # A resource that is not there yet has null for its link: `last_message` in every example of a chat channel.
    return not isinstance(value, dict) or all(
        uri is None or (isinstance(uri, str) and _is_uri(uri)) for uri in value.values()
    )


@dataclass(frozen=True)
class Violation:
    """What was wrong, where, and the value that was. `where` is like `answer 200: documents[].revision`."""

    operation: str
    where: str
    problem: str
    example: str

    def __str__(self) -> str:
        return f"{self.operation}\n    {self.where}: {self.problem}\n    seen: {self.example}"


class Checker:
    """Takes exchanges, keeps violations."""

    def __init__(self, documents: Documents, deviations: Iterable[Deviation] = DEVIATIONS) -> None:
        self.violations: list[Violation] = []
        self.operations: set[str] = set()
        self.exchanges = 0
        self._documents = documents
        self._deviations = tuple(deviations)
        self._known: set[object] = set()
        self._reported: set[tuple[str, str, str]] = set()

    def check_file(self, path: Path) -> None:
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):  # a process that was killed may leave half a line
                    self.check(orjson.loads(line))

    def check(self, exchange: Mapping[str, Any]) -> None:
        self.exchanges += 1
        method, host, path, status = (exchange[key] for key in ("method", "host", "path", "status"))
        found = self._documents.find(method, host, path)
        refused = status is not None and 400 <= status < 500
        if found is None:
            if not refused:
                self._report(f"{method} https://{host}{path}", "request", "is no published operation", path)
            elif self._is_new((method, host, status, _shape(_body(exchange), ERROR))):
                self._check_error(f"{method} https://{host}{path}", status, _body(exchange))
            return
        operation, in_path = found
        self.operations.add(str(operation))
        if not refused:
            self._check_request(operation, in_path, exchange)
        if status is not None:
            self._check_answer(operation, status, exchange)

    # --- requests

    def _check_request(
        self, operation: Operation, in_path: Mapping[str, str], exchange: Mapping[str, Any]
    ) -> None:
        headers = {name.lower(): value for name, value in (exchange.get("headers") or {}).items()}
        sent = [("path", name, [value]) for name, value in in_path.items()]
        sent += [("query", name, _list(values)) for name, values in (exchange.get("query") or {}).items()]
        sent += [("header", name, [headers[name]]) for name in HEADERS if headers.get(name)]
        form = exchange.get("form") or {}
        if operation.json_body is None:
            sent += [("form", name, _list(values)) for name, values in form.items()]
        shape = tuple((place, name, tuple(map(_sent_class, values))) for place, name, values in sent)
        if not self._is_new((operation, shape)):
            return

        names = {(place, name) for place, name, _ in sent}
        for parameter in operation.parameters.values():
            key = (parameter.place, parameter.name.lower() if parameter.place == "header" else parameter.name)
            if parameter.required and key not in names:
                self._report(operation, f"request: {parameter.place} {parameter.name}", "is required", shape)
        for place, name, values in sent:
            where = f"request: {place} {name}"
            known = operation.parameters.get((place, name))
            if known is None:
                self._report(operation, where, "is no published parameter", values)
                continue
            try:
                value = _decode(known, values)
            except ValueError as error:
                self._report(operation, where, str(error), values)
                continue
            self._validate(operation, where, known.schema, value)

    # --- answers

    def _check_answer(self, operation: Operation, status: int, exchange: Mapping[str, Any]) -> None:
        body = _body(exchange)
        if status >= 500 and not isinstance(body, dict):
            return  # what a broken gateway says is in nobody's schema
        if status >= 400:
            if self._is_new((operation, status, _shape(body, ERROR))):
                self._check_error(operation, status, body)
        elif status not in operation.answers:
            published = ", ".join(map(str, operation.answers))
            self._report(
                operation, f"answer {status}", f"is no published status (published: {published})", body
            )
        else:
            schema = operation.answers[status]
            if schema is None:
                if body is not None:
                    self._report(operation, f"answer {status}", "has a body where none is published", body)
            else:
                self._check_part(operation, f"answer {status}: ", "", schema, body)

    def _check_part(self, operation: Operation, before: str, where: str, schema: Schema, value: Any) -> None:
        """An answer, its lists apart: a page of a thousand tasks is a thousand times one of a few shapes."""
        for inside, items, elements in _lists(value, schema):
            for element in elements:
                self._check_part(operation, before, f"{where}{inside}[]", items, element)
        if self._is_new((operation, before, where, _shape(value, schema))):
            self._validate(operation, before + where, schema, _without_lists(value, schema))

    def _check_error(self, operation: object, status: int, body: Any) -> None:
        self._validate(operation, f"error {status}: ", ERROR, body)
        if isinstance(body, dict) and body.get("status", status) != status:
            self._report(operation, f"error {status}: status", f"is not {status}", body)

    # --- both

    def _validate(self, operation: object, where: str, schema: Schema, value: Any) -> None:
        for error in OAS30Validator(schema, format_checker=formats).iter_errors(value):
            for inside, problem, example in _explain(error):
                at = f"{where}{'.' if inside and where[-1:] not in ' ' else ''}{inside}".rstrip(": ")
                self._report(operation, at, problem, example)

    def _is_new(self, key: object) -> bool:
        before = len(self._known)
        self._known.add(key)
        return len(self._known) > before

    def _report(self, operation: object, where: str, problem: str, example: object) -> None:
        key = (str(operation), where, problem)
        if key in self._reported:
            return
        self._reported.add(key)
        shown = json.dumps(example, default=str)
        violation = Violation(*key, shown if len(shown) <= 300 else shown[:300] + "…")
        if not any(deviation.covers(violation) for deviation in self._deviations):
            self.violations.append(violation)


def _list(values: str | list[str]) -> list[str]:
    return [values] if isinstance(values, str) else values


def _body(exchange: Mapping[str, Any]) -> Any:
    body = exchange.get("body")
    if isinstance(body, str):
        try:
            return orjson.loads(body) if body else None
        except ValueError:
            return body
    return body


def _decode(parameter: Parameter, values: list[str]) -> Any:
    """What a schema of JSON says of a parameter that came as text."""
    schema = parameter.schema
    if schema.get("type") == "array":
        return [_decode_one(schema.get("items", {}), value) for value in values]
    if len(values) != 1:
        raise ValueError("is given more than once")
    return _decode_one(schema, values[0])


def _decode_one(schema: Schema, text: str) -> Any:
    kind = schema.get("type")
    if kind == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    if kind == "number" and re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    if kind == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind in (None, "object") and "enum" not in schema:
        if not _is_json(text):
            raise ValueError("is not JSON")
        return orjson.loads(text)
    return text


def _lists(value: Any, schema: Schema, where: str = "") -> Iterator[tuple[str, Schema, list[Any]]]:
    """The outermost lists in a value: where they are, what their elements should be, their elements."""
    if isinstance(value, list) and schema.get("type") == "array":
        yield where, schema.get("items", {}), value
    elif isinstance(value, dict):
        for name, sub in schema.get("properties", {}).items():
            if isinstance(value.get(name), dict | list):
                yield from _lists(value[name], sub, f"{where}.{name}" if where else name)


def _without_lists(value: Any, schema: Schema) -> Any:
    if isinstance(value, list) and schema.get("type") == "array":
        return []
    if isinstance(value, dict) and "properties" in schema:
        return {name: _without_lists(sub, schema["properties"].get(name, {})) for name, sub in value.items()}
    return value


def _shape(value: Any, schema: Schema) -> object:
    """Equal for values that the schema cannot tell apart. Where it allows anything, everything is equal."""
    if isinstance(value, str):
        return _text_class(value)
    if isinstance(value, dict):
        properties = schema.get("properties")
        if properties is not None:
            return tuple([(name, _shape(sub, properties.get(name, {}))) for name, sub in value.items()])
        if schema.get("format") == "uri-map":
            return tuple([(name, _shape(sub, {})) for name, sub in value.items()])
        return "{}"
    if isinstance(value, list):
        return "[]"
    return value if value is None or isinstance(value, bool) else type(value).__name__


# One alternative per thing that a published pattern, enum or format can see in a text.
_CLASSES = re.compile(
    r"(?P<sid>[A-Za-z]{2}[0-9a-fA-F]{32})"
    r"|(?P<date>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z)"
    r"|(?P<url>https?://[\w.:-]+/\S*)"
    r"|(?P<word>[A-Za-z_.-]{0,40})"
)


@functools.lru_cache(65536)
def _text_class(text: str) -> str:
    match = _CLASSES.fullmatch(text)
    kind = match.lastgroup if match else None
    if kind == "sid":
        return "sid " + text[:2]
    return f"word {text}" if kind == "word" else str(kind)


def _sent_class(text: str) -> str:
    """The same for what was sent: there, a text may also stand for a number with a range, or for JSON."""
    if text[:1] in ("{", "["):
        return "JSON" if _is_json(text) else "no JSON"
    return text if len(text) < 6 and text.isdigit() else _text_class(text)


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except ValueError:
        return False
    return True


def _explain(error: ValidationError) -> Iterator[tuple[str, str, object]]:
    """Where, what and which value, in words of ours: the library's repeat whole objects."""
    where = ".".join(map(str, error.absolute_path))
    rule, wanted, seen = str(error.validator), cast("Any", error.validator_value), cast("Any", error.instance)
    if rule == "required":
        # One error per missing name comes in; each says its own.
        missing = next(name for name in wanted if error.message.startswith(f"{name!r} "))
        yield f"{where}.{missing}".lstrip("."), "is missing", seen
    elif rule == "additionalProperties":
        for name in sorted(set(seen) - set(cast("Any", error.schema)["properties"])):
            yield f"{where}.{name}".lstrip("."), "is no published field", seen[name]
    elif rule == "type":
        yield where, f"is not of type {wanted}", seen
    elif rule == "enum":
        yield where, f"is not one of {', '.join(map(str, wanted))}", seen
    elif rule in ("pattern", "minLength", "maxLength"):
        yield where, f"does not fit {rule} {wanted}", seen
    elif rule == "format":
        yield where, f"is not a {wanted}", seen
    else:
        yield where, error.message, seen
