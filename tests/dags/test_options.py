"""The options of flexsms: what DAGs begin with, and what a wrong one does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError

from flexsms import options
from flexsms.core.exceptions import InvalidInput

from .conftest import DAGS


def bag() -> Any:
    """The DAGs, parsed now."""
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(DAGS)


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, airflow_db: Path) -> Any:
    """Set options as environment variables."""

    def configured(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"AIRFLOW__FLEXSMS__{name.upper()}", value)

    return configured


def test_options_are_the_defaults_of_params_and_schedules(configured: Any) -> None:
    configured(
        retention_days="0.5",
        cleanup_action="delete",
        cleanup_limit="20",
        cleanup_schedule="30 1 * * 1-5",
        channel_types="sms, whatsapp",
        track_source="kinesis",
        track_schedule="@hourly",
        from_number="+14155550100",
    )
    dags = bag().dags
    cleanup, track = dags["flexsms_cleanup"], dags["flexsms_track"]
    assert {
        name: cleanup.params[name] for name in ("retention_days", "action", "limit", "channel_types")
    } == {
        "retention_days": 0.5,
        "action": "delete",
        "limit": 20,
        "channel_types": "sms, whatsapp",
    }
    assert cleanup.timetable.expression == "30 1 * * 1-5"
    assert track.params["source"] == "kinesis"
    assert track.timetable.timetable.expression == "0 * * * *"
    assert dags["flexsms_send"].params["from_number"] == "+14155550100"


def test_without_options_a_sender_has_to_be_named(airflow_db: Path) -> None:
    assert not bag().dags["flexsms_send"].params.get_param("from_number").has_value


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("retention_days", "two", "is 'two'; give a number between 0.0007 and 3650."),
        ("retention_days", "", "is ''; give a number between 0.0007 and 3650."),
        ("cleanup_limit", "2.5", "is '2.5'; give a whole number between 1 and 100000."),
        ("cleanup_action", "archive", "is 'archive'; choose one of deactivate, delete."),
        (
            "cleanup_schedule",
            "61 3 * * *",
            "'61 3 * * *' is no cron expression; write five fields, like 0 3 * * *.",
        ),
        (
            "cleanup_schedule",
            "0 0 30 2 *",
            "'0 0 30 2 *' is no cron expression; write five fields, like 0 3 * * *.",
        ),
        (
            "cleanup_schedule",
            "0 3 * * * 0 2027",
            "'0 3 * * * 0 2027' is no cron expression; write five fields, like 0 3 * * *.",
        ),
        (
            "channel_types",
            "sms whatsapp!",
            "names 'sms whatsapp!'; name the kinds of channels to retire, separated by commas, like sms, whatsapp.",
        ),
    ],
)
def test_a_wrong_option_stops_the_dag_that_it_is_for_and_no_other(
    name: str, value: str, sentence: str, configured: Any
) -> None:
    configured(**{name: value})
    parsed = bag()
    assert sorted(parsed.dags) == ["flexsms_broadcast", "flexsms_send", "flexsms_setup", "flexsms_track"]
    [error] = parsed.import_errors.values()
    assert error.splitlines()[-1].endswith(f": Option [flexsms] {name}: {sentence}")


@pytest.mark.parametrize("value", ["../variables/canary", "a/b", ""])
def test_a_connection_that_has_no_name_is_refused_in_one_sentence(value: str, configured: Any) -> None:
    configured(twilio_conn_id=value)
    with pytest.raises(InvalidInput, match=r"^Option \[flexsms\] twilio_conn_id: .* like twilio_default\.$"):
        options.conn_id_option()


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("broadcast_hours", "9 to 5", "'9 to 5' is no span of hours; write it like 08:00-21:00."),
        ("broadcast_workers", "0", "is '0'; give a whole number between 1 and 64."),
        ("broadcast_approve_over", "few", "is 'few'; give a whole number between 0 and 1e+09."),
    ],
)
def test_a_wrong_option_of_broadcasts_stops_these_only(
    name: str, value: str, sentence: str, configured: Any
) -> None:
    configured(**{name: value})
    parsed = bag()
    assert sorted(parsed.dags) == ["flexsms_cleanup", "flexsms_send", "flexsms_setup", "flexsms_track"]
    [error] = parsed.import_errors.values()
    assert error.splitlines()[-1].endswith(f": Option [flexsms] {name}: {sentence}")


def test_broadcasts_begin_with_the_options(configured: Any) -> None:
    configured(broadcast_hours="09:00-18:00", broadcast_workers="7", broadcast_approve_over="")
    dag = bag().dags["flexsms_broadcast"]
    assert (dag.params["hours"], dag.params["approve_over"]) == ("09:00-18:00", None)
    assert dag.get_task("send").max_active_tis_per_dagrun == 7


def test_a_wrong_source_stops_tracking_only(configured: Any) -> None:
    configured(track_source="fax")
    parsed = bag()
    assert "flexsms_track" not in parsed.dags
    [error] = parsed.import_errors.values()
    assert "Option [flexsms] track_source: is 'fax'; choose one of taskrouter, inbox, http, kinesis." in error


def test_where_a_second_person_has_to_approve_nobody_raises_the_number_in_the_form(configured: Any) -> None:
    configured(second_person="true", broadcast_approve_over="100", approve_over="")
    dags = bag().dags
    bound = dags["flexsms_broadcast"].params.get_param("approve_over")
    assert bound.resolve(20) == 20
    for value in (101, None):
        with pytest.raises(ParamValidationError):
            bound.resolve(value)

    assert "At most 100, because the option second_person is on." in str(bound.description)
    free = dags["flexsms_cleanup"].params.get_param("approve_over")
    assert [free.resolve(value) for value in (None, 10_000)] == [None, 10_000]
