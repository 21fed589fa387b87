"""Links from a task to what it worked on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk.types import TaskInstanceKey

from flexsms.links import ChannelLink

KEY = TaskInstanceKey("flexsms_send", "send", "manual", 1, -1)


def test_the_link_leads_to_what_the_operator_found() -> None:
    url = "https://console.twilio.com/somewhere"
    assert ChannelLink().get_link(cast(Any, SimpleNamespace(console_url=url)), ti_key=KEY) == url


@pytest.mark.parametrize("operator", [SimpleNamespace(console_url=""), SimpleNamespace()])
def test_there_is_none_before_the_channel_is_known(operator: Any) -> None:
    assert ChannelLink().get_link(operator, ti_key=KEY) == ""
