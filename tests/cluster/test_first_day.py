"""From an empty account to a text, its delivery and its end, as docs/deployment.md has it."""

from __future__ import annotations

import json

import pytest

from flexsms.demo.airflow_api import Json
from flexsms.demo.sandbox_state import state_in_sync
from tests.cluster.cluster import Cluster

CUSTOMER = "+14155550166"
BODY = "Your frames have come."

pytestmark = pytest.mark.timeout(900)  # the first test waits for the cluster to start


def test_set_up_send_and_track(cluster: Cluster) -> None:
    settings = cluster.connect("conversations", "sync_service_sid")
    number = settings["numbers"]["conversations"]

    made = cluster.flexsms("setup", "--number", number, "--events-url", cluster.events_url, "--write")
    assert made.returncode == 0, made.stdout + made.stderr
    cluster.wait_for("the api-servers to know the events URL", lambda: cluster.knock() == {403})
    looked = cluster.flexsms("doctor", "--number", number)
    assert looked.returncode == 0, looked.stdout + looked.stderr
    [line] = [line for line in looked.stdout.splitlines() if "Events URL" in line]
    assert line.startswith("ok "), line
    assert cluster.api.import_errors() == []

    conf = {"from_number": number, "to_number": CUSTOMER, "body": BODY}
    run = cluster.api.trigger("flexsms_send", conf)
    sent = cluster.finish("flexsms_send", run)
    assert cluster.api.returned("flexsms_send", run, "delivery")["status"] == "delivered"
    [text] = cluster.twilio.outbox()
    assert (text["to"], text["body"]) == (CUSTOMER, BODY)
    task = cluster.task("flexsms_send", run, "send")
    assert (task["queue"], task["pool"]) == ("flexsms", "flexsms_send")

    channel = sent["channel_sid"]
    assert who_else_knows(cluster) == []
    ended = cluster.twilio.agent("complete", channel_sid=channel)["task_sid"]
    assert ended == sent["task_sid"]
    counts = cluster.twilio.delivered(timeout_s=120)
    assert not counts["discarded"] + counts["lost"] + counts["dropped"], counts
    cluster.wait_for("the end to be stored", lambda: state(cluster, channel).get("last_ended_at"))
    assert state(cluster, channel)["status"] == "ended"
    stored = [run for run in cluster.api.runs("flexsms_track") if run["run_type"] == "asset_triggered"]
    assert stored
    for one in stored:
        cluster.finish("flexsms_track", one["dag_run_id"])


def who_else_knows(cluster: Cluster) -> list[str]:
    """Where the customer's number or the text is, beside Twilio and the ``conf`` of the run."""
    audit = cluster.api.call("GET", "eventLogs", dag_id="flexsms_send", event="trigger_dag_run")["event_logs"]
    assert audit
    written = {"the audit log": json.dumps(audit)}
    for path in cluster.logs.rglob("*"):
        if path.is_file():
            written[str(path.relative_to(cluster.logs))] = path.read_text(errors="replace")
    return [where for where, text in written.items() if CUSTOMER[1:] in text or BODY in text]


def state(cluster: Cluster, channel_sid: str) -> Json:
    """What Sync holds of a channel."""
    return state_in_sync(cluster.twilio.state(), channel_sid)


def test_the_outside_world_gets_in_by_the_prefix_and_not_to_where_workers_report(cluster: Cluster) -> None:
    assert cluster.ask("/api/v2/version") == 200
    assert cluster.ask("/flexsms/events") == 401
    assert cluster.ask("/execution/health") == 404
