"""What all forms have in common."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import ParamValidationError

from tests.dags.conftest import DAGS


@pytest.mark.parametrize(
    "conn_id", ["../variables/canary", "twilio_default?x=1", "a/b", "..", "", "%2e%2e"], ids=repr
)
def test_a_connection_that_leads_elsewhere_is_refused_by_every_form(airflow_db: object, conn_id: str) -> None:
    """Airflow's client puts the name into a URL as it is."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(DAGS)
    assert len(bag.dags) >= 4
    for dag in bag.dags.values():
        param = dag.params.get_param("twilio_conn_id")
        assert param.resolve("twilio_default") == "twilio_default"
        with pytest.raises(ParamValidationError):
            param.resolve(conn_id)


@pytest.mark.parametrize("dag_id", ["flexsms_send", "flexsms_setup"])
@pytest.mark.parametrize(
    "written",
    ["40404", "ACME", "MG" + "0" * 32, "4155550101", "+1\u00a0415\u200b5550101", "+1 415"],
    ids=ascii,
)
def test_a_form_leaves_it_to_the_task_to_say_what_is_wrong_with_a_number(
    airflow_db: object, dag_id: str, written: str
) -> None:
    """What a pattern does not take is refused with the pattern, which nobody understands."""
    from airflow.dag_processing.dagbag import DagBag

    params = DagBag(DAGS).dags[dag_id].params
    for name in {"from_number", "to_number", "number"} & set(params):
        param = params.get_param(name)
        assert param.resolve(written) == written
        with pytest.raises(ParamValidationError):
            param.resolve("")
