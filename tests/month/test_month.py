"""A month in a contact centre: transfers, parks, surveys, other channels, agents who decline, lost events.

Tracking runs every hour from a stream in which two workspaces meet, cleaning up every night with a window of two days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from .centre import DAY_S, HOUR_S, RETENTION_DAYS, Centre
from .month import LOST_EVENT_DAYS, PEOPLE, Month

SEED = 20260302


@pytest.fixture(scope="module", params=["chat", "conversations"])
def month(request: pytest.FixtureRequest) -> Iterator[Month]:
    """The whole month, once per stack."""
    centre = Centre(request.param, SEED, len(PEOPLE))
    played = Month(centre)
    with centre.installed():
        for who, person in enumerate(PEOPLE):
            person(played, who)
        played.other_traffic()
        played.jobs()
        centre.universe.run()
        yield played


def test_every_run_went_through(month: Month) -> None:
    failed = {run.name for run in month.centre.runs.values() for task in run.tasks if task.state != "success"}
    assert not failed
    assert not month.centre.airflow.complaints


def test_no_channel_was_retired_before_its_window_was_over(month: Month) -> None:
    assert not month.early


def test_every_sms_channel_was_retired_at_the_first_cleanup_after_its_window(month: Month) -> None:
    centre, late = month.centre, []
    for sid in sorted(
        {life.channel_sid for life in centre.lives.values() if life.channel_sid} - month.others.keys()
    ):
        lives = centre.lives_on(sid)
        due_s = max(life.ended_s or centre.universe.now_s for life in lives) + RETENTION_DAYS * DAY_S
        slack_s = DAY_S + (LOST_EVENT_DAYS * DAY_S if centre.owner_of(sid) in month.lossy else 0)
        if month.down.get(sid, 2 * due_s) > due_s + slack_s:
            late.append(f"{sid} of customer {centre.owner_of(sid)}, due on day {due_s / DAY_S:.1f}")
    assert len(month.down) > len(PEOPLE) / 2
    assert not late


def test_no_other_channel_was_touched(month: Month) -> None:
    assert Counter(month.others.values()) == {"whatsapp": 2, "email": 2, "web": 2, "another workspace": 3}
    touched = [
        exchange.line()
        for exchange in month.centre.wire.tape.exchanges
        for sid in month.others
        if exchange.method != "GET" and sid in exchange.path and "sync" not in exchange.host
    ]
    assert not touched
    assert not [sid for sid in month.others if month.centre.is_down(sid)]


def test_an_agent_has_seen_every_text_of_a_customer(month: Month) -> None:
    centre, unseen = month.centre, []
    for text in centre.seen.inbound:
        lives = [life for sid, life in centre.lives.items() if _is_about(centre, sid, text.who)]
        if not any(
            life.taken_s is not None and (life.ended_s or centre.universe.now_s) > text.at_s for life in lives
        ):
            unseen.append(f"customer {text.who}, hour {text.at_s / HOUR_S + 8:.1f}, {text.result['outcome']}")
    assert len(centre.seen.inbound) > 2 * len(PEOPLE)
    assert not unseen


def test_what_was_left_out_is_counted_by_its_reason(month: Month) -> None:
    total: Counter[str] = Counter()
    for report in month.centre.tracked:
        total.update(report["ignored_by"])
    assert total["voice"] > 0
    assert total["foreign"] > 0


def _is_about(centre: Centre, task_sid: str, who: int) -> bool:
    return centre.whose(centre.seen.rows["tasks"][task_sid]) == who
