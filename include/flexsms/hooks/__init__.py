"""Airflow hooks of flexsms."""
