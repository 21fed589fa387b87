"""Pure logic: no Airflow, no Twilio, no clock, no I/O."""
