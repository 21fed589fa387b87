"""From an agent's click to the state in Sync, by Event Streams alone, with the seconds of every stage.

Nobody starts the run: the local Twilio posts to Airflow, the trigger of the inbox fires, and Airflow makes the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flexsms.demo.airflow_api import AirflowApi, Json
from flexsms.demo.dag_runs import ASK_EVERY_S, wait
from flexsms.demo.local_airflow import DemoFailed
from flexsms.demo.sandbox_state import state_in_sync
from flexsms.sandbox.client import ControlError, SandboxControl

# What is promised: at most a pause of the trigger (60 s), a look (10 s), and a run.
PROMISED_S = 90.0
# When to stop waiting for a run that nobody else makes.
GIVE_UP_S = 180.0
BY_ASSET = "asset_triggered"


@dataclass(frozen=True, slots=True)
class Followed:
    """A click and what came of it; times are seconds after the click.

    :param posted_s: until Airflow had confirmed every post
    :param fired_s: until the trigger of the inbox fired
    :param started_s: until the run that it started was at work
    :param stored_s: until the state in Sync showed it
    :param run_type: of the run, as Airflow names it
    :param report: what the run returned
    """

    posted_s: float
    fired_s: float
    started_s: float
    stored_s: float
    run_type: str
    report: Mapping[str, Any]

    def problems(self) -> Iterator[str]:
        """What is not as promised."""
        if self.stored_s > PROMISED_S:
            yield (
                f"From the agent's click to the state in Sync it took {self.stored_s:.0f} s; "
                f"{PROMISED_S:.0f} s are promised."
            )
        if self.run_type != BY_ASSET:
            yield f"The state was stored by a run of type {self.run_type}, not by one that the inbox started."


class Stream:
    """Follows clicks.

    :param dag_id: of the DAG that the inbox starts
    :param tell: called with what is being waited for, whenever that changes
    """

    def __init__(
        self, api: AirflowApi, sandbox: SandboxControl, dag_id: str, tell: Callable[[str], None]
    ) -> None:
        self._api = api
        self._sandbox = sandbox
        self._dag_id = dag_id
        self._tell = tell

    def complete(self, channel_sid: str) -> Followed:
        """An agent completes the task of a channel; follow it until the run is over that has stored its end.

        :raises DemoFailed: when a post is refused, the run fails or misses it, or there is none
        """
        clicked = time.time()
        task_sid = self._sandbox.agent("complete", channel_sid=channel_sid)["task_sid"]
        self._post()
        posted_s = time.time() - clicked
        self._tell(f"posted to Airflow after {posted_s:.1f} s; the inbox is looked at every 10 s")
        stored = self._stored(channel_sid, task_sid, clicked) - clicked
        run = self._newest()
        if run is None:
            raise DemoFailed(f"The state is in Sync, and there is no run of {self._dag_id}.")
        run_id = str(run["dag_run_id"])
        self._tell(f"state in Sync after {stored:.1f} s; the run goes on with TaskRouter's history")
        wait(self._api, self._dag_id, [run_id], self._tell)
        return Followed(
            posted_s=posted_s,
            fired_s=max(self._fired(run_id) - clicked, 0.0),
            started_s=_moment(run["start_date"]) - clicked,
            stored_s=stored,
            run_type=str(run["run_type"]),
            report=self._api.returned(self._dag_id, run_id, "track"),
        )

    def _post(self) -> None:
        """Until nothing is on its way to Airflow any more."""
        try:
            counts = self._sandbox.delivered()
        except ControlError as error:
            raise DemoFailed(f"Airflow does not take what is posted to it: {error}.") from None
        if lost := {name: counts[name] for name in ("discarded", "lost", "dropped") if counts[name]}:
            raise DemoFailed(f"Airflow did not take every event that was posted: {lost}.")

    def _stored(self, channel_sid: str, task_sid: str, clicked: float) -> float:
        """When Sync showed that the task is over, seconds since 1970."""
        told = ""
        while time.time() < clicked + GIVE_UP_S:
            found = state_in_sync(self._sandbox.state(), channel_sid)
            if found.get("last_ended_at") and task_sid not in found.get("open_tasks", ()):
                return time.time()
            run = self._newest()
            if run and run["dag_run_id"] != told and (fired := self._fired(run["dag_run_id"])) > clicked:
                self._tell(f"the trigger fired after {fired - clicked:.1f} s")
                told = run["dag_run_id"]
            if run and run["state"] == "failed":
                wait(self._api, self._dag_id, [run["dag_run_id"]], self._tell)
            time.sleep(ASK_EVERY_S)
        raise DemoFailed(
            f"The end of {task_sid} was posted to Airflow, and {GIVE_UP_S:.0f} s later not in Sync."
        )

    def _newest(self) -> Json | None:
        """The newest run that has begun. Of one that has not, Airflow 3.3.2 cannot say what it came of (500)."""
        return next((run for run in self._api.runs(self._dag_id) if run["start_date"]), None)

    def _fired(self, run_id: str) -> float:
        """When the trigger fired for a run, seconds since 1970; 0 when it did not."""
        return max(map(_moment, self._api.triggered_by(self._dag_id, run_id)), default=0.0)


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
