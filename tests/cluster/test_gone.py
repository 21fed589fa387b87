"""What is left of the cluster once it has ended."""

from __future__ import annotations

import pytest

from tests.cluster.cluster import API_SERVERS, WORKERS, Cluster

OTHERS = ("scheduler", "triggerer", "dag processor", "sandbox", "PostgreSQL", "Redis", "nginx")

pytestmark = [pytest.mark.timeout(900), pytest.mark.last]


def test_nothing_is_left_of_the_cluster(cluster: Cluster) -> None:
    assert len(cluster.alive()) >= len((*API_SERVERS, *WORKERS, *OTHERS))
    assert cluster.listening() == set(cluster.ports)

    cluster.stop()

    assert cluster.alive() == set()
    assert cluster.listening() == set()
