"""Airflow sensors of flexsms."""
