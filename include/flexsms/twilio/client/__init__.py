"""The official SDK's client, with limits, retries, timeouts and errors of our own."""
