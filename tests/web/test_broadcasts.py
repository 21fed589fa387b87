"""GET /flexsms/broadcasts: how far broadcasts are, over all their batches, for whom, and with how many queries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from flexsms.operators.broadcast_xcom import BroadcastProgress
from flexsms.web.broadcasts import summed_up
from tests.support import airflow_database as database
from tests.support.broadcast_runs import live, over

pytestmark = pytest.mark.anyio

Login = Callable[[str], dict[str, str]]
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
BATCHES = 1000


@pytest.fixture(scope="module")
def dags(airflow_db: Any) -> Any:
    """Airflow's database knows the DAGs."""
    database.parse_dags()
    yield
    database.empty()


@pytest.fixture
def ask(api: httpx.AsyncClient, login: Login, dags: Any) -> Callable[..., Any]:
    async def ask(*runs: str, role: str = "viewer") -> httpx.Response:
        headers = login(role) if role else {}
        return await api.get("/flexsms/broadcasts", params={"run": [*runs]}, headers=headers)

    return ask


def run_id(at: datetime) -> str:
    return f"scheduled__{at.isoformat()}"


@pytest.fixture
def queries() -> Any:
    """The statements that Airflow's database is asked."""
    from airflow import settings  # noqa: TID251

    found: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    event.listen(settings.engine, "before_cursor_execute", note)
    yield found
    event.remove(settings.engine, "before_cursor_execute", note)


async def test_a_million_texts_in_a_thousand_batches_are_summed_up_by_one_query(
    ask: Callable[..., Any], queries: list[str]
) -> None:
    done = BroadcastProgress(1000, done=1000, sent=996, failed=3, suppressed=1)
    begun = BroadcastProgress(1000, done=10, sent=10)
    last = NOW + timedelta(hours=5)
    database.fill(
        [
            live("million", NOW, BATCHES * 1000, [*[done] * (BATCHES - 1), begun], last_at=last),
            live("other", NOW - timedelta(hours=1), 7, [BroadcastProgress(7, done=7, sent=7)]),
        ]
    )
    queries.clear()
    answer = await ask(run_id(NOW))
    assert answer.status_code == 200
    assert answer.json() == {
        run_id(NOW): {
            "texts": 1_000_000,
            "done": 999_010,
            "sent": 999 * 996 + 10,
            "failed": 999 * 3,
            "suppressed": 999,
            "waits_until": None,
            "last_at": last.isoformat(),
        }
    }
    assert len([one for one in queries if "FROM xcom" in one]) == 1
    assert len(answer.content) < 500
    assert answer.headers["cache-control"] == "no-store"


async def test_of_a_run_without_a_check_nothing_is_said(ask: Callable[..., Any]) -> None:
    database.fill([live("early", NOW)])
    assert (await ask(run_id(NOW), "no such run")).json() == {}
    assert (await ask()).json() == {}


async def test_who_may_ask(ask: Callable[..., Any]) -> None:
    database.fill([over("spring", NOW, {})])
    answers = {role: (await ask("x", role=role)).status_code for role in ("", "viewer", "user", "op")}
    assert answers == {"": 401, "viewer": 200, "user": 200, "op": 200}


@pytest.mark.parametrize("runs", [["a\0b"], [str(number) for number in range(11)]])
async def test_what_is_no_list_of_runs_is_refused(runs: list[str], ask: Callable[..., Any]) -> None:
    assert (await ask(*runs)).status_code == 422


EARLY, LATE = "2026-12-01T08:00:00+00:00", "2026-12-01T16:00:00+00:00"


@pytest.mark.parametrize(
    ("batches", "waits_until"),
    [
        ([], None),
        ([BroadcastProgress(9, done=1, sent=1, until=LATE), BroadcastProgress(9, until=EARLY)], EARLY),
        # One is over, and the other one waits.
        ([BroadcastProgress(9, done=9, sent=9), BroadcastProgress(9, until=LATE)], LATE),
        # One sends.
        ([BroadcastProgress(9, done=2, sent=2), BroadcastProgress(9, until=LATE)], None),
        ([BroadcastProgress(9, done=9, sent=9)], None),
    ],
)
async def test_it_waits_while_no_batch_sends(
    batches: list[BroadcastProgress], waits_until: str | None
) -> None:
    found = summed_up({"texts": 18}, [batch.to_json() for batch in batches])
    assert found["waits_until"] == waits_until


async def test_what_somebody_has_written_by_hand_is_left_out() -> None:
    odd = [None, "x", {"sent": "x", "done": True}, {"sent": 2, "until": 7}]
    assert summed_up({"texts": 5, "last_at": 3}, odd) == {
        "texts": 5,
        "done": 0,
        "sent": 2,
        "failed": 0,
        "suppressed": 0,
        "waits_until": None,
        "last_at": None,
    }
