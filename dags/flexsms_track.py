"""The Airflow DAG `flexsms_track` of the installed package; `flexsms.bundle` brings it without a file like this."""

from flexsms.dags.flexsms_track import dag

__all__ = ["dag"]
