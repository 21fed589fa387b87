"""The story on either stack, as it is before anything is cleaned up."""

from __future__ import annotations

import json

import orjson
import pytest

from flexsms.demo.options import STACKS
from flexsms.demo.sandbox_state import Channel, channels
from flexsms.sandbox.control.routes import Control


def look(control: Control) -> dict[str, Channel]:
    """Every channel, read as it comes over HTTP."""
    return channels(json.loads(orjson.dumps(control.account.snapshot())))


@pytest.fixture(scope="module", params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def control(stack: str) -> Control:
    """For tests that only look: the story, and a smaller crowd."""
    control = Control(random_seed=1)
    control.reset({"seed": f"story:{stack},40:{stack}"})
    return control


@pytest.fixture(scope="module")
def before(control: Control) -> dict[str, Channel]:
    return look(control)


@pytest.fixture(scope="module")
def now(control: Control) -> float:
    return control.account.clock.now()


@pytest.fixture(scope="module")
def sids(control: Control) -> dict[str, str]:
    return {name: who["channel_sid"] for name, who in control.account.story.items()}
