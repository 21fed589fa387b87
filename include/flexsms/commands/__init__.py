"""What the command line does beside Airflow's DAGs: set up, and look what is wrong."""
