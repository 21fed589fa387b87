"""Who may do what, as Airflow's own rights say. Airflow answers 401 and 403 before a route is asked anything."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag

# The dashboard shows what its runs have counted. What it shows of other DAGs, the browser asks Airflow for.
may_see = requires_access_dag("GET", DagAccessEntity.RUN, "flexsms_cleanup")

# How far broadcasts are is what their XComs say.
may_see_broadcasts = requires_access_dag("GET", DagAccessEntity.XCOM, "flexsms_broadcast")

# Events name customers and their numbers, and a look-up calls Twilio, so seeing flexsms_track is not enough. Who may
# start it may have both: a right that can be given for this one DAG, to an account that has no other.
may_track = requires_access_dag("POST", DagAccessEntity.RUN, "flexsms_track")
