"""The Airflow DAG `flexsms_setup` of the installed package; `flexsms.bundle` brings it without a file like this."""

from flexsms.dags.flexsms_setup import dag

__all__ = ["dag"]
