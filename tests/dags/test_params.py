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
