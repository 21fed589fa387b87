"""Tell somebody when a run of flexsms fails: put this file into $AIRFLOW_HOME/config of every component.

It needs a connection of type smtp with the ID smtp_default.
"""

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG

TO = "oncall@example.com"


def dag_policy(dag: DAG) -> None:
    """Send an e-mail per failed run. It names the run and none of its params, which hold numbers and texts."""
    if "flexsms" in dag.tags and dag.on_failure_callback is None:
        dag.on_failure_callback = SmtpNotifier(
            to=TO,
            subject="{{ dag.dag_id }} has failed",
            html_content="The run {{ run_id }} of {{ dag.dag_id }} has failed. Its tasks' logs say why.",
        )
        dag.has_on_failure_callback = True
