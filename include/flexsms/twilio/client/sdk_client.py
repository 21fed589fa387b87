"""The official SDK's client, for flexsms itself and for calls that flexsms knows nothing about."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from twilio.http import HttpClient
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from flexsms import __version__
from flexsms.twilio.client.routing import routed
from flexsms.twilio.client.settings import TwilioSettings

# The SDK logs every URL with its query at INFO, and a phone number may stand in there.
_quiet = logging.getLogger(f"{__name__}.requests")
_quiet.setLevel(logging.WARNING)


class RoutedHttpClient(TwilioHttpClient):
    """The SDK's own HTTP client, which goes where ``base_url`` says; see :mod:`flexsms.twilio.client.routing`."""

    def __init__(self, settings: TwilioSettings) -> None:
        super().__init__(timeout=settings.timeout_s, logger=_quiet)
        self._base_url = settings.base_url

    def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,  # noqa: ARG002  # none is followed: it might lead to another host
    ) -> Response:
        """Send a request of the SDK."""
        return super().request(
            method,
            routed(url, self._base_url),
            params=dict(params) if params else None,
            data=dict(data) if data else None,
            headers=dict(headers) if headers else None,
            auth=auth,
            timeout=timeout,
            allow_redirects=False,
        )


def sdk_client(settings: TwilioSettings, http_client: HttpClient) -> Client:
    """The official SDK's client on top of an HTTP client.

    The environment is replaced, because the SDK silently picks up ``TWILIO_REGION`` and ``TWILIO_EDGE`` from it. For an
    empty one it would take its own.
    """
    return Client(  # type: ignore[no-untyped-call]  # the SDK's client has no annotation of its result
        username=settings.login,
        password=settings.password,
        account_sid=settings.account_sid,
        region=settings.region or None,
        edge=settings.edge or None,
        http_client=http_client,
        environment={"FLEXSMS": __version__},
        user_agent_extensions=[f"flexsms/{__version__}"],
    )


def plain_client(settings: TwilioSettings) -> Client:
    """A client with the connection's timeout and ``base_url``. It keeps no rate limits and repeats nothing."""
    return sdk_client(settings, RoutedHttpClient(settings))
