"""What the demo takes for a broadcast that went wrong; that it goes right is shown in tests/e2e."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flexsms.demo import broadcast
from flexsms.demo.broadcast import Broadcasted, Person
from flexsms.demo.sandbox_state import Channel

PEOPLE = [Person("+14155553000", "Ann"), Person("+14155553001", "Bo")]
SMS = [
    {"to": one.number, "body": one.body, "status": "delivered", "channel_sid": f"CH{n}"}
    for n, one in enumerate(PEOPLE)
]
ANSWERED = {PEOPLE[0].number: {"channel_sid": "CH0"}}


def channel(*open_tasks: str) -> Channel:
    return Channel("CH0", open_tasks=open_tasks)


GOOD = Broadcasted({"delivered": 2}, SMS, ANSWERED, {"CH0": channel("pending")})


def test_a_broadcast_that_went_right_has_no_problem() -> None:
    assert list(GOOD.problems(PEOPLE)) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"left": SMS[:1]}, "The broadcast's text to …3001 left 0 times instead of once."),
        ({"left": [*SMS, SMS[1]]}, "The broadcast's text to …3001 left 2 times instead of once."),
        ({"summary": {"delivered": 1}}, "The broadcast reports 1 delivered texts; 2 were."),
        (
            {"replies": {PEOPLE[0].number: {"channel_sid": "CH9"}}},
            "The reply of …3000 is not in the conversation of the broadcast.",
        ),
        ({"channels": {"CH0": channel()}}, "The reply of …3000 has reached no agent."),
        ({"channels": {}}, "The reply of …3000 has reached no agent."),
    ],
)
def test_what_went_wrong_is_named(changes: dict[str, Any], problem: str) -> None:
    assert problem in list(replace(GOOD, **changes).problems(PEOPLE))


def test_the_list_has_two_hundred_people_each_once(tmp_path: Path) -> None:
    people = broadcast.people()
    assert len({one.number for one in people}) == len(people) == 200
    path = tmp_path / "moved.csv"
    broadcast.write_list(path, people)
    assert path.stat().st_mode & 0o077 == 0
    assert path.read_text(encoding="utf-8").splitlines()[:2] == ["to_number,first_name", "+14155553000,Ann"]
