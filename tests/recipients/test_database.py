"""A query as a list: rows come as they are needed, over any connection that has a database's hook."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Collection
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.sql.hooks.sql import DbApiHook
from airflow.sdk import BaseHook, Connection
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from flexsms.core.exceptions import FlexSmsError, InvalidInput, NoConnection, ServiceUnavailable
from flexsms.recipients.database import ROWS_AT_ONCE, _cursor, query_rows
from flexsms.recipients.rows import Row


def anything(_: Collection[str]) -> None:
    """Any columns will do."""


class Database(DbApiHook):
    """A hook as a provider has it, over a file of SQLite."""

    conn_name_attr = "sqlite_conn_id"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def get_conn(self) -> Any:
        return sqlite3.connect(self.path)

    def get_records(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("all rows at once")


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    hook = Database(tmp_path / "warehouse.db")
    monkeypatch.setattr(
        BaseHook, "get_connection", lambda conn_id: Connection(conn_id=conn_id, conn_type="sqlite")
    )
    monkeypatch.setattr(Connection, "get_hook", lambda *_, **__: hook)
    return hook


def test_rows_of_a_query(database: Database) -> None:
    rows = 2 * ROWS_AT_ONCE + 1
    with database.get_conn() as connection:
        connection.execute("CREATE TABLE visits (phone TEXT, name TEXT, n INTEGER)")
        connection.executemany(
            "INSERT INTO visits VALUES (?, ?, ?)", [("+1", "%s {x}", n) for n in range(rows)]
        )
    connection.close()
    seen: list[Collection[str]] = []
    sql = "SELECT phone AS to_number, name, n FROM visits WHERE name LIKE '%s%' ORDER BY n"
    found = list(query_rows("warehouse", sql, seen.append))
    assert seen == [["to_number", "name", "n"]]
    assert len(found) == rows
    assert found[-1] == Row(rows, {"to_number": "+1", "name": "%s {x}", "n": rows - 1})


def test_the_columns_of_an_empty_result_are_looked_at(database: Database) -> None:
    seen: list[Collection[str]] = []
    assert list(query_rows("warehouse", "SELECT 1 AS to_number WHERE 0", seen.append)) == []
    assert seen == [["to_number"]]


def test_a_connection_that_is_none_of_a_database_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> Any:
        raise AirflowNotFoundException

    monkeypatch.setattr(BaseHook, "get_connection", missing)
    with pytest.raises(NoConnection, match="Airflow has no connection 'warehouse'; create it"):
        next(query_rows("warehouse", "SELECT 1", anything))

    monkeypatch.setattr(
        BaseHook, "get_connection", lambda conn_id: Connection(conn_id=conn_id, conn_type="http")
    )
    monkeypatch.setattr(Connection, "get_hook", lambda *_, **__: BaseHook())
    with pytest.raises(InvalidInput, match="sql_conn_id: is of type 'http', which is no database; give"):
        next(query_rows("warehouse", "SELECT 1", anything))

    def unknown(*_: Any, **__: Any) -> Any:
        raise AirflowException('Unknown hook type "nosuch"')

    monkeypatch.setattr(Connection, "get_hook", unknown)
    with pytest.raises(
        InvalidInput, match="sql_conn_id: is of type 'http', for which no provider is installed"
    ):
        next(query_rows("warehouse", "SELECT 1", anything))


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("psycopg2.extensions", ("flexsms_recipients",)),
        ("psycopg", ("flexsms_recipients",)),
        ("MySQLdb.connections", ("on the server",)),
        ("sqlite3", ()),
    ],
)
def test_rows_stay_on_the_server_where_a_driver_would_take_all(
    module: str, expected: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    cursors: Any = ModuleType("MySQLdb.cursors")
    cursors.SSCursor = "on the server"
    monkeypatch.setitem(sys.modules, "MySQLdb", ModuleType("MySQLdb"))
    monkeypatch.setitem(sys.modules, "MySQLdb.cursors", cursors)
    asked: list[tuple[Any, ...]] = []
    kind = type("Connection", (SimpleNamespace,), {"__module__": module})
    _cursor(kind(cursor=lambda *kinds: asked.append(kinds)))
    assert asked == [expected]


def test_rows_that_are_objects_are_read_by_their_values(database: Database) -> None:
    def get_conn() -> sqlite3.Connection:
        connection = sqlite3.connect(database.path)
        connection.row_factory = lambda cursor, row: dict(
            zip((column[0] for column in cursor.description), row, strict=True)
        )
        return connection

    database.get_conn = get_conn  # type: ignore[method-assign]
    sql = "SELECT '+1' AS to_number, 'Hana' AS first_name;"
    assert list(query_rows("warehouse", sql, anything)) == [Row(1, {"to_number": "+1", "first_name": "Hana"})]


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        (
            "SELECT 1 AS to_number, 2 AS name, 3 AS name",
            "sql: gives the column 'name' twice; rename one of them with AS.",
        ),
        ("CREATE TABLE visits (phone TEXT)", "sql: gives no rows; write a SELECT."),
        (" ; ", "sql: gives no rows; write a SELECT."),
        ("SELECT 1; SELECT 2", "sql: the query fails (You can only execute one statement at a time.); try"),
    ],
)
def test_a_query_that_is_no_list_is_named(sql: str, sentence: str, database: Database) -> None:
    with pytest.raises(InvalidInput) as raised:
        next(query_rows("warehouse", sql, anything))
    assert sentence in str(raised.value)


def test_what_a_query_changes_is_not_committed(database: Database) -> None:
    with database.get_conn() as connection:
        connection.execute("CREATE TABLE visits (phone TEXT)")
    connection.close()
    sql = "INSERT INTO visits VALUES ('+1') RETURNING phone AS to_number"
    assert len(list(query_rows("warehouse", sql, anything))) == 1
    assert list(query_rows("warehouse", "SELECT phone FROM visits", anything)) == []


class DataError(sqlite3.DataError):
    """As psycopg has it."""

    sqlstate = "22003"


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (
            DataError("value +14155550171 of Hana"),
            InvalidInput,
            "sql: the query fails (DataError 22003); try it",
        ),
        (
            sqlite3.OperationalError(2013, "lost the connection to +14155550171\nand more", "HY000"),
            ServiceUnavailable,
            "sql: the query fails (lost the connection to …0171); try it in a client of the database; trying",
        ),
        (
            sqlite3.ProgrammingError("no column named nosuch"),
            InvalidInput,
            "sql: the query fails (no column named nosuch); try it in a client of the database.",
        ),
    ],
)
def test_a_query_that_fails_quotes_no_row(
    error: Exception, kind: type[FlexSmsError], sentence: str, database: Database
) -> None:
    closed: list[bool] = []

    class Failing:
        description = (("to_number",),)

        def execute(self, sql: str) -> None:
            """Nothing yet: a cursor on the server fails when rows are fetched."""
            assert sql == "SELECT 1"  # Oracle and Trino refuse a semicolon

        def fetchmany(self, _: int) -> Any:
            raise error

    database.get_conn = lambda: SimpleNamespace(cursor=Failing, close=lambda: closed.append(True))  # type: ignore[method-assign]
    with pytest.raises(kind) as raised:
        next(query_rows("warehouse", "SELECT 1;\n", anything))
    assert sentence in str(raised.value)
    assert "Hana" not in str(raised.value)
    assert raised.value.__suppress_context__
    assert closed == [True]


def test_a_database_that_cannot_be_reached_is_the_connection_s(database: Database) -> None:
    database.path = Path("/nowhere/warehouse.db")
    with pytest.raises(
        ServiceUnavailable, match=r"sql_conn_id: the database cannot be reached \(unable to open"
    ):
        next(query_rows("warehouse", "SELECT 1", anything))
