"""The rows of Event Streams: sinks and subscriptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .row import Row


@dataclass(slots=True)
class Sink(Row):
    parent: str  # "sinks"
    description: str
    type: str
    configuration: dict[str, Any]
    status: str
    test_id: str | None = None  # of the newest test event

    @property
    def target(self) -> str:
        """Where this sink is, if it is a webhook or Kinesis: a URL or an ARN."""
        return str(self.configuration.get("destination") or self.configuration.get("arn") or "")

    @property
    def batches(self) -> bool:
        """Whether several events may come in one request. What a webhook does that does not say is unverified."""
        return self.type != "webhook" or str(self.configuration.get("batch_events")).lower() == "true"


@dataclass(slots=True)
class Subscription(Row):
    parent: str  # "subscriptions"
    description: str
    sink_sid: str
    types: dict[str, int]  # event type -> schema version
