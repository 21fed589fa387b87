"""Twilio's published OpenAPI documents, and finding in them the operation that a request is.

They come out of the npm package that Twilio's own command line is built on, packed into .cache/openapi of the
checkout at test time and checked against the digest below; they are not part of this repository.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "openapi"
PACKAGE = "@twilio/cli-core@8.3.2"
TARBALL = "twilio-cli-core-8.3.2.tgz"
# The digest that the registry publishes for this version: `npm view @twilio/cli-core@8.3.2 dist.integrity`.
SHA512 = "qRTAZS15i/nseKHu2zZIb1BD78WFRVOWM65iC9JqjZdNpz5KQaiEI1klsLcWDi1pwXH9JG6pbFXJrIiYRJw/dw=="
# With what their paths begin: of the oldest document, which has calls and conferences too, only the messages and the
# list of numbers, and of Studio's only the flows.
PRODUCTS = {
    **dict.fromkeys(
        ("flex_v1", "chat_v2", "proxy_v1", "sync_v1", "taskrouter_v1", "conversations_v1", "events_v1"), "/"
    ),
    "api_v2010": (
        "/2010-04-01/Accounts/{AccountSid}/Messages",
        "/2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json",
    ),
    "pricing_v1": "/v1/Messaging",
    "studio_v2": "/v2/Flows",
}

Schema = dict[str, Any]
METHODS = ("get", "post", "put", "delete")


class DocumentsMissing(Exception):
    """Says in one sentence what is missing and what to do."""


@dataclass(frozen=True)
class Parameter:
    name: str
    place: str  # path, query, header or form
    schema: Schema = field(repr=False)
    required: bool


@dataclass(frozen=True)
class Operation:
    """One method on one path, its schemas free of references."""

    product: str
    name: str
    method: str
    host: str
    path: str
    parameters: Mapping[tuple[str, str], Parameter] = field(repr=False)
    json_body: Schema | None = field(repr=False)
    answers: Mapping[int, Schema | None] = field(repr=False)
    examples: Mapping[int, tuple[Any, ...]] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.product} {self.name} ({self.method} https://{self.host}{self.path})"

    def __hash__(self) -> int:
        return hash((self.product, self.name, self.path))


class Documents:
    """The operations of all products, by host, method and path."""

    def __init__(self, documents: Mapping[str, Mapping[str, Any]]) -> None:
        self._routes: dict[tuple[str, str], list[tuple[re.Pattern[str], Operation]]] = {}
        for product, document in documents.items():
            for operation in _operations(product, document):
                self._routes.setdefault((operation.host, operation.method), []).append(
                    (_pattern(operation.path), operation)
                )
        for routes in self._routes.values():
            # /Participants/{Sid} and /Participants/Search may both fit; the more literal one is meant.
            routes.sort(key=lambda route: route[1].path.count("{"))

    @classmethod
    def published(cls) -> Documents:
        return _published()

    def __iter__(self) -> Iterator[Operation]:
        return (operation for routes in self._routes.values() for _, operation in routes)

    def find(self, method: str, host: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        for pattern, operation in self._routes.get((host, method.upper()), ()):
            match = pattern.fullmatch(path)
            if match:
                names = re.findall(r"\{(\w+)\}", operation.path)
                return operation, dict(zip(names, map(unquote, match.groups()), strict=True))
        return None


@functools.cache
def _published() -> Documents:
    documents = {}
    with tarfile.open(_tarball()) as tar:
        for product, begin in PRODUCTS.items():
            file = tar.extractfile(f"package/src/services/twilio-api/twilio_{product}.json")
            assert file is not None
            document = json.load(file)
            paths = document["paths"].items()
            documents[product] = {**document, "paths": {p: at for p, at in paths if p.startswith(begin)}}
    return Documents(documents)


def _tarball() -> Path:
    path = CACHE / TARBALL
    if not path.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise DocumentsMissing(
                f"The contract check reads Twilio's OpenAPI documents from the npm package {PACKAGE}: install npm."
            )
        CACHE.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            [npm, "pack", PACKAGE, "--silent", "--pack-destination", str(CACHE)],
            env={**os.environ, "npm_config_cache": str(CACHE / "npm"), "npm_config_update_notifier": "false"},
            cwd=CACHE,
            capture_output=True,
            text=True,
            check=False,
        )
        if packed.returncode or not path.exists():
            raise DocumentsMissing(
                f"npm could not pack {PACKAGE}: {packed.stderr.strip() or packed.stdout.strip()}"
            )
    if base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode() != SHA512:
        path.unlink()
        raise DocumentsMissing(
            f"{path.name} is not the file that tests/contract/openapi.py names: run the tests again."
        )
    return path


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile("([^/]+)".join(map(re.escape, re.split(r"\{\w+\}", template))))


def _operations(product: str, document: Mapping[str, Any]) -> Iterator[Operation]:
    def whole(schema: Schema) -> Schema:
        return resolve(schema, document)

    for path, item in document["paths"].items():
        host = urlsplit((item.get("servers") or document["servers"])[0]["url"]).netloc
        for method in METHODS:
            if method not in item:
                continue
            spec = item[method]
            parameters = [
                Parameter(p["name"], p["in"], whole(p["schema"]), p.get("required", False))
                for p in [*item.get("parameters", ()), *spec.get("parameters", ())]
            ]
            bodies = spec.get("requestBody", {}).get("content", {})
            form = whole(bodies.get("application/x-www-form-urlencoded", {}).get("schema", {}))
            parameters += [
                Parameter(name, "form", schema, name in form.get("required", ()))
                for name, schema in form.get("properties", {}).items()
            ]
            answers: dict[int, Schema | None] = {}
            examples = {}
            for status, answer in spec["responses"].items():
                content = answer.get("content", {}).get("application/json")
                answers[int(status)] = closed(whole(content["schema"])) if content else None
                shown = (content or {}).get("examples", {}).values()
                examples[int(status)] = tuple(example["value"] for example in shown)
            yield Operation(
                product=product,
                name=spec["operationId"],
                method=method.upper(),
                host=host,
                path=path,
                parameters={
                    (p.place, p.name if p.place != "header" else p.name.lower()): p for p in parameters
                },
                json_body=whole(bodies["application/json"]["schema"])
                if "application/json" in bodies
                else None,
                answers=answers,
                examples=examples,
            )


def resolve(schema: Schema, document: Mapping[str, Any]) -> Schema:
    """The schema with every $ref replaced by what it points to; what stands beside a $ref counts, too."""
    if "$ref" in schema:
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    out = dict(schema)
    if "properties" in out:
        out["properties"] = {name: resolve(sub, document) for name, sub in out["properties"].items()}
    for key in ("items", "additionalProperties", "not"):
        if isinstance(out.get(key), dict):
            out[key] = resolve(out[key], document)
    for key in ("allOf", "anyOf", "oneOf"):
        if key in out:
            out[key] = [resolve(sub, document) for sub in out[key]]
    if out.get("nullable") and "enum" in out and None not in out["enum"]:
        out["enum"] = [*out["enum"], None]
    return out


def closed(schema: Schema) -> Schema:
    """The schema of an answer, with no field unknown and none left out.

    The documents mark no field of an answer as required and none as forbidden; the service always sends all of them.
    """
    out = dict(schema)
    if out.get("properties"):
        out["properties"] = {name: closed(sub) for name, sub in out["properties"].items()}
        out["required"] = sorted(out["properties"])
        out["additionalProperties"] = False
    if isinstance(out.get("items"), dict):
        out["items"] = closed(out["items"])
    return out
