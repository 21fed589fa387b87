"""One cluster for all stories; each gets an empty Twilio account."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.cluster import ROOT, Cluster, end_of_logs, remove


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The running cluster. What a failed run leaves is its folder, with the logs."""
    home = ROOT / ".cache" / "cluster"
    home.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="run-", dir=home))
    scratch.chmod(0o755)  # PostgreSQL's user has to get to its folder
    cluster = Cluster(scratch)
    try:
        cluster.start()
        yield cluster
    except BaseException:
        print(end_of_logs(cluster.logs))
        raise
    finally:
        cluster.stop()
        if request.session.testsfailed:
            print(f"The logs are in {cluster.logs}")
        else:
            remove(scratch)
