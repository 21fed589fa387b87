"""``/flexsms/dashboard``: what flexsms counted, drawn in the browser from Airflow's REST API, with the viewer's login.

The server only hands out files. It needs no connection for that, calls nobody, and knows no figure.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, HTTPException, Request, Response, status
from fastapi import Path as PathParam

from flexsms.core.delivery_status import REASONS
from flexsms.core.twilio_codes import ADVICE
from flexsms.web.access import may_see, may_track
from flexsms.web.openapi import FILE, PAGE

MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FILES = {
    path.name: path.read_bytes()
    for path in sorted(Path(__file__).with_name("page").iterdir())
    if path.suffix in MEDIA_TYPES
}
# What Twilio's codes mean, and what to do.
CODES = {**ADVICE, **REASONS}
FILES["codes.js"] = f"export const CODES = {json.dumps(CODES, ensure_ascii=False)};\n".encode()
_INDEX = FILES.pop("index.html").decode()
# In the URL of every file, so that a browser may keep them until they change.
DIGEST = hashlib.sha256(b"".join(FILES.values())).hexdigest()[:12]
# All modules are asked for at once, rather than when another one names them.
MODULES = "\n".join(
    f'<link rel="modulepreload" href="dashboard/{DIGEST}/{name}">'
    for name in FILES
    if name.endswith(".js") and name != "theme.js"
)
INDEX = _INDEX.replace("{digest}", DIGEST).replace("{modules}", MODULES)

NO_STORE = "no-store"
KEEP = "private, max-age=31536000, immutable"
# Nothing but this server's own files and answers, and a frame nowhere but in this server's own pages.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

router = APIRouter()


@router.get("/dashboard", dependencies=[Depends(may_see)], **PAGE)
def page(request: Request, user: GetUserDep) -> Response:
    """The page. It holds no figure; whether it offers the look-up is all that depends on who asks."""
    return _file(
        "index.html",
        INDEX.replace("{look-up}", "" if _may_track(request, user) else "hidden").encode(),
        keep=False,
    )


@router.get("/dashboard/{digest}/{name}", dependencies=[Depends(may_see)], **FILE)
def file(
    digest: Annotated[str, PathParam(max_length=64)], name: Annotated[str, PathParam(max_length=64)]
) -> Response:
    """One of the page's files.

    :param digest: of all files; under that of another version there are the same files, but not for keeping
    """
    if name not in FILES:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "There is no such file.")
    return _file(name, FILES[name], keep=digest == DIGEST)


def _may_track(request: Request, user: GetUserDep) -> bool:
    try:
        may_track(request, user)
    except HTTPException:
        return False
    return True


def _file(name: str, content: bytes, *, keep: bool) -> Response:
    headers = {
        "Cache-Control": KEEP if keep else NO_STORE,
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type=MEDIA_TYPES[Path(name).suffix], headers=headers)
