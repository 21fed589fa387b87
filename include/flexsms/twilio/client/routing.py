"""Where a request of the SDK goes: to Twilio over TLS, or to ``base_url``, and with its credentials nowhere else."""

from __future__ import annotations

import re

from flexsms.core.exceptions import PermanentError

# No user and no port: the host is the one that the eye sees.
_TWILIOS = re.compile(r"https://[a-z0-9.-]+\.twilio\.com(?=[/?]|\Z)")


def is_twilios(url: str) -> bool:
    """Whether a URL is one of Twilio's own, over TLS."""
    return bool(_TWILIOS.match(url))


def routed(url: str, base_url: str) -> str:
    """The URL to call: with ``base_url`` the original host becomes the first segment of the path.

    :param url: what the SDK asks for, be it made from edge and region or taken from the page before
    :param base_url: empty for Twilio
    :raises PermanentError: when it is none of Twilio's
    """
    if not is_twilios(url):
        host = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
        raise PermanentError(
            f"{host or 'A URL'} is no host of Twilio's, so nothing was sent; check edge and region of the connection."
        )
    return f"{base_url}/{url.partition('://')[2]}" if base_url else url
