"""The process: one ASGI application, its command line, and the deliveries beside it."""
