"""Run Twilio Flex SMS conversations from Apache Airflow: send, track, clean up."""

__version__ = "0.1.0"
