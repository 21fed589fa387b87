"""Mounts the web app of flexsms in Airflow's API server.

Every Airflow process loads this module, as the package's entry point ``airflow.plugins``, so it imports little.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

from airflow.sdk.plugins_manager import AirflowPlugin

logger = logging.getLogger(__name__)


class FlexSmsPlugin(AirflowPlugin):
    """``/flexsms``: what Twilio's Event Streams posts to."""

    name = "flexsms"

    # Only the API server asks for the app.
    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The app, made when it is asked for; whatever goes wrong with that, the API server starts without it.

        It answers 503 then, upon which Twilio keeps its posts for four hours.
        """
        try:
            from flexsms.web.app import create_app

            app = create_app()
        except Exception:
            logger.exception(
                "The package flexsms cannot be used in this API server, and /flexsms stays closed"
            )
            app = _closed()
        return [{"app": app, "url_prefix": "/flexsms", "name": "flexsms"}]


def _closed() -> Any:
    from fastapi import FastAPI, Response

    def refuse() -> Response:
        return Response(status_code=503)

    app = FastAPI(title="flexsms", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_api_route("/{path:path}", refuse, methods=["GET", "POST"])
    return app
