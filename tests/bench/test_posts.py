"""Some posts a second to the receiver; `make bench` sends many."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from bench.posts import Answers, Rush, run, show_posts

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

RUSH = Rush(per_second=50, seconds=1)


@pytest.fixture(scope="module")
def answers() -> Answers:
    return run(RUSH, lambda _: None)


def test_every_post_is_confirmed_and_kept(answers: Answers) -> None:
    assert (len(answers.waits), answers.kept) == (RUSH.posts, RUSH.posts)
    assert all(target.ok for target in answers.targets[:2])


def test_what_is_missing_or_late_is_found(answers: Answers) -> None:
    bad = replace(answers, waits=[*answers.waits[:-2], 5.1], kept=RUSH.posts - 2)
    assert [target.ok for target in bad.targets] == [False, False, False]


def test_it_is_told(answers: Answers) -> None:
    text = io.StringIO()
    show_posts(Console(file=text, width=160), answers)
    assert "50 posts, 50 a second" in text.getvalue()
    assert len(json.loads(json.dumps(answers.to_json()))["percentiles_ms"]) == 99
