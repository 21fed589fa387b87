"""How a click is followed to Sync; that a whole Airflow gets there is shown in tests/e2e."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flexsms.demo import event_latency
from flexsms.demo.event_latency import Followed, Stream
from flexsms.demo.local_airflow import DemoFailed
from flexsms.sandbox.client import ControlError

Json = dict[str, Any]

RUN = {"dag_run_id": "run1", "run_type": "asset_triggered", "state": "success"}


class World:
    """Airflow and the local Twilio at once: a click, and after some looks a run and a state.

    :param looks: into Sync, before it shows the end of the task; None: it never does
    :param state: of the run
    """

    def __init__(self, looks: int | None = 2, state: str = "success", **lost: int) -> None:
        self.looks = looks
        self.run = {**RUN, "state": state}
        self.lost = {"discarded": 0, "lost": 0, "dropped": 0, **lost}
        self.clicked: datetime | None = None

    def agent(self, action: str, *, channel_sid: str) -> Json:
        assert (action, channel_sid) == ("complete", "CH1")
        self.clicked = datetime.now(UTC)
        return {"task_sid": "WT1"}

    def delivered(self) -> Json:
        return self.lost

    def state(self) -> Json:
        if self.looks is not None:
            self.looks -= 1
        over = self.looks is not None and self.looks < 0
        ended = {"open_tasks": [], "last_ended_at": "2026-11-21T10:00:00Z"}
        data = ended if over else {"open_tasks": ["WT1"], "last_ended_at": "2026-11-20T10:00:00Z"}
        rows = [{"name": "flexsms.CH0", "data": ended}, {"name": "flexsms.CH1", "data": data}]
        return {"tables": {"documents": rows}}

    def runs(self, _dag_id: str) -> list[Json]:
        assert self.clicked is not None
        queued = {**self.run, "dag_run_id": "run2", "state": "queued", "start_date": None}
        return [queued, {**self.run, "start_date": (self.clicked + timedelta(seconds=3)).isoformat()}]

    def triggered_by(self, _dag_id: str, run_id: str) -> list[str]:
        assert self.clicked is not None
        assert run_id == "run1", "Airflow would answer 500"
        return [(self.clicked + timedelta(seconds=offset)).isoformat() for offset in (-1, 2)]

    def run_state(self, _dag_id: str, _run_id: str) -> str:
        return str(self.run["state"])

    def returned(self, _dag_id: str, _run_id: str, task_id: str) -> Json:
        return {"events": 7, "task": task_id}

    def complaints(self, _dag_id: str, _run_id: str) -> list[str]:
        return ["track:\nit broke"]

    def follow(self) -> tuple[Followed, list[str]]:
        told: list[str] = []
        return Stream(self, self, "flexsms_track", told.append).complete("CH1"), told  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_latency, "ASK_EVERY_S", 0.0)


def test_every_stage_has_its_seconds() -> None:
    found, told = World().follow()
    assert found.fired_s == pytest.approx(2, abs=0.1)
    assert found.started_s == pytest.approx(3, abs=0.1)
    assert 0 <= found.posted_s <= found.stored_s < 1
    assert (found.run_type, found.report) == ("asset_triggered", {"events": 7, "task": "track"})
    assert [line.split()[:3] for line in told] == [
        ["posted", "to", "Airflow"],
        ["the", "trigger", "fired"],
        ["state", "in", "Sync"],
    ]
    assert list(found.problems()) == []


def test_what_is_not_as_promised_is_named() -> None:
    slow, by_hand = Followed(0, 80, 85, 91, "asset_triggered", {}), Followed(0, 0, 0, 1, "manual", {})
    assert list(slow.problems()) == [
        "From the agent's click to the state in Sync it took 91 s; 90 s are promised."
    ]
    assert list(by_hand.problems()) == [
        "The state was stored by a run of type manual, not by one that the inbox started."
    ]


def test_a_post_that_airflow_refuses_ends_the_story() -> None:
    with pytest.raises(DemoFailed, match=r"did not take every event .*: {'discarded': 2}"):
        World(discarded=2).follow()


def test_a_post_that_does_not_get_through_ends_the_story(monkeypatch: pytest.MonkeyPatch) -> None:
    def delivered() -> Json:
        raise ControlError("3 events are still on their way")

    world = World()
    monkeypatch.setattr(world, "delivered", delivered)
    with pytest.raises(
        DemoFailed, match="does not take what is posted to it: 3 events are still on their way"
    ):
        world.follow()


def test_a_run_that_fails_ends_the_story_with_its_log() -> None:
    with pytest.raises(DemoFailed, match="it broke"):
        World(looks=None, state="failed").follow()


def test_a_state_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_latency, "GIVE_UP_S", 0.05)
    with pytest.raises(DemoFailed, match="The end of WT1 was posted to Airflow, and 0 s later not in Sync"):
        World(looks=None).follow()


def test_a_state_without_a_run_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(looks=0)
    monkeypatch.setattr(world, "runs", lambda _: [])
    with pytest.raises(DemoFailed, match="there is no run of flexsms_track"):
        world.follow()
