"""Should Flex not find a chat channel by the numbers alone, a second text is refused, and nothing is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from flexsms.core.exceptions import TwilioRefused
from flexsms.core.stack_name import StackName
from tests.support.send_scenarios import Desk

if TYPE_CHECKING:
    from flexsms.sandbox.client import SandboxProcess
    from tests.twilio.conftest import Clock

pytestmark = pytest.mark.anyio


async def test_a_second_text_is_refused_in_one_sentence(sandbox: SandboxProcess, clock: Clock) -> None:
    sandbox.control.settings(channel_matches_identity=True)
    desk = Desk(StackName.CHAT, sandbox, clock)
    first = await desk.send("One", key="k1")
    with pytest.raises(TwilioRefused, match=r"the customer is still in another Proxy session of that number"):
        await desk.send("Two", key="k2")
    assert desk.texts() == ["One"]
    assert [row["sid"] for row in desk.channels()] == [first.channel_sid]
    assert desk.open_tasks() == [first.task_sid]
