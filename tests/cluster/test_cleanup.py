"""Cleanup while workers freeze and die in the middle of a batch."""

from __future__ import annotations

import pytest

from flexsms.demo.airflow_api import Json
from tests.cluster.centre import Centre
from tests.cluster.cluster import WORKERS, Cluster
from tests.cluster.processes import wait_until_gone

DUE_PER_STACK = 40
LATENCY_MS = 200  # long enough to land in a batch
TOUCHED = 16  # marked channels at which to land
GONE_S = 60
OPEN_TASKS = {"host": "taskrouter.twilio.com", "path": "/Tasks$"}

pytestmark = pytest.mark.timeout(900)  # the first test waits for the cluster to start


@pytest.fixture
def centre(cluster: Cluster) -> Centre:
    """Due channels of both stacks, tracked."""
    settings = cluster.connect("conversations")
    centre = Centre(cluster.twilio, settings, DUE_PER_STACK)
    track(cluster)
    return centre


def track(cluster: Cluster) -> None:
    """Bring the channel states up to now."""
    cluster.finish("flexsms_track", cluster.api.trigger("flexsms_track", {}))


def start_cleanup(cluster: Cluster) -> str:
    """Start a cleanup."""
    return cluster.api.trigger("flexsms_cleanup", {"retention_days": 2})


def wait_for_the_middle(cluster: Cluster, centre: Centre, run: str) -> Json:
    """Wait until some channels of a batch are marked; returns its task instance."""
    cluster.wait_for("a batch to be under way", lambda: len(centre.marked()) >= TOUCHED)
    return cluster.task("flexsms_cleanup", run, "retire")


def wait_until_still(cluster: Cluster) -> None:
    """Wait until the requests of a frozen worker have been applied."""
    seen = [-1, 0]

    def nothing_new() -> bool:
        seen[:] = seen[1], len(cluster.twilio.journal())
        return seen[0] == seen[1]

    cluster.wait_for("the last requests to be applied", nothing_new)


def test_a_worker_that_wakes_up_after_it_was_replaced_touches_no_live_channel(
    cluster: Cluster, centre: Centre
) -> None:
    idle = {name: cluster.worker(name).tree() for name in WORKERS}
    cluster.twilio.settings(latency_ms=LATENCY_MS)
    run = start_cleanup(cluster)
    first = wait_for_the_middle(cluster, centre, run)
    frozen = cluster.worker(first["hostname"])
    try:
        old = frozen.freeze() - idle[first["hostname"]]
        wait_until_still(cluster)
        came_back = centre.open() - centre.marked()
        assert len(came_back) > DUE_PER_STACK
        for sid in came_back:
            centre.writes(sid)
        told = cluster.finish("flexsms_cleanup", run)
        second = cluster.task("flexsms_cleanup", run, "retire")
        assert second["try_number"] == 2
        assert second["hostname"] != first["hostname"]
        # The old process works as fast as it can, and dies before it could see what it has done.
        cluster.twilio.settings(latency_ms=LATENCY_MS / 4)
        cluster.twilio.fault(match=OPEN_TASKS, action="delay", delay_ms=GONE_S * 1000)
    finally:
        frozen.thaw()
    wait_until_gone(old, GONE_S)
    cluster.twilio.clear_faults()

    assert centre.live() == came_back
    centre.assert_live(came_back)
    centre.assert_retired(centre.due - came_back)
    assert told["failed"] == 0
    assert told["deactivated"] + told["already_gone"] == len(centre.due - came_back)
    assert told["skipped_open_task"] + told["skipped_changed"] == len(came_back)


def test_live_channels_that_an_older_version_made_short_lived_are_put_back(
    cluster: Cluster, centre: Centre
) -> None:
    came_back = set(sorted(centre.due)[::4])
    assert {centre.stack_of[sid] for sid in came_back} == {"chat", "conversations"}
    for sid in came_back:
        centre.writes(sid)
    track(cluster)
    centre.retire_without_a_look(came_back)

    told = cluster.finish("flexsms_cleanup", start_cleanup(cluster))

    centre.assert_live(came_back)
    centre.assert_retired(centre.due - came_back)
    assert told["deactivated"] == len(centre.due - came_back)


def test_a_batch_whose_worker_dies_is_finished_by_the_other_one(cluster: Cluster, centre: Centre) -> None:
    cluster.twilio.settings(latency_ms=LATENCY_MS)
    run = start_cleanup(cluster)
    first = wait_for_the_middle(cluster, centre, run)
    cluster.kill(first["hostname"])
    assert len(centre.marked()) < len(centre.due)

    told = cluster.finish("flexsms_cleanup", run)

    second = cluster.task("flexsms_cleanup", run, "retire")
    assert second["try_number"] == 2
    assert second["hostname"] != first["hostname"]
    centre.assert_retired(centre.due)
    assert told["failed"] == 0
    assert told["deactivated"] + told["already_gone"] == len(centre.due)
