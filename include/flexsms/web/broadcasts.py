"""``/flexsms/broadcasts``: how far broadcasts are, summed up over all their batches. Asks Airflow's database, once.

Airflow's REST API tells the XCom of one task at a time, and a broadcast may have a thousand tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from flexsms.operators.broadcast_xcom import PLAN_KEY, PROGRESS_KEY
from flexsms.web.access import may_see_broadcasts
from flexsms.web.openapi import PROGRESS

DAG_ID = "flexsms_broadcast"
MOST_RUNS = 10
COUNTS = ("done", "sent", "failed", "suppressed")

router = APIRouter()

# PostgreSQL knows no text with a zero byte.
RunId = Annotated[str, Query(pattern="^[^\\x00]*$")]


@router.get("/broadcasts", dependencies=[Depends(may_see_broadcasts)], **PROGRESS)
def progress(
    response: Response, run: Annotated[list[RunId], Query(default_factory=list, max_length=MOST_RUNS)]
) -> dict[str, dict[str, Any]]:
    """How far runs of flexsms_broadcast are: numbers and moments, no phone number and no text.

    :param run: ids of runs; of one whose check has not come to an end, nothing is said
    """
    response.headers["Cache-Control"] = "no-store"
    told: dict[str, dict[str, list[Any]]] = {}
    for run_id, key, value in _xcoms(run):
        told.setdefault(run_id, {PLAN_KEY: [], PROGRESS_KEY: []})[key].append(value)
    return {
        run_id: summed_up(plan, found[PROGRESS_KEY])
        for run_id, found in told.items()
        for plan in found[PLAN_KEY]
        if isinstance(plan, Mapping) and _is_count(plan.get("texts"))
    }


def summed_up(plan: Mapping[str, Any], batches: Iterable[Any]) -> dict[str, Any]:
    """What the batches of a broadcast have said so far; what somebody has written by hand is left out.

    :param plan: of :class:`flexsms.operators.broadcast_xcom.BroadcastPlan`
    :param batches: each a :class:`flexsms.operators.broadcast_xcom.BroadcastProgress`
    """
    found = [one for one in batches if isinstance(one, Mapping)]
    counts = {name: sum(one[name] for one in found if _is_count(one.get(name))) for name in COUNTS}
    unfinished = [one for one in found if one.get("done") != one.get("texts")]
    # While one of them sends, nobody waits.
    waits = [until for one in unfinished if isinstance(until := one.get("until"), str) and until]
    all_wait = bool(waits) and len(waits) == len(unfinished)
    last_at = plan.get("last_at")
    return {
        "texts": plan["texts"],
        **counts,
        "waits_until": min(waits) if all_wait else None,
        "last_at": last_at if isinstance(last_at, str) else None,
    }


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _xcoms(run_ids: list[str]) -> Iterable[tuple[str, str, Any]]:
    """Run, key and value."""
    # Here, because the rest of the app has to work where a later Airflow has them elsewhere.
    from airflow.models.xcom import XComModel  # noqa: TID251 (in the API server, which has its database)
    from airflow.utils.session import create_session  # noqa: TID251
    from sqlalchemy import and_, or_, select

    of = [("check", PLAN_KEY), ("send", PROGRESS_KEY)]
    query = select(XComModel.run_id, XComModel.key, XComModel.value).where(
        XComModel.dag_id == DAG_ID,
        XComModel.run_id.in_(run_ids),
        or_(*(and_(XComModel.task_id == task_id, XComModel.key == key) for task_id, key in of)),
    )
    with create_session() as session:
        return [(run_id, key, value) for run_id, key, value in session.execute(query)]
