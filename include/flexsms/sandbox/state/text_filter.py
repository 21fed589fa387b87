"""Texts that somebody on the way holds back, by rule: a carrier (30007) or Twilio's quiet hours (30610)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, time
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from ..http import Invalid
from .delivery_queue import draws
from .patterns import Pattern

FIELDS = frozenset({"code", "status", "body", "to", "every", "share", "hours", "zone"})
# A text that leaves is undelivered; these never do (https://www.twilio.com/docs/api/errors/30610).
FAILED = frozenset({30610})
STATUSES = ("undelivered", "failed")


@dataclass(frozen=True, slots=True)
class TextFilter:
    """A rule. A text has to fit everything that it names.

    Parameters
    ----------
    code, status: what becomes of the text.
    body, to: patterns.
    every: of the texts that fit, each n-th.
    share: of the recipients, 0 to 1; one who is among them is so for ever.
    hours: from and until what time of day in `zone`, over midnight if the latter is earlier.
    """

    key: str
    code: int
    status: str
    body: Pattern | None
    to: Pattern | None
    every: int
    share: float
    hours: tuple[time, time] | None
    zone: ZoneInfo

    def holds(self, seed: int, seen: Counter[str], to: str, body: str, at: float) -> bool:
        """Whether it holds this text back. `seen` counts the texts that fitted each rule."""
        if (self.body and not self.body.found_in(body)) or (self.to and not self.to.found_in(to)):
            return False
        if draws(seed, "filter", self.code, to)[0] >= self.share or not self._within(at):
            return False
        seen[self.key] += 1
        return seen[self.key] % self.every == 0

    def _within(self, at: float) -> bool:
        if self.hours is None:
            return True
        begin, end = self.hours
        now = datetime.fromtimestamp(at, self.zone).time()
        return begin <= now < end if begin <= end else now >= begin or now < end


def filters_of(rules: list[dict[str, Any]]) -> tuple[TextFilter, ...]:
    """The rules of the switch; ValueError says which is wrong."""
    return _filters_of(orjson.dumps(rules)) if rules else ()


@lru_cache(maxsize=16)
def _filters_of(rules: bytes) -> tuple[TextFilter, ...]:
    return tuple(_filter_of(rule) for rule in orjson.loads(rules))


def _filter_of(rule: dict[str, Any]) -> TextFilter:
    if not isinstance(rule, dict) or not isinstance(rule.get("code"), int) or rule.keys() - FIELDS:
        raise ValueError(f"a rule of sms_filters has a code and some of {', '.join(sorted(FIELDS))}: {rule}")
    status = rule.get("status", "failed" if rule["code"] in FAILED else "undelivered")
    every, share = rule.get("every", 1), rule.get("share", 1.0)
    if status not in STATUSES or not isinstance(every, int) or every < 1 or not 0 <= share <= 1:
        raise ValueError(f"a rule of sms_filters has a status, an every or a share that is none: {rule}")
    try:
        begin, _, end = rule.get("hours", "").partition("-")
        return TextFilter(
            orjson.dumps(rule).decode(),
            rule["code"],
            status,
            Pattern(rule["body"]) if "body" in rule else None,
            Pattern(rule["to"]) if "to" in rule else None,
            every,
            share,
            (time.fromisoformat(begin), time.fromisoformat(end)) if "hours" in rule else None,
            ZoneInfo(rule.get("zone", "UTC")),
        )
    except (Invalid, KeyError) as error:  # a pattern, a zone
        raise ValueError(f"sms_filters: {error}") from None
