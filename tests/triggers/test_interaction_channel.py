"""FlexChannelTrigger: it waits until Flex has set up an interaction, or has given up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flexsms.sandbox.client import SandboxProcess
from flexsms.triggers.interaction_channel import FlexChannelTrigger
from tests.support.sms import Texts

from .conftest import Connect, event_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def texts(sandbox: SandboxProcess, connection: Connect) -> Iterator[Texts]:
    connection("conversations")
    with Texts(sandbox, "conversations") as made:
        yield made


def waiting_for(interaction: Any, **polling: Any) -> FlexChannelTrigger:
    polling = {"poll_interval_s": 0.05, "timeout_s": 10, **polling}
    return FlexChannelTrigger(
        interaction_sid=interaction.sid, interaction_channel_sid=interaction.channel["sid"], **polling
    )


def test_it_is_made_again_from_what_airflow_keeps(texts: Texts) -> None:
    interaction = texts.account.open_interaction()
    path, arguments = waiting_for(interaction).serialize()
    assert path == "flexsms.triggers.interaction_channel.FlexChannelTrigger"
    assert arguments.pop("deadline") > 0
    assert arguments == {
        "interaction_sid": interaction.sid,
        "interaction_channel_sid": interaction.channel["sid"],
        "twilio_conn_id": "twilio_default",
        "poll_interval_s": 0.05,
    }


async def test_it_waits_for_the_setup_to_end(texts: Texts) -> None:
    texts.control.settings(interaction_setup_s=3)
    trigger = waiting_for(texts.account.open_interaction())
    texts.control.clear_journal()
    assert await event_of(trigger) == {"status": "active", "error_code": None, "error_message": None}
    looks = texts.control.journal()
    assert len(looks) > 1
    assert {entry["method"] for entry in looks} == {"GET"}


async def test_it_tells_why_the_setup_failed_and_no_number(texts: Texts) -> None:
    failure = {"error_code": 45780, "error_message": "+14155550142 could not be reached"}
    texts.control.settings(interaction_setup_s=0, interaction_failures={"*": failure})
    event = await event_of(waiting_for(texts.account.open_interaction()))
    assert event == {"status": "failed", "error_code": 45780, "error_message": "…0142 could not be reached"}


async def test_a_setup_that_does_not_end(texts: Texts) -> None:
    texts.control.settings(interaction_setup_s=3600)
    trigger = waiting_for(texts.account.open_interaction(), timeout_s=0.1)
    assert await event_of(trigger) == {"status": "timeout"}


async def test_what_was_closed_before_is_told_too(texts: Texts) -> None:
    texts.control.settings(interaction_setup_s=0)
    interaction = texts.account.open_interaction()
    channel = texts.account.flex.interaction(interaction.sid).channels(interaction.channel["sid"])
    channel.update(status="closed", routing={"status": "closed"})
    assert (await event_of(waiting_for(interaction)))["status"] == "closed"


async def test_an_interaction_that_is_gone_is_not_waited_for(texts: Texts) -> None:
    trigger = FlexChannelTrigger(
        interaction_sid="KD" + "0" * 32, interaction_channel_sid="UO" + "0" * 32, poll_interval_s=0.01
    )
    texts.control.clear_journal()
    event = await event_of(trigger)
    assert event == {"status": "gone", "error_code": None, "error_message": None}
    assert len(texts.control.journal()) == 5


async def test_one_that_does_not_show_yet_is_waited_for(texts: Texts) -> None:
    texts.control.settings(interaction_setup_s=0)
    trigger = waiting_for(texts.account.open_interaction())
    look = {"method": "GET", "host": "flex-api.twilio.com", "path": "/Channels/UO"}
    texts.control.fault(match=look, times=4, action="status", status=404, code=20404)
    assert (await event_of(trigger))["status"] == "active"
