"""The rows of a query, over an Airflow connection of any database that has a provider.

What these have in common comes with Airflow itself, apache-airflow-providers-common-sql.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from typing import Any

from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from flexsms.core.exceptions import InvalidInput, NoConnection
from flexsms.recipients.rows import CheckColumns, Row

ROWS_AT_ONCE = 1000


def query_rows(sql_conn_id: str, sql: str, check: CheckColumns) -> Iterator[Row]:
    """The rows that a query gives, so many at a time as they are needed.

    :raises NoConnection: when there is no such connection
    :raises InvalidInput: when it is none of a database
    """
    number = 0
    with closing(_hook(sql_conn_id).get_conn()) as connection, closing(_cursor(connection)) as cursor:
        cursor.execute(sql)
        rows = cursor.fetchmany(ROWS_AT_ONCE)
        # Only now: a cursor on the server tells its columns with its first rows.
        columns = [str(column[0]) for column in cursor.description or ()]
        check(columns)
        while rows:
            for row in rows:
                number += 1
                yield Row(number, dict(zip(columns, row, strict=True)))
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
    https://mysqlclient.readthedocs.io/user_guide.html#using-and-extending
    """
    match type(connection).__module__.partition(".")[0]:
        case "psycopg" | "psycopg2":
            return connection.cursor("flexsms_recipients")
        case "MySQLdb" | "pymysql" as driver:
            return connection.cursor(import_module(f"{driver}.cursors").SSCursor)
    return connection.cursor()
