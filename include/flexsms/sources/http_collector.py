"""A collector of task events behind an Airflow connection of type ``http``."""

from __future__ import annotations

from typing import Any

import aiohttp
from airflow.providers.http.hooks.http import HttpAsyncHook
from airflow.sdk.exceptions import AirflowNotFoundException

from flexsms.core import lenient_json
from flexsms.core.event_source import scope_of
from flexsms.core.exceptions import PermanentError, ServiceUnavailable
from flexsms.core.redaction import redact
from flexsms.core.task_events import printable
from flexsms.core.twilio_codes import advice
from flexsms.twilio.client.network import env_proxy, said_of

# A redirect would take login, password or token along to whatever it names.
OPTIONS = {"timeout": aiohttp.ClientTimeout(total=60), "allow_redirects": False, "check_response": True}


class HttpCollector:
    """Asks a collector for its events, one page at a time.

    :param http_conn_id: the Airflow connection; login and password, or an ``Authorization`` header in its extra. For
        another Airflow, a user of that: it is given a token at ``/auth/token``, which is the only login Airflow takes
    :param endpoint: path behind the connection's host
    """

    def __init__(self, http_conn_id: str, endpoint: str) -> None:
        self.scope = scope_of(http_conn_id, endpoint)
        self._conn_id = http_conn_id
        self._endpoint = endpoint
        self._token = ""

    async def fetch(self, after: str | None, limit: int) -> Any:
        """One page, parsed.

        :raises ServiceUnavailable: when there is no useful answer; asking again is harmless
        :raises PermanentError: when the collector refuses, leads elsewhere, or answers with something else than JSON
        """
        # Without its query, in which a collector may want a secret; nor is aiohttp's own error told, which has the URL.
        where = f"Airflow connection '{self._conn_id}', endpoint {self._endpoint.partition('?')[0]}"
        query = {"limit": str(limit), **({"after": after} if after else {})}
        try:
            try:
                return await self._ask(query)
            except aiohttp.ClientResponseError as error:
                if error.status != 401 or not (token := await self._log_in()):
                    raise
            self._token = token
            return await self._ask(query)
        except AirflowNotFoundException:
            raise PermanentError(
                f"Airflow has no connection '{redact(self._conn_id)}'; create it with type 'http', or name another in "
                "events_conn_id of the Twilio connection."
            ) from None
        except _Odd as error:
            raise PermanentError(f"{where}: {error}.") from None
        # aiohttp's errors quote the URL, so none of them is chained.
        except aiohttp.ClientConnectorError as error:
            no_answer = f"no answer ({type(error).__name__}); trying again later"
            barred, said = said_of(error, error.host) or (False, no_answer)
            kind = PermanentError if barred else ServiceUnavailable
            raise kind(f"{where}: {said}.") from None
        except aiohttp.ClientResponseError as error:
            if error.status >= 500 or error.status == 429:
                raise ServiceUnavailable(f"{where}: HTTP {error.status}; trying again later.") from None
            if error.status == 407:
                raise PermanentError(f"{where}: HTTP 407; {advice(407, 0)}.") from None
            raise PermanentError(
                f"{where}: HTTP {error.status}; check host, endpoint and what this login may read."
            ) from None
        except ValueError as error:  # InvalidURL is one, and what aiohttp says of a header that cannot be
            raise PermanentError(
                f"{where}: cannot be asked ({type(error).__name__}); check host and port."
            ) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServiceUnavailable(
                f"{where}: no answer ({type(error).__name__}); trying again later."
            ) from None

    async def _ask(self, query: dict[str, str]) -> Any:
        hook, login, options = await self._connect("GET")
        headers = {}
        if self._token:
            headers = {"Authorization": f"Bearer {self._token}"}
        elif login:
            headers = {"Authorization": aiohttp.encode_basic_auth(*login)}
        async with hook.session() as session:
            answer = await session.run(self._endpoint, data=query, headers=headers, extra_options=options)
            return await _json(answer)

    async def _log_in(self) -> str:
        """A token for the connection's login, by Airflow's API; empty where there is none to be had.

        Source: https://airflow.apache.org/docs/apache-airflow/stable/security/api.html
        """
        hook, login, options = await self._connect("POST")
        if login is None:
            return ""
        asked = dict(zip(("username", "password"), login, strict=True))
        try:
            async with hook.session() as session:
                answer = await session.run("auth/token", json=asked, extra_options=options)
                given = await _json(answer)
        except aiohttp.ClientResponseError as error:
            if error.status >= 500:
                raise
            return ""
        except _NotJson:  # it answers, but is no Airflow
            return ""
        token = given.get("access_token") if isinstance(given, dict) else None
        return token if isinstance(token, str) and token.isprintable() else ""

    async def _connect(self, method: str) -> tuple[HttpAsyncHook, tuple[str, str] | None, dict[str, Any]]:
        """A hook, the connection's login beside it, and the options of a request.

        The hook would make of the login what aiohttp has deprecated, and passes over proxies of the environment.
        """
        logins: list[tuple[str, str]] = []

        def keep(login: str, password: str | None) -> None:
            logins.append((login, password or ""))

        hook = HttpAsyncHook(method=method, http_conn_id=self._conn_id, auth_type=keep)
        config = await hook.config()
        proxy = None if "proxy" in (config.extra_options or {}) else env_proxy(config.base_url)
        options = {**OPTIONS, "proxy": proxy} if proxy else OPTIONS
        return hook, next(iter(logins), None), options


class _Odd(Exception):
    """The answer is none of a collector."""


class _NotJson(_Odd):
    """It is something else."""


async def _json(answer: aiohttp.ClientResponse) -> Any:
    if 300 <= answer.status < 400:
        raise _Odd(
            f"HTTP {answer.status} for {answer.url.path} leads elsewhere, and the login does not go along; give the "
            "connection the address that it leads to"
        )
    try:
        return lenient_json.loads(await answer.read())
    except ValueError:
        kind = printable(answer.headers.get("Content-Type"))
        raise _NotJson(f"the answer is not JSON but {kind or 'unknown'}; check host and endpoint") from None
