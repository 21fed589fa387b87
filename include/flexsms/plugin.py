"""Mounts the web app of flexsms in Airflow's API server, and shows its dashboard in Airflow's UI.

Every Airflow process loads this module, as the package's entry point ``airflow.plugins``, so it imports little.
"""

from __future__ import annotations

import logging
from functools import cached_property
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk import conf
from airflow.sdk.plugins_manager import AirflowPlugin

logger = logging.getLogger(__name__)

DAG_IDS = ["flexsms_broadcast", "flexsms_cleanup", "flexsms_send", "flexsms_setup", "flexsms_track"]


class FlexSmsPlugin(AirflowPlugin):
    """``/flexsms``: what Twilio's Event Streams posts to, and the dashboard."""

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

    # Only the API server asks for the views. One of them that Airflow cannot read would cost all of them.
    @cached_property
    def external_views(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The dashboard in the navigation, and from Airflow 3.4 on as a tab on the DAGs of flexsms.

        Airflow 3.3 would show the tab on every DAG there is.
        """
        page = f"{urlsplit(conf.get('api', 'base_url', fallback='')).path.rstrip('/')}/flexsms/dashboard"
        look = {"name": "flexsms", "icon": f"{page}/icon/icon.svg"}
        views = [{**look, "href": page, "destination": "nav", "url_route": "flexsms", "nav_top_level": True}]
        if _airflow() >= (3, 4):
            tab = {"href": f"{page}?dag={{DAG_ID}}", "destination": "dag", "url_route": "flexsms-dag"}
            views.append({**look, **tab, "applies_to": {"dag_id": DAG_IDS}})
        return views


def _airflow() -> tuple[int, ...]:
    return tuple(int(part) for part in version("apache-airflow-core").split(".")[:2])


def _closed() -> Any:
    from fastapi import FastAPI, Response

    def refuse() -> Response:
        return Response(status_code=503)

    app = FastAPI(title="flexsms", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_api_route("/{path:path}", refuse, methods=["GET", "POST"])
    return app
