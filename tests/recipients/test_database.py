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

from flexsms.core.exceptions import InvalidInput, NoConnection
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
