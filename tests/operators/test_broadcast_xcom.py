from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flexsms.core.exceptions import PermanentError
from flexsms.operators.broadcast_xcom import PLAN_KEY, BroadcastPlan, BroadcastProgress, pull_plan

PLAN = BroadcastPlan(
    campaign="spring",
    folder="file:///tmp/spring",
    rows=3,
    texts=1,
    left_out={"invalid": 1, "repeated": 1},
    segments=2,
    encodings={"UCS-2": 1},
    cost={"amount": "0.0158", "currency": "USD"},
    first_at="2026-01-05T08:00:00+00:00",
    last_at="2026-01-05T08:00:01+00:00",
    opted_out=0,
    checked_at="2026-01-05T07:00:00+00:00",
    problems=["row 2: to_number has no country code; write it in E.164, like +14155550100."],
)


class Ti:
    def __init__(self, value: Any) -> None:
        self.value = value

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        return self.value if (task_ids, key) == ("check", PLAN_KEY) else None


def test_a_plan_and_a_progress_survive_xcom() -> None:
    assert pull_plan(Ti(PLAN.to_json()), "check") == PLAN
    progress = BroadcastProgress(1000, done=10, sent=9, failed=1)
    assert BroadcastProgress.from_json(progress.to_json()) == progress


def test_a_plan_that_is_gone_is_named() -> None:
    with pytest.raises(PermanentError, match="'check' has left no plan; clear it"):
        pull_plan(Ti(None), "check")


def test_a_dry_run_says_what_would_be() -> None:
    assert PLAN.sentence(dry_run=True).startswith("1 of 3 rows would be texted, in 2 segments, for at least")
    assert PLAN.sentence().startswith("1 of 3 rows are texted, in")
    nobody = replace(PLAN, texts=0)
    assert nobody.sentence(dry_run=True).startswith("Nobody of 3 rows would be texted; left out:")
    assert nobody.sentence().startswith("Nobody of 3 rows is texted; left out:")
