"""The Airflow connection of type ``twilio``, and what is made from it.

Every DAG imports this module, so the SDK and what works with it are imported only where something is done.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from asgiref.sync import sync_to_async

from flexsms.core.exceptions import InvalidInput, MissingSetting, NoConnection
from flexsms.core.redaction import redact
from flexsms.telemetry import CallMetrics
from flexsms.twilio.client.fields import CONN_ID
from flexsms.twilio.client.settings import TwilioSettings, unknown_fields

if TYPE_CHECKING:
    from twilio.rest import Client

    from flexsms.twilio.account import Account

T = TypeVar("T")


class TwilioHook(BaseHook):
    """Works with one Twilio account.

    What flexsms does goes through :meth:`account`, which keeps limits, repeats what is harmless and has one tree of
    errors. For everything else there is the official SDK's client, :meth:`get_conn`.

    :param twilio_conn_id: the Airflow connection, of type ``twilio``
    """

    conn_name_attr = "twilio_conn_id"
    default_conn_name = "twilio_default"
    conn_type = "twilio"
    hook_name = "Twilio Flex"

    def __init__(self, twilio_conn_id: str = default_conn_name) -> None:
        super().__init__()
        if not isinstance(twilio_conn_id, str) or not re.fullmatch(CONN_ID, twilio_conn_id):
            raise InvalidInput(
                "twilio_conn_id",
                "is no name of an Airflow connection",
                "give letters, digits, '_', '-' and '.', like twilio_default",
            )
        self.twilio_conn_id = twilio_conn_id

    @property
    def settings(self) -> TwilioSettings:
        """The checked fields of the connection.

        :raises MissingSetting: when one is missing or wrong
        :raises NoConnection: when there is no such connection
        """
        with self._named():
            connection = self.get_connection(self.twilio_conn_id)
            return _settings(connection, connection.extra_dejson)

    async def asettings(self) -> TwilioSettings:
        """:attr:`settings`, for code in an event loop."""
        with self._named():
            connection = await self.aget_connection(self.twilio_conn_id)
            if hasattr(connection, "aextra_dejson"):
                return _settings(connection, await connection.aextra_dejson())
            # Airflow 3.3.1 has only the property, which may wait for the supervisor: not in the event loop.
            return _settings(connection, await sync_to_async(getattr)(connection, "extra_dejson"))

    @asynccontextmanager
    async def account(self) -> AsyncIterator[Account]:
        """The account, connected for as long as the block lasts."""
        from flexsms.twilio.account import connect

        settings = await self.asettings()
        with self._named():
            async with connect(settings, observer=CallMetrics()) as account:
                yield account

    def run(self, work: Callable[[Account], Awaitable[T]]) -> T:
        """Do some work with the account from code without an event loop, and return its result."""
        from flexsms.twilio.account import connect

        settings = self.settings

        async def connected() -> T:
            async with connect(settings, observer=CallMetrics()) as account:
                return await work(account)

        with self._named():
            return asyncio.run(connected())

    def get_conn(self) -> Client:
        """The official SDK's client, for calls that flexsms knows nothing about.

        It has the connection's timeout and base_url and raises the SDK's own errors; it keeps no rate limits and
        repeats nothing.
        """
        from flexsms.twilio.client.sdk_client import plain_client

        return plain_client(self.settings)

    def misspelt(self) -> list[str]:
        """A sentence for each name in the connection's extra that is close to a field of flexsms, and none.

        :raises NoConnection: when there is no such connection
        """
        with self._named():
            extra = self.get_connection(self.twilio_conn_id).extra_dejson
        return [
            f"The extra has no field '{redact(name)}'; did you mean {field}?"
            for name, field in unknown_fields(extra).items()
            if field
        ]

    def test_connection(self) -> tuple[bool, str]:
        """Ask every product that is configured whether it answers, and name what is wrong with each."""
        from flexsms.twilio.connection_check import Product, ask_products, other_account

        wrong: list[str] = []

        async def ask(account: Account) -> tuple[list[Product], str]:
            products = await ask_products(account)
            return products, other_account(account, products)

        try:
            wrong = self.misspelt()
            products, other = self.run(ask)
        except Exception as error:  # whatever it is, the form shows it
            return False, " ".join([*wrong, str(error)])
        found = [product.name for product in products if not product.error]
        wrong += [f"{product.name}: {product.error}" for product in products if product.error]
        wrong += [f"Account: {other}."] if other else []
        if wrong:
            return False, " ".join(wrong)
        return True, f"Connected: {', '.join(found)} {'answer' if len(found) > 1 else 'answers'}."

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Say in errors about the connection which one it is."""
        try:
            yield
        except AirflowNotFoundException:
            raise NoConnection(
                f"Airflow has no connection '{redact(self.twilio_conn_id)}'; "
                "create it with type 'twilio', or give another twilio_conn_id."
            ) from None
        except MissingSetting as error:
            error.args = (f"{str(error).removesuffix('.')} (Airflow connection '{self.twilio_conn_id}').",)
            raise


def _settings(connection: Connection, extra: Mapping[str, Any]) -> TwilioSettings:
    # Airflow takes what is no JSON for an empty extra, and says so in its log only.
    if not isinstance(extra, Mapping) or not (extra or _is_object(connection.extra or "{}")):
        raise MissingSetting("extra", "is not a JSON object", "check its quotes, commas and braces")
    return TwilioSettings.from_connection(connection.login, connection.password, extra)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
