"""Texts to the people who run Airflow."""
