"""Faults by rule: which request, how often, what goes wrong, and what else happens at that very moment."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from . import actors, channels, conversations, interactions
from .wire import Invalid, Problem, Request
from .world import World

Action = Literal["status", "delay", "drop_before", "drop_after", "none"]
ACTIONS = ("status", "delay", "drop_before", "drop_after", "none")


@dataclass(slots=True)
class Rule:
    """One rule.

    Parameters
    ----------
    method, host, path, form: what a request must match. `path` is a regular expression searched in the path
        behind the host, `form` has one per field, searched in any of its values (of the query for GET).
    skip: how many matching requests pass first. times: how many are then hit; None is all.
    action: `status` answers with status/code/message/headers and applies nothing, `delay` applies after
        delay_ms even if the client is gone by then, `drop_before` cuts the connection, `drop_after` applies
        and then cuts it.
    before, after: plays at the moment of applying, atomic with it.
    """

    name: str
    method: str | None = None
    host: str | None = None
    path: re.Pattern[str] | None = None
    form: dict[str, re.Pattern[str]] = field(default_factory=dict)
    skip: int = 0
    times: int | None = None
    action: Action = "none"
    status: int = 500
    code: int | None = None
    message: str = "A fault of the sandbox"
    headers: dict[str, str] = field(default_factory=dict)
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
        known = {
            "name",
            "skip",
            "times",
            "action",
            "status",
            "code",
            "message",
            "headers",
            "delay_ms",
            "before",
            "after",
        }
        if unknown := (body.keys() - known) | (match.keys() - {"method", "host", "path", "form"}):
            raise Invalid(f"fault: unknown field {', '.join(sorted(unknown))}")
        if body.get("action", "none") not in ACTIONS:
            raise Invalid(f"fault: action is one of {', '.join(ACTIONS)}")
        try:
            path = re.compile(match["path"]) if match.get("path") else None
            form = {name: re.compile(pattern) for name, pattern in (match.get("form") or {}).items()}
        except re.error as error:
            raise Invalid(f"fault: {error}") from None
        method = match["method"].upper() if match.get("method") else None
        body.setdefault("name", f"rule {number}")
        return cls(**body, method=method, host=match.get("host"), path=path, form=form)

    def matches(self, request: Request) -> bool:
        if self.times is not None and self.hits >= self.times:
            return False
        if self.method not in (None, request.method) or self.host not in (None, request.host):
            return False
        if self.path is not None and not self.path.search(request.path):
            return False
        fields = {**request.query, **request.form}
        return all(
            any(pattern.search(one) for one in fields.get(name, [])) for name, pattern in self.form.items()
        )

    @property
    def refuses(self) -> bool:
        """Whether the request is not applied at all."""
        return self.action in ("status", "drop_before")

    @property
    def cuts(self) -> bool:
        """Whether the client gets no answer."""
        return self.action in ("drop_before", "drop_after")

    def problem(self) -> Problem:
        """The answer of action `status`. Without a code it is Twilio's generic one, 20000 and the status."""
        return Problem(self.status, self.code if self.code is not None else 20000 + self.status, self.message)

    def report(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "match": {
                "method": self.method,
                "host": self.host,
                "path": self.path and self.path.pattern,
                "form": {name: pattern.pattern for name, pattern in self.form.items()},
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


def play(world: World, plays: list[dict[str, Any]]) -> list[Any]:
    """Run control actions now, each named by its key.

    {"customer": {"from", "to", "body"}}, {"agent": {"action", …}}, {"advance_s": 60},
    {"channel_attributes" or "conversation_attributes": {"channel_sid", "attributes": merged}},
    {"conversation_state": {"channel_sid", "state"}},
    {"interaction": {"status": "active" or "failed", "error_code"?, "error_message"?, "interaction_channel_sid"?}}:
    the end of a channel's `setup`, of the newest one if none is named.
    """
    results: list[Any] = []
    for one in plays:
        for kind, value in one.items():
            results.append(_play(world, kind, value))
    return results


def _play(world: World, kind: str, value: Any) -> Any:
    if kind == "customer":
        return actors.customer(world, value["from"], value["to"], value["body"])
    if kind == "agent":
        return actors.agent(world, **cast("dict[str, Any]", value))
    if kind == "advance_s":
        world.clock.advance(float(value))
        world.settle()
        return world.clock.now()
    if kind == "interaction":
        return _interaction(world, **value)
    if kind == "conversation_state":
        conversations.close(world, world.store.conversations.get(value["channel_sid"]), value["state"])
        return value
    if kind == "conversation_attributes":
        conversation = world.store.conversations.get(value["channel_sid"])
        if conversation is None:
            raise Invalid(f"conversation_attributes: no conversation {value['channel_sid']}")
        conversations.merge_attributes(world, conversation, **value["attributes"])
        return conversation.facts()
    if kind == "channel_attributes":
        channel = world.store.channels.get(value["channel_sid"])
        if channel is None:
            raise Invalid(f"channel_attributes: no channel {value['channel_sid']}")
        channels.merge_attributes(world, channel, **value["attributes"])
        return channel.facts()
    raise Invalid(f"unknown play {kind!r}")


def _interaction(
    world: World,
    status: str,
    interaction_channel_sid: str | None = None,
    error_code: int | None = None,
    error_message: str | None = None,
) -> dict[str, Any]:
    rows = world.store.flex_channels
    found = [one for one in rows if interaction_channel_sid in (None, one.sid) and one.status == "setup"]
    if not found:
        raise Invalid(f"interaction: no channel {interaction_channel_sid or ''} in setup")
    if status == "active":
        interactions.activate(world, found[-1])
    elif status == "failed":
        interactions.fail(world, found[-1], error_code, error_message)
    else:
        raise Invalid(f"interaction: status {status!r} is neither active nor failed")
    return {"interaction_channel_sid": found[-1].sid, "status": found[-1].status}
