"""The Airflow DAG `flexsms_cleanup` of the installed package; `flexsms.bundle` brings it without a file like this."""

from flexsms.dags.flexsms_cleanup import dag

__all__ = ["dag"]
