"""Run whenever channel states have changed, and read what the run did."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import DAG, task

from flexsms import CHANNEL_STATE

with DAG("channels_have_changed", schedule=[CHANNEL_STATE]) as dag:

    @task(inlets=[CHANNEL_STATE])
    def log_newest(**context: Any) -> int:
        """How many channels the newest run of track or cleanup was about."""
        events = context["inlet_events"][CHANNEL_STATE]
        if not events:
            return 0
        extra = events[-1].extra
        count = int(extra.get("channels", extra.get("due", 0)))
        logging.getLogger(__name__).info("The newest run was about %d channels.", count)
        return count

    log_newest()
