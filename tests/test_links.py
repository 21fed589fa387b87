"""Links from a task to what it worked on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk.types import TaskInstanceKey

from flexsms.links import ChannelLink, channel_url

KEY = TaskInstanceKey("flexsms_send", "send", "manual", 1, -1)


def test_the_link_leads_to_the_channel_in_the_console() -> None:
    url = channel_url("IS" + "1" * 32, "CH" + "2" * 32)
    assert url.startswith("https://console.twilio.com/")
    assert url.endswith(f"/IS{'1' * 32}/channels/CH{'2' * 32}")
    assert ChannelLink().get_link(cast(Any, SimpleNamespace(console_url=url)), ti_key=KEY) == url


@pytest.mark.parametrize("operator", [SimpleNamespace(console_url=""), SimpleNamespace()])
def test_there_is_none_before_the_channel_is_known(operator: Any) -> None:
    assert ChannelLink().get_link(operator, ti_key=KEY) == ""
