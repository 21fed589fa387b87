"""Answers that arrive damaged: fields missing or of another kind, a body that ends too early."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import orjson

from ..http import Response


@dataclass(frozen=True, slots=True)
class Mangling:
    """What is wrong with an answer; paths are like `meta.next_page_url` and `documents.0.data`.

    Parameters
    ----------
    drop: paths of fields to take out.
    put: path -> what is there instead.
    cut_bytes: how many bytes of the body are left, None for all.
    """

    drop: list[str]
    put: dict[str, Any]
    cut_bytes: int | None

    def of(self, response: Response) -> Response:
        """The damaged answer. A path that the answer does not have changes nothing."""
        body = response.body
        if body and (self.drop or self.put):
            value = orjson.loads(body)
            for path in self.drop:
                parent, key = _place(value, path)
                if isinstance(parent, dict):
                    parent.pop(key, None)
                elif isinstance(parent, list) and key < len(parent):
                    del parent[key]
            for path, instead in self.put.items():
                parent, key = _place(value, path)
                if isinstance(parent, dict) or (isinstance(parent, list) and key < len(parent)):
                    parent[key] = instead
            body = orjson.dumps(value)
        return replace(response, body=body[: self.cut_bytes])


def _place(value: Any, path: str) -> tuple[Any, Any]:
    """The object or list that a path leads into, and the key or index there; None for a place that is not there."""
    *way, last = path.split(".")
    for name in way:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None, None
    if isinstance(value, list):
        return (value, int(last)) if last.isdigit() else (None, None)
    return value, last
