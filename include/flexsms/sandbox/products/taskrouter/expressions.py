"""TaskRouter's expressions, as far as a task search needs them (https://www.twilio.com/docs/taskrouter/api/task)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from ...http import Invalid

CLAUSE = re.compile(r"""\s*([\w.]+)\s*(==|=|!=)\s*(?:"([^"]*)"|'([^']*)'|(-?\d+(?:\.\d+)?|true|false))\s*""")


def expression(source: str) -> Callable[[dict[str, Any]], bool]:
    """TaskRouter's `key == "value"` joined by AND and OR, AND binding first. Invalid for everything else."""
    alternatives = []
    for part in re.split(r"\s+OR\s+", source, flags=re.IGNORECASE):
        clauses = [CLAUSE.fullmatch(clause) for clause in re.split(r"\s+AND\s+", part, flags=re.IGNORECASE)]
        if not all(clauses):
            raise Invalid(f"Invalid EvaluateTaskAttributes: {source}")
        alternatives.append([clause.groups() for clause in clauses if clause])

    def holds(attributes: dict[str, Any], clause: tuple[str | None, ...]) -> bool:
        key, operator, double, single, bare = clause
        value: Any = attributes
        for name in str(key).split("."):
            value = value.get(name) if isinstance(value, dict) else None
        wanted = orjson.loads(bare) if bare is not None else double if double is not None else single
        return bool(value == wanted) == (operator != "!=")

    return lambda attributes: any(
        all(holds(attributes, clause) for clause in clauses) for clauses in alternatives
    )


def wanted_channel(source: str) -> str | None:
    """The SID of `channelSid == "CH…"` or `conversationSid == "CH…"`, when that is all the expression says."""
    clause = CLAUSE.fullmatch(source)
    if clause is None or clause[1] not in ("channelSid", "conversationSid") or clause[2] == "!=":
        return None
    return clause[3] or clause[4]
