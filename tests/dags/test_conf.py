"""A key of a run's conf that is no param: the run fails before it has done anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flexsms.sandbox.client import SandboxProcess

from .conftest import Run

SENT = {"from_number": "+14155550100", "to_number": "+14155550199"}


@pytest.mark.parametrize(
    ("dag_id", "first", "conf", "sentence"),
    [
        ("flexsms_cleanup", "plan", {"dryrun": True}, "there is no 'dryrun'; did you mean dry_run?"),
        (
            "flexsms_cleanup",
            "plan",
            {"retention": 30},
            "there is no 'retention'; did you mean retention_days?",
        ),
        ("flexsms_send", "send", {**SENT, "text": "Hi"}, "there is no 'text'; did you mean body?"),
        ("flexsms_send", "send", {**SENT, "Body": "Hi"}, "there is no 'Body'; did you mean body?"),
        ("flexsms_setup", "setup", {"dry-run": True}, "there is no 'dry-run'; did you mean dry_run?"),
        ("flexsms_track", "track", {"sources": "inbox"}, "there is no 'sources'; did you mean source?"),
        (
            "flexsms_track",
            "track",
            {"+14155550199": 1},
            "there is no '…0199'; give one of source, lookback_minutes, since, until, twilio_conn_id.",
        ),
    ],
)
def test_a_misspelt_param_fails_the_run_before_anything_is_done(
    dag_id: str,
    first: str,
    conf: dict[str, Any],
    sentence: str,
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sandbox.control.seed(channels=2, due=2)
    sandbox.control.clear_journal()
    ran = run(dag_id, **conf)
    assert ran.state == "failed"
    assert (ran.states(first), ran.tries(first)) == (["failed"], [1])
    assert sandbox.control.journal() == []
    assert f"conf: {sentence}" in capsys.readouterr().out


def test_a_param_that_airflow_does_not_take_from_the_conf_fails_the_run_before_anything_is_done(
    run: Callable[..., Run],
    sandbox: SandboxProcess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What was to be a dry run would be a real one."""
    sandbox.control.seed(channels=2, due=2)
    sandbox.control.clear_journal()
    monkeypatch.setenv("AIRFLOW__CORE__DAG_RUN_CONF_OVERRIDES_PARAMS", "False")
    ran = run("flexsms_cleanup", dry_run=True)
    assert (ran.state, ran.states("plan"), ran.tries("plan")) == ("failed", ["failed"], [1])
    assert sandbox.control.journal() == []
    told = "conf: Airflow leaves dry_run at its default; set its option [core] dag_run_conf_overrides_params to True."
    assert told in capsys.readouterr().out
