"""The rows of a query, over an Airflow connection of any database that has a provider.

What these have in common comes with Airflow itself, apache-airflow-providers-common-sql.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib import import_module
from typing import Any

from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from flexsms.core.exceptions import InvalidInput, NoConnection, ServiceUnavailable
from flexsms.core.redaction import redact
from flexsms.recipients.rows import CheckColumns, Row

ROWS_AT_ONCE = 1000
# Classes that every driver has, https://peps.python.org/pep-0249/#exceptions
_ANY = {"DatabaseError", "InterfaceError"}
_PASSING = {"OperationalError", "InterfaceError"}
# What a driver says of these is about a query or a connection, and quotes no row.
_TOLD = {"ProgrammingError", "NotSupportedError", *_PASSING}


def query_rows(sql_conn_id: str, sql: str, check: CheckColumns) -> Iterator[Row]:
    """The rows that a query gives, so many at a time as they are needed. What it changes is never committed.

    :raises NoConnection: when there is no such connection
    :raises InvalidInput: when it is none of a database, or the query fails whenever it is tried
    :raises ServiceUnavailable: when the database does not answer, or no longer
    """
    hook = _hook(sql_conn_id)
    with _told("sql_conn_id", "the database cannot be reached", "check the Airflow connection"):
        connection = hook.get_conn()
    # The connection alone: MySQL's cursor, closed by itself, first takes all rows that are left.
    with closing(connection), _told("sql", "the query fails", "try it in a client of the database"):
        cursor = _cursor(connection)
        cursor.execute(hook.strip_sql_string(sql))
        # A cursor on the server, which has a name, may tell its columns with its first rows only.
        if cursor.description is None and not getattr(cursor, "name", None):
            raise InvalidInput("sql", "gives no rows", "write a SELECT")
        rows = cursor.fetchmany(ROWS_AT_ONCE)
        columns = [str(column[0]) for column in cursor.description]
        if twice := [name for name, count in Counter(columns).items() if count > 1]:
            raise InvalidInput("sql", f"gives the column {twice[0]!r} twice", "rename one of them with AS")
        check(columns)
        number = 0
        while rows:
            for row in rows:
                number += 1
                # Some connections say in their extra that rows are objects.
                values = row.values() if isinstance(row, Mapping) else row
                yield Row(number, dict(zip(columns, values, strict=True)))
            rows = cursor.fetchmany(ROWS_AT_ONCE)


def _hook(sql_conn_id: str) -> DbApiHook:
    try:
        connection = BaseHook.get_connection(sql_conn_id)
    except AirflowNotFoundException:
        raise NoConnection(
            f"Airflow has no connection {sql_conn_id!r}; create it, or give another sql_conn_id."
        ) from None
    try:
        hook = connection.get_hook()  # type: ignore[no-untyped-call]
    except AirflowException:
        problem = f"is of type {connection.conn_type!r}, for which no provider is installed"
        raise InvalidInput("sql_conn_id", problem, "install the provider of the database") from None
    if not isinstance(hook, DbApiHook):
        problem = f"is of type {connection.conn_type!r}, which is no database"
        raise InvalidInput("sql_conn_id", problem, "give a connection that queries can be sent to")
    return hook


def _cursor(connection: Any) -> Any:
    """A cursor whose rows stay in the database until they are fetched. By default, some drivers take all of them.

    Sources: https://www.psycopg.org/docs/usage.html#server-side-cursors,
    https://www.psycopg.org/psycopg3/docs/advanced/cursors.html#server-side-cursors,
    https://mysqlclient.readthedocs.io/user_guide.html#using-and-extending
    """
    match type(connection).__module__.partition(".")[0]:
        case "psycopg" | "psycopg2":
            return connection.cursor("flexsms_recipients")
        case "MySQLdb":
            return connection.cursor(import_module("MySQLdb.cursors").SSCursor)
    return connection.cursor()


@contextmanager
def _told(field: str, problem: str, remedy: str) -> Iterator[None]:
    """Say in a sentence what a driver says in an error of its own."""
    try:
        yield
    except Exception as error:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if not kinds & _ANY:
            raise
        problem = f"{problem} ({_words(error) if kinds & _TOLD else _code(error)})"
        if kinds & _PASSING:
            raise ServiceUnavailable(f"{field}: {problem}; {remedy}; trying again later.") from None
        raise InvalidInput(field, problem, remedy) from None


def _words(error: Exception) -> str:
    """The first line of what a driver says. Some have numbers beside it."""
    words = max((one for one in error.args if isinstance(one, str)), key=len, default=str(error))
    return redact(words.strip().partition("\n")[0])


def _code(error: Exception) -> str:
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or ""
    return f"{type(error).__name__} {code}".strip()
