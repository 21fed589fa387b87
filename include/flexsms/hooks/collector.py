"""A collector of task events behind an Airflow connection of type ``http``."""

from __future__ import annotations

from typing import Any

import aiohttp
from airflow.providers.http.hooks.http import HttpAsyncHook
from airflow.sdk.exceptions import AirflowNotFoundException

from flexsms.core.errors import PermanentError, ServiceUnavailable
from flexsms.twilio.sources.protocol import scope_of

TIMEOUT = aiohttp.ClientTimeout(total=60)


class HttpCollector:
    """Asks a collector for its events, one page at a time.

    :param http_conn_id: the Airflow connection; login and password, or an ``Authorization`` header in its extra
    :param endpoint: path behind the connection's host
    """

    def __init__(self, http_conn_id: str, endpoint: str) -> None:
        self.scope = scope_of(http_conn_id, endpoint)
        self._conn_id = http_conn_id
        self._endpoint = endpoint

    async def fetch(self, after: str | None, limit: int) -> Any:
        """One page, parsed.

        :raises ServiceUnavailable: when there is no useful answer; asking again is harmless
        :raises PermanentError: when the collector refuses
        """
        where = f"Airflow connection '{self._conn_id}', endpoint {self._endpoint}"
        query = {"limit": str(limit), **({"after": after} if after else {})}
        try:
            async with HttpAsyncHook(method="GET", http_conn_id=self._conn_id).session() as session:
                answer = await session.run(self._endpoint, data=query, extra_options={"timeout": TIMEOUT})
                return await answer.json()
        except AirflowNotFoundException:
            raise PermanentError(
                f"Airflow has no connection '{self._conn_id}'; create it with type 'http', or name another in "
                "events_conn_id of the Twilio connection."
            ) from None
        except ValueError as error:
            raise PermanentError(f"{where}: the answer is not JSON; check host and endpoint.") from error
        except aiohttp.ContentTypeError as error:
            raise PermanentError(
                f"{where}: the answer is not JSON but {error.headers and error.headers.get('Content-Type')}; "
                "check host and endpoint."
            ) from error
        except aiohttp.ClientResponseError as error:
            if error.status >= 500 or error.status == 429:
                raise ServiceUnavailable(f"{where}: HTTP {error.status}; trying again later.") from error
            raise PermanentError(
                f"{where}: HTTP {error.status}; check host, endpoint and what this login may read."
            ) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServiceUnavailable(
                f"{where}: no answer ({type(error).__name__}); trying again later."
            ) from error
