"""Airflow's cluster policy and hostname on every machine of the cluster; its folder is on their PYTHONPATH."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from flexsms.demo.cluster_policy import dag_policy

__all__ = ["dag_policy", "hostname", "task_policy"]

RETRY_DELAY = timedelta(seconds=2)


def task_policy(task: Any) -> None:
    """Wait seconds, not a minute, before the next try."""
    task.retry_delay = RETRY_DELAY


def hostname() -> str:
    """The name of the machine that this process plays, for ``[core] hostname_callable``."""
    return os.environ["FLEXSMS_CLUSTER_HOST"]
