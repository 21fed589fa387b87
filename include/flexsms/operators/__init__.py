"""Airflow operators of flexsms."""
