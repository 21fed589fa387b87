"""flexsms_track with source kinesis, run by Airflow."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.kinesis_server import KinesisServer

from .conftest import Run


def test_a_stream_is_read_once(
    run: Callable[..., Run],
    session: Any,
    connection: dict[str, Any],
    kinesis: KinesisServer,
    monkeypatch: pytest.MonkeyPatch,
    table: Callable[[str], list[dict[str, Any]]],
) -> None:
    from airflow.models.asset_state_store import AssetStateStoreModel  # noqa: TID251

    connection["extra"]["kinesis_stream"] = kinesis.create(shards=2)
    monkeypatch.setenv("AIRFLOW_CONN_TWILIO_DEFAULT", json.dumps(connection))
    channel = "CH" + "a" * 32
    payload = {"task_sid": "WT" + "b" * 32, "task_attributes": json.dumps({"channelSid": channel})}
    event = {
        "type": "com.twilio.taskrouter.task.created",
        "id": "EZ1",
        "data": {"timestamp": "2024-11-18T16:42:07.105Z", "payload": payload},
    }
    kinesis.put(json.dumps(event).encode(), b"nonsense")
    tracked = run("flexsms_track", source="kinesis")
    assert tracked.state == "success"
    report = tracked.xcom("track")
    assert (report["events"], report["created"], report["rejected"]) == (1, 1, 1)
    assert "sequence number 1: body: is not JSON" in report["rejects"][0]
    assert f"flexsms.{channel}" in json.dumps(table("documents"))
    row = (
        session.query(AssetStateStoreModel)
        .filter(AssetStateStoreModel.key.startswith("cursor.kinesis."))
        .one()
    )
    assert json.loads(row.value) == report["cursor"]
    again = run("flexsms_track", source="kinesis").xcom("track")
    assert (again["events"], again["rejected"], again["cursor"]) == (0, 0, report["cursor"])
