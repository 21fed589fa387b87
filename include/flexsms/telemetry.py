"""What flexsms tells Airflow's metrics and traces: counts, times and states, never a number or a SID.

Without ``[metrics] statsd_on`` or ``otel_on``, and without ``[traces] otel_on``, a call does nothing.
https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/logging-monitoring/metrics.html
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum

from airflow.sdk.observability import stats, trace


class Metric(StrEnum):
    """The metrics, by the names that Airflow's own prefix precedes."""

    API_CALLS = "flexsms.api_calls"
    THROTTLED = "flexsms.throttled_s"
    SENT = "flexsms.sent"
    DELIVERY = "flexsms.delivery"
    EVENTS = "flexsms.events"
    EVENT_LAG = "flexsms.event_lag_s"
    INBOX_WAITING = "flexsms.inbox.waiting"
    INBOX_REFUSED = "flexsms.inbox.refused"
    CHANNELS = "flexsms.channels"
    DUE = "flexsms.due"
    OLDEST_DUE = "flexsms.oldest_due_s"
    RETIRED = "flexsms.retired"


def count(metric: Metric, number: int = 1, **tags: str) -> None:
    """Add to a counter; nothing is not told."""
    if number:
        stats.incr(str(metric), number, tags=tags)


def gauge(metric: Metric, value: float, **tags: str) -> None:
    """Set a value that goes up and down."""
    stats.gauge(str(metric), value, tags=tags)


def timing(metric: Metric, seconds: float, **tags: str) -> None:
    """Add a duration. StatsD and OpenTelemetry get it in milliseconds, as all of Airflow's."""
    stats.timing(str(metric), timedelta(seconds=seconds), tags=tags)


@contextmanager
def span(name: str) -> Iterator[trace.Span]:
    """A part of a task, in the trace of the task; whether it failed is said by the task's own span."""
    tracer = trace.get_tracer("flexsms")
    with tracer.start_as_current_span(
        f"flexsms.{name}", record_exception=False, set_status_on_exception=False
    ) as current:
        yield current


class CallMetrics:
    """Counts the calls to Twilio; see :class:`flexsms.twilio.client.observer.CallObserver`."""

    def answered(self, host: str, status: int) -> None:
        """A request was sent, and is over."""
        count(Metric.API_CALLS, host=host, status=str(status))

    def throttled(self, host: str, seconds: float) -> None:
        """A request had to wait."""
        timing(Metric.THROTTLED, seconds, host=host)
