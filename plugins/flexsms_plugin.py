"""Mounts the web app of flexsms in Airflow's API server."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.sdk.plugins_manager import AirflowPlugin


class FlexSmsPlugin(AirflowPlugin):
    """``/flexsms``: what Twilio's Event Streams posts to."""

    name = "flexsms"

    # Every task process loads this file, and only the API server asks for the app.
    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The app, made when it is asked for."""
        from flexsms.web.app import create_app

        return [{"app": create_app(), "url_prefix": "/flexsms", "name": "flexsms"}]
