"""A worker dies while its text is on the way."""

from __future__ import annotations

import pytest

from flexsms.demo.airflow_api import Json
from tests.cluster.centre import STACKS
from tests.cluster.cluster import Cluster

HOSTS = {"chat": "chat.twilio.com", "conversations": "conversations.twilio.com"}
CUSTOMER = "+14155550166"
BODY = "Your frames have come."
ON_ITS_WAY_MS = 8000

pytestmark = pytest.mark.timeout(900)  # the first test waits for the cluster to start


@pytest.mark.parametrize("stack", STACKS)
def test_a_text_whose_worker_dies_while_it_is_on_its_way_is_sent_once(cluster: Cluster, stack: str) -> None:
    settings = cluster.connect(stack)
    message = {"method": "POST", "host": HOSTS[stack], "path": "/Messages$"}
    cluster.twilio.fault(match=message, action="delay", delay_ms=ON_ITS_WAY_MS, times=1)
    conf = {"from_number": settings["numbers"][STACKS[stack]], "to_number": CUSTOMER, "body": BODY}
    run = cluster.api.trigger("flexsms_send", conf)
    cluster.wait_for("the text to leave", lambda: cluster.twilio.faults()[0]["hits"])
    first = cluster.task("flexsms_send", run, "send")
    cluster.kill(first["hostname"])
    assert texts(cluster) == []

    told = cluster.finish("flexsms_send", run)

    second = cluster.task("flexsms_send", run, "send")
    assert second["try_number"] == first["try_number"] + 1
    assert second["hostname"] != first["hostname"]
    [text] = texts(cluster)
    assert (text["to"], text["body"]) == (CUSTOMER, BODY)
    assert told["message_sid"]
    assert not told["duplicate"]


def texts(cluster: Cluster) -> list[Json]:
    """Every text that has left for a handset."""
    return cluster.twilio.outbox()
