"""Studio's flows, as the official SDK sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from twilio.base.exceptions import TwilioRestException

if TYPE_CHECKING:
    from tests.sandbox.conftest import Account


def test_a_flow_is_there_to_be_looked_at(account: Account) -> None:
    flows = account.client.studio.v2.flows
    sid = account.settings["studio_flow_sid"]
    flow = flows(sid).fetch()
    assert (flow.sid, str(flow.status), flow.valid) == (sid, "published", True)
    assert flow.definition["initial_state"] == "Trigger"
    [listed] = flows.list()
    assert (listed.sid, listed.definition) == (sid, None)
    with pytest.raises(TwilioRestException) as caught:
        flows("FW" + "0" * 32).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)
