"""One file per DAG: wiring and docs, no logic. Airflow finds them through :mod:`flexsms.bundle`."""
