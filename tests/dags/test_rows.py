"""One row, one text: what upstream data holds is texted as it is, however the rows come to the operator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flexsms.sandbox.client import SandboxProcess

from .conftest import Run

# A name that somebody has typed into a form on the web, and what a DAG's author has written.
DATA = "{{ var.value.canary }} {{ conn.twilio_default.password }} {{ 6 * 7 }}"
NUMBERS = ["+14155550191", "+14155550192"]

DAG = """
from datetime import datetime
from airflow.sdk import DAG, task
from flexsms.operators.send import FlexSendOperator

FROM, NUMBERS, DATA = {number!r}, {numbers!r}, {data!r}

with DAG("rows", schedule=None, start_date=datetime(2026, 1, 1), default_args={defaults!r}) as dag:
    @task
    def rows(*names):
        attributes = dict(note=DATA, notes=[DATA, dict(deep=DATA)])
        return [
            dict(to_number=to, body="Dear " + DATA, to_name=DATA, task_attributes=attributes, idempotency_key=DATA + to)
            for to in NUMBERS
        ]

    @task
    def row():
        return dict(to_number=NUMBERS[1], body="Dear " + DATA)

    @task
    def texts():
        return ["Dear " + DATA]

    send = FlexSendOperator.partial(task_id="send", {partial})
    {expand}
"""
PARTIAL = "from_number='{{ params.number }}', params=dict(number=FROM)"


@pytest.fixture
def expanded(
    number: str, tmp_path: Path, airflow_db: Path, monkeypatch: pytest.MonkeyPatch, request: Any
) -> Callable[..., Run]:
    """Run a DAG that maps the operator in some way."""

    def expanded(expand: str, partial: str = PARTIAL, **defaults: Any) -> Run:
        from airflow.dag_processing.dagbag import DagBag

        monkeypatch.setattr("airflow.settings.DAGS_FOLDER", str(tmp_path))
        monkeypatch.setenv("AIRFLOW_VAR_CANARY", "CANARY")
        code = DAG.format(
            number=number, numbers=NUMBERS, data=DATA, partial=partial, expand=expand, defaults=defaults
        )
        (tmp_path / "rows.py").write_text(code)
        bag = DagBag(tmp_path)
        assert bag.import_errors == {}
        request.getfixturevalue("dags").update(bag.dags)
        run: Callable[..., Run] = request.getfixturevalue("run")
        return run("rows")

    return expanded


def texted(sandbox: SandboxProcess) -> list[tuple[str, str]]:
    return sorted((text["to"], text["body"]) for text in sandbox.control.outbox())


ROWS = [(to, f"Dear {DATA}") for to in NUMBERS]


@pytest.mark.parametrize(
    ("expand", "partial"),
    [
        ("send.expand_kwargs(rows())", PARTIAL),
        ("send.expand_kwargs(rows().map(lambda row: row))", PARTIAL),
        ("send.expand_kwargs(rows(), strict=False)", PARTIAL + ", body='{{ 6 * 7 }}'"),
    ],
    ids=["rows", "rows that are changed", "rows that outrank the DAG"],
)
def test_what_a_row_holds_is_no_template(
    expand: str, partial: str, expanded: Callable[..., Run], sandbox: SandboxProcess
) -> None:
    assert expanded(expand, partial).state == "success"
    assert texted(sandbox) == ROWS


def test_nor_what_one_among_others_holds(expanded: Callable[..., Run], sandbox: SandboxProcess) -> None:
    written = "{'to_number': NUMBERS[0], 'body': '{{ 6 * 7 }} {{ var.value.canary }}'}"
    assert expanded(f"send.expand_kwargs([{written}, row()])").state == "success"
    assert texted(sandbox) == [(NUMBERS[0], "42 CANARY"), ROWS[1]]


def test_nor_what_is_nested_in_it(
    expanded: Callable[..., Run], sandbox: SandboxProcess, table: Callable[[str], list[dict[str, Any]]]
) -> None:
    assert expanded("send.expand_kwargs(rows())").state == "success"
    for task in table("tasks"):
        attributes = json.loads(task["attributes"])
        assert (attributes["name"], attributes["note"]) == (DATA, DATA)
        assert attributes["notes"] == [DATA, {"deep": DATA}]
    assert len(table("tasks")) == 2


def test_default_arguments_are_templates(expanded: Callable[..., Run], sandbox: SandboxProcess) -> None:
    partial = "params=dict(number=FROM)"
    sent = expanded("send.expand_kwargs(rows())", partial, from_number="{{ params.number }}")
    assert (sent.state, texted(sandbox)) == ("success", ROWS)


def test_a_list_of_texts_is_none(expanded: Callable[..., Run], sandbox: SandboxProcess) -> None:
    """Here Airflow sees to it itself."""
    partial = f"{PARTIAL}, to_number='{NUMBERS[0]}'"
    assert expanded("send.expand(body=texts())", partial).state == "success"
    assert texted(sandbox) == ROWS[:1]
