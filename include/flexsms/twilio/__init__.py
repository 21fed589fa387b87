"""Everything that talks to Twilio; knows core, not Airflow."""
