"""Faults by rule: which request, how often, what goes wrong, and what else happens at that very moment."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from ..http import Invalid, Problem, Request, Response
from ..state.patterns import Pattern
from .damage import Mangling

Action = Literal["status", "answer", "mangle", "delay", "drop_before", "drop_midway", "drop_after", "none"]
ACTIONS = ("status", "answer", "mangle", "delay", "drop_before", "drop_midway", "drop_after", "none")
MATCH = {"method", "host", "path", "form"}
OWN = {"seen", "hits"}  # counted, not given


@dataclass(slots=True)
class Rule:
    """One rule.

    Parameters
    ----------
    method, host, path, form: what a request must match. `path` is a regular expression searched in the path
        behind the host, `form` has one per field, searched in any of its values (of the query for GET).
    skip: how many matching requests pass first. times: how many are then hit; None is all.
    action: what the client gets.
        `status`: an error of Twilio's with status/code/message/headers; the request is not applied.
        `answer`: exactly `body` with status (200 unless it is given), content_type and headers.
        `mangle`: the real answer, damaged by `drop`, `put` and `cut_bytes`.
        `delay`: the real answer after delay_ms; the request is applied then, even if the client is gone by then.
        `drop_before`: a cut connection; the request is not applied.
        `drop_midway`: a connection that is cut after `cut_bytes` of the answer, or half of it; the request is applied.
        `drop_after`: a cut connection; the request is applied.
    applied: whether a request that gets an `answer` takes effect first.
    drop: fields to take out of the JSON answer, by path: `sid`, `meta.next_page_url`, `documents.0.data`.
    put: path -> what is there instead.
    cut_bytes: how many bytes of the answer's body are left.
    before, after: actions at the moment of applying, atomic with it.
    """

    name: str
    method: str | None = None
    host: str | None = None
    path: Pattern | None = None
    form: dict[str, Pattern] = field(default_factory=dict)
    skip: int = 0
    times: int | None = None
    action: Action = "none"
    status: int | None = None
    code: int | None = None
    message: str = "A fault of the sandbox"
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    content_type: str = "application/json"
    applied: bool = False
    drop: list[str] = field(default_factory=list)
    put: dict[str, Any] = field(default_factory=dict)
    cut_bytes: int | None = None
    delay_ms: float = 0.0
    before: list[dict[str, Any]] = field(default_factory=list)
    after: list[dict[str, Any]] = field(default_factory=list)
    seen: int = 0
    hits: int = 0

    @classmethod
    def parse(cls, body: dict[str, Any], number: int) -> Rule:
        """From JSON; Invalid names what is wrong with it."""
        body = dict(body)
        match = dict(body.pop("match", {}))
        known = {one.name for one in fields(cls)} - MATCH - OWN
        if unknown := (body.keys() - known) | (match.keys() - MATCH):
            raise Invalid(f"fault: unknown field {', '.join(sorted(unknown))}")
        if body.get("action", "none") not in ACTIONS:
            raise Invalid(f"fault: action is one of {', '.join(ACTIONS)}")
        if not isinstance(body.get("body", ""), str):
            raise Invalid("fault: body is the text of the answer")
        path = Pattern(match["path"]) if match.get("path") else None
        form = {name: Pattern(pattern) for name, pattern in (match.get("form") or {}).items()}
        method = match["method"].upper() if match.get("method") else None
        body.setdefault("name", f"rule {number}")
        return cls(**body, method=method, host=match.get("host"), path=path, form=form)

    def matches(self, request: Request) -> bool:
        if self.times is not None and self.hits >= self.times:
            return False
        if self.method not in (None, request.method) or self.host not in (None, request.host):
            return False
        if self.path is not None and not self.path.found_in(request.path):
            return False
        given = {**request.query, **request.form}
        return all(
            any(pattern.found_in(one) for one in given.get(name, [])) for name, pattern in self.form.items()
        )

    @property
    def refuses(self) -> bool:
        """Whether the request is not applied at all."""
        return self.action in ("status", "drop_before") or (self.action == "answer" and not self.applied)

    @property
    def invents(self) -> bool:
        """Whether what is answered says nothing about the request, and is no answer of Twilio's."""
        return self.refuses and self.action != "status"

    @property
    def cuts(self) -> bool:
        """Whether the client gets no whole answer."""
        return self.action in ("drop_before", "drop_midway", "drop_after")

    def problem(self) -> Problem:
        """The answer of action `status`. Without a code it is Twilio's generic one, 20000 and the status."""
        status = self.status if self.status is not None else 500
        return Problem(status, self.code if self.code is not None else 20000 + status, self.message)

    def sent(self, response: Response) -> Response:
        """What leaves instead of the real answer."""
        if self.action == "answer":
            status = self.status if self.status is not None else 200
            return Response(status, self.body.encode(), response.headers, None, self.content_type.encode())
        if self.action == "mangle":
            return Mangling(self.drop, self.put, self.cut_bytes).of(response)
        return response

    def begins(self, response: Response) -> int | None:
        """How much of the answer's body arrives before the connection is cut; None for not even its status."""
        if self.action != "drop_midway" or not response.body:
            return None
        half, least_missing = len(response.body) // 2, len(response.body) - 1
        return half if self.cut_bytes is None else min(self.cut_bytes, least_missing)

    def report(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "match": {
                "method": self.method,
                "host": self.host,
                "path": self.path and self.path.source,
                "form": {name: pattern.source for name, pattern in self.form.items()},
            },
            "skip": self.skip,
            "times": self.times,
            "action": self.action,
            "seen": self.seen,
            "hits": self.hits,
        }


class Faults:
    """The rules, in the order they were added; a request is hit by the first that applies."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def add(self, body: dict[str, Any]) -> Rule:
        rule = Rule.parse(body, len(self.rules) + 1)
        self.rules.append(rule)
        return rule

    def take(self, request: Request) -> Rule | None:
        for rule in self.rules:
            if rule.matches(request):
                rule.seen += 1
                if rule.seen > rule.skip:
                    rule.hits += 1
                    return rule
        return None
