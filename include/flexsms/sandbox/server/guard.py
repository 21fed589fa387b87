"""Who may use the control plane: programs of this machine, and no page in its browser.

A page may post to any address, and with a name of its own that leads to 127.0.0.1 it may read the answers as well. The
control plane tells credentials and has no login, so it refuses what a browser sends for somebody else's page.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import orjson

from ..http import Response

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
ANY = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 (they are what is left out)


def names_of(host: str, allowed: list[str]) -> frozenset[str]:
    """The hosts that the control plane answers to, when it listens on `host`."""
    return LOOPBACK | ({host} - ANY) | {name.lower() for name in allowed}


def foreign(headers: dict[bytes, bytes], names: frozenset[str] | None) -> Response | None:
    """403 for a request of a page, or for a host that is not ours; None for one that may pass."""
    if names is None:
        return None
    host = headers.get(b"host", b"").decode("latin-1")
    origin = headers.get(b"origin")
    if _name(host) not in names:
        return _refused(f"the control plane does not answer to host {host!r}; see --allow-host")
    if origin is not None and origin.decode("latin-1") != f"http://{host}":
        return _refused("the control plane takes no requests of web pages")
    return None


def _name(host: str) -> str | None:
    """Without the port: behind a forwarded port it is another one than ours."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _refused(sentence: str) -> Response:
    return Response(403, orjson.dumps({"error": sentence}))
