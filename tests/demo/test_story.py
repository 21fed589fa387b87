"""How the story waits for runs and what it says when one goes wrong; that it is told right is shown in tests/e2e."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from rich.console import Console

from flexsms.demo import story
from flexsms.demo.local_airflow import DemoFailed
from flexsms.demo.story import Story
from flexsms.demo.view import View

Json = dict[str, Any]

TABLES = ("channels", "sessions", "participants", "conversations", "flex_channels", "tasks", "events")


class Api:
    """An Airflow whose runs go through given states."""

    def __init__(self, states: Sequence[str], tasks: Sequence[Json] = ()) -> None:
        self._states = iter(states)
        self._tasks = list(tasks)
        self.confs: list[Json] = []

    def trigger(self, _dag_id: str, conf: Json) -> str:
        self.confs.append(conf)
        return f"run{len(self.confs)}"

    def run_state(self, _dag_id: str, _run_id: str) -> str:
        return next(self._states)

    def tasks(self, _dag_id: str, _run_id: str) -> list[Json]:
        return self._tasks

    def complaints(self, _dag_id: str, run_id: str) -> Iterator[str]:
        yield f"send of {run_id}:\nInvalidInput: to_number is empty"

    def asset_extra(self, _dag_id: str, _run_id: str) -> None:
        return None


class Sandbox:
    """A sandbox in which nothing happens, or a customer's text ends where it should not."""

    def __init__(
        self, statuses: Sequence[str] = (), led_to: str = "CH1", task_after: int | None = None
    ) -> None:
        self._statuses = iter(statuses)
        self._led_to = led_to
        self._task_after = task_after

    def settings(self) -> Json:
        return {}

    def story(self) -> Json:
        return {"ada": {"channel_sid": "CH1", "customer_number": "+1", "twilio_number": "+2"}}

    def state(self) -> Json:
        found: Json = {"tables": {name: [] for name in TABLES}}
        found["tables"]["conversations"] = [{"sid": self._led_to, "state": "active", "attributes": "{}"}]
        if self._task_after == 0:
            attributes = json.dumps({"conversationSid": self._led_to})
            found["tables"]["tasks"] = [{"status": "pending", "attributes": attributes}]
        elif self._task_after:
            self._task_after -= 1
        return found

    def clock(self) -> Json:
        return {"now_s": 0.0}

    def journal(self, after: int = 0) -> list[Json]:
        return []

    def outbox(self) -> list[Json]:
        return [{"status": next(self._statuses)}]

    def customer(self, *_: str) -> Json:
        return {"channel_sid": self._led_to, "task_sid": None, "outcome": "captured"}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "ASK_EVERY_S", 0.0)


def play(api: Api, sandbox: Sandbox | None = None) -> tuple[Story, io.StringIO]:
    out = io.StringIO()
    view = View(Console(file=out, width=120, highlight=False))
    return Story(api, sandbox or Sandbox(), view), out  # type: ignore[arg-type]


def run(told: Story, confs: Sequence[Json]) -> list[str]:
    with told._view.step("Send") as step:
        return told._run("flexsms_send", confs, step)


def test_all_runs_are_waited_for_and_their_tasks_shown() -> None:
    tasks = [{"task_id": "plan", "state": "success"}] + [
        {"task_id": "retire", "state": state} for state in ("running", "running", None)
    ]
    api = Api(["queued", "running", "running", "success", "success", "success"], tasks)
    told, out = play(api)
    assert run(told, [{"a": 1}, {"a": 2}]) == ["run1", "run2"]
    assert api.confs == [{"a": 1}, {"a": 2}]
    assert "plan success, retire 2 × running and 1 × waits" in out.getvalue()


def test_a_run_without_tasks_is_queued() -> None:
    told, out = play(Api(["queued", "success"]))
    run(told, [{}])
    assert "    queued\n" in out.getvalue()


def test_a_failed_run_ends_the_story_with_its_log() -> None:
    told, _ = play(Api(["success", "failed"]))
    with pytest.raises(DemoFailed) as failed:
        run(told, [{}, {}])
    assert str(failed.value) == (
        "flexsms_send failed (run run2).\n\nsend of run2:\nInvalidInput: to_number is empty"
    )


def test_a_run_that_takes_too_long_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "RUN_TIMEOUT_S", 0.0)
    told, _ = play(Api(["running"], [{"task_id": "send", "state": "queued"}]))
    with pytest.raises(DemoFailed, match="took more than 0 s: send queued"):
        run(told, [{}])


def test_a_cleanup_without_a_summary_is_a_failure() -> None:
    told, _ = play(Api(["success"]))
    with pytest.raises(DemoFailed, match="flexsms_cleanup ended without an asset event"):
        told._clean_up("Clean up")


@pytest.mark.parametrize("task_after", [0, 3])
def test_a_fresh_channel_with_a_task_is_what_it_is_all_about(task_after: int) -> None:
    told, out = play(Api([]), Sandbox(led_to="CH2", task_after=task_after))
    assert told._ada_writes_again() == []
    assert "a fresh channel and a new task" in out.getvalue()


@pytest.mark.parametrize(
    "sandbox", [Sandbox(led_to="CH1", task_after=0), Sandbox(led_to="CH2")], ids=["old channel", "no task"]
)
def test_a_text_that_starts_no_fresh_channel_is_a_problem(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "MOVE_TIMEOUT_S", 0.0)
    told, out = play(Api([]), sandbox)
    [problem] = told._ada_writes_again()
    assert problem.startswith("Ada's next text did not start a fresh channel")
    assert "captured" in out.getvalue()


def test_texts_are_looked_at_when_they_have_arrived() -> None:
    told, _ = play(Api([]), Sandbox(["queued", "sent", "delivered"]))
    assert told._delivered() == [{"status": "delivered"}]


def test_texts_that_never_arrive_are_looked_at_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "MOVE_TIMEOUT_S", 0.0)
    told, _ = play(Api([]), Sandbox(["queued"]))
    assert told._delivered() == [{"status": "queued"}]
