"""A broadcast whose triggerer dies while it waits, and whose worker dies while it sends."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flexsms.sandbox.control.bulk_load import customer_number
from tests.cluster.centre import STACKS
from tests.cluster.cluster import Cluster
from tests.cluster.test_send import HOSTS

DAG = "flexsms_broadcast"
PEOPLE = 40
# Until the run is there and waits, also on a busy machine; the triggerer is away for a part of it.
WAITS = timedelta(seconds=60)
ON_ITS_WAY_MS = 8000

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("stack", STACKS)
def test_each_text_leaves_once_though_triggerer_and_worker_die(
    cluster: Cluster, stack: str, tmp_path: Path
) -> None:
    settings = cluster.connect(stack)
    people = [customer_number(number) for number in range(PEOPLE)]
    (tmp_path / "list.csv").write_text("\n".join(["to_number", *people]))
    begins = datetime.now(UTC) + WAITS
    run = cluster.api.trigger(
        DAG,
        {
            "recipients": str(tmp_path / "list.csv"),
            "from_number": settings["numbers"][STACKS[stack]],
            "body": "We are closed tomorrow.",
            "campaign": f"closed-{stack}",
            "hours": "00:00-24:00",
            "not_before": begins.isoformat(),
            "approve_over": None,
            "delivery_minutes": 0,
        },
    )
    message = {"method": "POST", "host": HOSTS[stack], "path": "/Messages$"}
    cluster.twilio.fault(match=message, action="delay", delay_ms=ON_ITS_WAY_MS, skip=PEOPLE // 2, times=1)
    cluster.wait_for("the batch to wait", lambda: cluster.task(DAG, run, "send").get("state") == "deferred")
    cluster.kill("triggerer")
    assert cluster.twilio.outbox() == []
    cluster.start_triggerer()
    cluster.wait_for("half of the texts to leave", lambda: cluster.twilio.faults()[0]["hits"])
    first = cluster.task(DAG, run, "send")
    cluster.kill(first["hostname"])

    told = cluster.finish(DAG, run)

    assert datetime.now(UTC) > begins
    second = cluster.task(DAG, run, "send")
    assert second["try_number"] == first["try_number"] + 1
    assert second["hostname"] != first["hostname"]
    assert Counter(text["to"] for text in cluster.twilio.outbox()) == Counter(people)
    assert (told["rows"], told["sent"], told["failed"]) == (PEOPLE, PEOPLE, 0)
