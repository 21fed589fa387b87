"""Stories that broke a promise once, each named after what happens in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .schedule import Schedule
from .story import tell

STORIES = sorted(Path(__file__).with_name("stories").glob("*.json"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_a_story_that_broke_a_promise_does_so_no_more(path: Path) -> None:
    verdict = tell(Schedule.load(path))
    told = "\n".join(one.told() for one in verdict.broken)
    assert not verdict.broken, f'{told}\nmake chaos ARGS="--replay {path}"'


def test_every_story_says_which_promise_it_broke() -> None:
    for path in STORIES:
        story = json.loads(path.read_text())
        assert {"breaks", "detail"} <= story.keys(), path
        assert len(story["steps"]) <= 12, f"{path}: too long to be read"
