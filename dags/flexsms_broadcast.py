"""The Airflow DAG `flexsms_broadcast` of the installed package; `flexsms.bundle` brings it without a file like this."""

from flexsms.dags.flexsms_broadcast import dag

__all__ = ["dag"]
