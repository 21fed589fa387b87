"""The FastAPI app that the plugin mounts at ``/flexsms``."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Response, status

logger = logging.getLogger(__name__)


def create_app() -> FastAPI:
    """The app, or, should what guards it be missing, one that refuses everything.

    It answers 503 then: not open to anybody, and Twilio keeps its posts for four hours.
    """
    # Nothing that describes the app is served, and no path is answered but those that exist.
    app = FastAPI(title="flexsms", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    try:
        from flexsms.web.broadcasts import router as broadcasts
        from flexsms.web.channel import router as channel
        from flexsms.web.dashboard import router as dashboard
        from flexsms.web.event_streams import router as event_streams
    except Exception:
        logger.exception("The web app of flexsms cannot be guarded and stays closed")
        app.add_api_route("/{path:path}", _closed, methods=["GET", "POST"])
    else:
        for router in (event_streams, dashboard, broadcasts, channel):
            app.include_router(router)
    return app


async def _closed() -> Response:
    return Response(status_code=status.HTTP_503_SERVICE_UNAVAILABLE)
