"""When a failed task is tried again, and what else all flexsms tasks have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy

from flexsms.core.exceptions import PermanentError, RetryableError
from flexsms.options import option


@dataclass(frozen=True)
class FlexRetryPolicy(RetryPolicy):
    """Fails at once where trying again changes nothing, and else waits longer every time.

    Airflow's ``ExceptionRetryPolicy`` has one fixed delay per class of error; this one also waits as long as Twilio
    asked to. Errors that are not flexsms's own fall through to the task's usual ``retries`` and ``retry_delay``.

    :param first_delay_s: seconds before the second try; doubles with every further one
    :param max_delay_s: seconds, the longest delay, also when Twilio asks for more
    """

    first_delay_s: float = 20
    max_delay_s: float = 900

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Mapping[str, Any] | None = None,
    ) -> RetryDecision:
        """Decide by the error's branch in :mod:`flexsms.core.exceptions`."""
        if isinstance(exception, PermanentError):
            return RetryDecision.fail(reason=f"{type(exception).__name__}: trying again changes nothing")
        if isinstance(exception, RetryableError):
            asked = getattr(exception, "retry_after", None) or 0
            delay = min(max(self.first_delay_s * 2 ** (try_number - 1), asked), self.max_delay_s)
            return RetryDecision.retry(
                delay=timedelta(seconds=delay),
                reason=f"{type(exception).__name__}: trying again in {delay:g} s",
            )
        return RetryDecision.default()

    def serialize(self) -> dict[str, Any]:
        """The policy as JSON."""
        return asdict(self)

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> FlexRetryPolicy:
        """Read what :meth:`serialize` wrote."""
        return cls(**data)


# What all tasks of flexsms have in common, wherever they run.
TASK_DEFAULTS: Mapping[str, Any] = {
    "owner": "flexsms",
    "retries": 4,
    "retry_delay": timedelta(minutes=1),
    "retry_policy": FlexRetryPolicy(),
}


def task_defaults(job: str = "", **more: Any) -> dict[str, Any]:
    """The default_args of a DAG of flexsms: what all have in common, and the pool and the queue of the configuration.

    :param job: has a pool and a queue of its own, ``<job>_pool`` and ``<job>_queue``, where these options are set
    :param more: arguments of this DAG's tasks
    """
    placed = {}
    for name in ("pool", "queue"):
        options = [f"{job}_{name}", name] if job else [name]
        placed[name] = next(filter(None, map(option, options)), None)
    return {**TASK_DEFAULTS, **{name: place for name, place in placed.items() if place}, **more}
