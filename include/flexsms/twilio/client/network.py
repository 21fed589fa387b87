"""The way to Twilio: an HTTP proxy that the environment names, and why there is no connection.

aiohttp's own ``trust_env`` is not used. It looks both the proxy and a login in ``~/.netrc`` up anew for every request,
and refuses requests that have a login already, as all of Twilio's have, where that file has a ``default``.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from flexsms.core.exceptions import ServiceUnavailable, TwilioError, Unreachable
from flexsms.core.twilio_codes import advice
from flexsms.twilio.client.settings import TwilioSettings

# X509_verify_cert's reasons of a chain that ends at nobody who is trusted, of ten or so others.
_UNTRUSTED = (2, 18, 19, 20, 21)
REGIONS = "us1, ie1 and au1"  # https://www.twilio.com/docs/global-infrastructure/understanding-twilio-regions


def env_proxy(url: str) -> str | None:
    """The HTTP proxy that ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY`` name for a URL, None for none.

    This machine itself is never asked for through a proxy, which would look for it at itself.

    :raises Unreachable: when it is none of HTTP
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_here(host) or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxy = getproxies().get(parts.scheme)
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(proxy).scheme not in ("http", "https"):
        name = f"{parts.scheme.upper()}_PROXY"
        raise Unreachable(
            f"Environment variable {name}: is no HTTP proxy; give http://host:port, or unset it."
        )
    return proxy


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def no_connection(
    error: aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError,
    *,
    host: str,
    product: str,
    where: str,
    endpoint: str,
    settings: TwilioSettings,
) -> TwilioError:
    """The error for a request that was never sent.

    :param host: what was to be asked
    :param product: what that is by Twilio's name
    :param where: method, host and path
    :return: one that is permanent where only a person can change anything
    """
    barred, what = said_of(error, host) or _said_of_network(error, product, settings)
    kind = Unreachable if barred else ServiceUnavailable
    status = error.status if isinstance(error, aiohttp.ClientHttpProxyError) else 0
    return kind(f"{where}: {what}.", where=where, status=status, code=status, endpoint=endpoint)


def said_of(
    error: aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError, host: str
) -> tuple[bool, str] | None:
    """The sentence about an error that a proxy or a certificate has caused.

    :param host: what was to be asked
    :return: whether it is of no use to try again, and a sentence; None when it is neither
    """
    if isinstance(error, aiohttp.ClientHttpProxyError):
        if error.status == 407:
            return True, f"HTTP 407; {advice(407, 0)}"
        if 400 <= error.status < 500:
            return (
                True,
                f"the HTTP proxy does not connect to {host} ({error.status}); have it let that through",
            )
        return False, f"the HTTP proxy got no connection to {host} ({error.status}); check the proxy"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return True, _of_certificate(error, host)
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        at = f"{error.host}:{error.port}"
        return False, f"no connection to the HTTP proxy {at} ({error.strerror}); check HTTPS_PROXY"
    return None


def _said_of_network(
    error: aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError, product: str, settings: TwilioSettings
) -> tuple[bool, str]:
    reason = getattr(error, "strerror", None)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return False, f"nobody knows the name {error.host} ({reason}); {_of_name(product, settings)}"
    if settings.base_url:
        return False, f"no connection ({reason}); check the network and base_url"
    told = "check the network, and set HTTPS_PROXY where only a proxy leads out"
    return False, f"no connection ({reason}); {told}"


def _of_certificate(error: aiohttp.ClientConnectorCertificateError, host: str) -> str:
    cause = error.certificate_error
    reason = str(getattr(cause, "verify_message", "") or "no reason given").rstrip(".")
    if getattr(cause, "verify_code", 0) in _UNTRUSTED:
        return (
            f"the certificate of {host} is not trusted ({reason}); set SSL_CERT_FILE to a file with your company's CA, "
            "where Airflow's components start (REQUESTS_CA_BUNDLE does not count here)"
        )
    return f"the certificate of {host} is not valid ({reason}); check this machine's clock, and who answers there"


def _of_name(product: str, settings: TwilioSettings) -> str:
    if settings.base_url:
        return "check base_url"
    if not settings.region:
        return "check the network's DNS, and set HTTPS_PROXY where only a proxy leads out"
    return (
        f"Twilio does not serve {product} in region {settings.region}, or edge {settings.edge} and region "
        f"{settings.region} do not go together (the regions are {REGIONS})"
    )
