"""What the story says when something goes wrong; that it is told right is shown in tests/e2e."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from flexsms.demo import story
from flexsms.demo.console import View
from flexsms.demo.local_airflow import DemoFailed
from flexsms.demo.story import Story

Json = dict[str, Any]

TABLES = ("channels", "sessions", "participants", "conversations", "flex_channels", "tasks", "events")


class Api:
    """An Airflow whose runs succeed at once, and leave in XCom what they are given."""

    def __init__(self, xcoms: Mapping[str, Json] | None = None) -> None:
        self._xcoms = xcoms or {}
        self.confs: list[Json] = []

    def trigger(self, _dag_id: str, conf: Json) -> str:
        self.confs.append(conf)
        return f"run{len(self.confs)}"

    def run_state(self, _dag_id: str, _run_id: str) -> str:
        return "success"

    def returned(self, _dag_id: str, run_id: str, task_id: str) -> Json:
        return self._xcoms[f"{run_id}.{task_id}"]

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

    def settings(self, **_: float) -> Json:
        return {"worker_sids": ["WK1"]}

    def story(self) -> Json:
        ada = {"channel_sid": "CH1", "customer_number": "+1", "twilio_number": "+2"}
        return {"ada": ada, "cleo": {**ada, "customer_number": "+3"}}

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
    return Story(api, sandbox or Sandbox(), view, Path()), out  # type: ignore[arg-type]


@pytest.mark.parametrize(("duplicate", "said"), [(True, "not sent again"), (False, "SENT AGAIN")])
def test_a_text_is_spoken_of_by_its_own_task_and_its_delivery_by_another(duplicate: bool, said: str) -> None:
    new, known = ({"reused_channel": reused, "duplicate": False} for reused in (False, True))
    api = Api(
        {
            "run1.send": known,
            "run1.delivery": {"status": "delivered", "sms_sid": "SM1"},
            "run2.send": new,
            "run2.delivery": {"status": "delivered", "sms_sid": "SM2"},
            "run3.send": new,
            "run3.delivery": {"status": "delivered", "sms_sid": "SM3"},
            "run4.send": {"duplicate": duplicate},
        }
    )
    told, out = play(api)
    sent = told._send(told._texts())
    assert [conf["from_number"] for conf in api.confs] == ["+2"] * 4
    assert api.confs[3] == api.confs[1]
    assert {name: found["delivery"]["sms_sid"] for name, found in sent.items()} == {
        "Cleo": "SM1",
        "Dora": "SM2",
        "Emil": "SM3",
    }
    shown = " ".join(out.getvalue().split())
    assert "Cleo (goes on, delivered), Dora (new, delivered), Emil (new, delivered)" in shown
    assert f"Dora's once more under the same key: {said}" in shown


def test_a_cleanup_without_a_summary_is_a_failure() -> None:
    told, _ = play(Api())
    with pytest.raises(DemoFailed, match="flexsms_cleanup ended without an asset event"):
        told._clean_up("Clean up")


@pytest.mark.parametrize("task_after", [0, 3])
def test_a_fresh_channel_with_a_task_is_what_it_is_all_about(task_after: int) -> None:
    told, out = play(Api(), Sandbox(led_to="CH2", task_after=task_after))
    assert told._ada_writes_again() == []
    assert "a fresh channel and a new task" in out.getvalue()


@pytest.mark.parametrize(
    "sandbox", [Sandbox(led_to="CH1", task_after=0), Sandbox(led_to="CH2")], ids=["old channel", "no task"]
)
def test_a_text_that_starts_no_fresh_channel_is_a_problem(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "MOVE_TIMEOUT_S", 0.0)
    told, out = play(Api(), sandbox)
    [problem] = told._ada_writes_again()
    assert problem.startswith("Ada's next text did not start a fresh channel")
    assert "captured" in out.getvalue()


def test_texts_are_looked_at_when_they_have_arrived() -> None:
    told, _ = play(Api(), Sandbox(["queued", "sent", "delivered"]))
    assert told._delivered() == [{"status": "delivered"}]


def test_texts_that_never_arrive_are_looked_at_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "MOVE_TIMEOUT_S", 0.0)
    told, _ = play(Api(), Sandbox(["queued"]))
    assert told._delivered() == [{"status": "queued"}]
