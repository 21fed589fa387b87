"""The Airflow DAG `flexsms_send` of the installed package; `flexsms.bundle` brings it without a file like this."""

from flexsms.dags.flexsms_send import dag

__all__ = ["dag"]
