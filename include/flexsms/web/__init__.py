"""Web apps that the plugin mounts in Airflow's API server. Every route asks for a credential, and fails closed."""
