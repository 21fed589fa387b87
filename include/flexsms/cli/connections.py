"""Airflow's connections, from a process of the command line."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

from flexsms.core.exceptions import FlexSmsError, InvalidInput, NoConnection, PermanentError


def add_conn_id(parser: argparse.ArgumentParser) -> None:
    """The option `--conn-id`."""
    parser.add_argument(
        "--conn-id",
        default="",
        help="the Airflow connection of type twilio (default: option twilio_conn_id of section flexsms)",
    )


def conn_id_of(args: argparse.Namespace) -> str:
    """The connection to work with. Imports Airflow, which is slow and logs: only :func:`in_airflow`."""
    from flexsms.options import conn_id_option

    return args.conn_id or conn_id_option()


@contextmanager
def in_airflow() -> Iterator[None]:
    """Let this process find connections in Airflow's database, too, as Airflow's own commands do.

    Otherwise Airflow 3.3 looks for them only in the environment and in secrets backends. What it logs meanwhile goes to
    standard error.
    """
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    with redirect_stdout(sys.stderr):
        yield


def told(error: FlexSmsError) -> str:
    """The sentence of an error, which calls the connection as the command line does.

    Of one that is missing it says as well where it was looked for.
    """
    if isinstance(error, InvalidInput) and error.field == "twilio_conn_id":
        return str(InvalidInput("--conn-id", error.problem, error.remedy))
    if not isinstance(error, NoConnection):
        return str(error)
    from airflow.configuration import AIRFLOW_HOME
    from airflow.sdk import conf
    from sqlalchemy import make_url

    database = make_url(conf.get("database", "sql_alchemy_conn")).render_as_string(hide_password=True)
    sentence = str(error).replace("another twilio_conn_id", "another --conn-id")
    return f"{sentence} This Airflow was asked: AIRFLOW_HOME {AIRFLOW_HOME}, database {database}."


def store_extra(conn_id: str, extra: Mapping[str, str]) -> None:
    """Merge fields into the extra of a connection in Airflow's database; everything else of it stays.

    Airflow 3.3 has three ways. Its REST API (``PATCH /api/v2/connections/{id}``) wants a running API server and a
    login; ``airflow connections import --overwrite`` replaces the whole connection, whose password would have to lie in
    a file, and forgets its team. So this does what Airflow's own commands do inside: it changes the one column through
    Airflow's model, which encrypts it.

    :raises PermanentError: when the connection that counts is not in the database
    """
    from airflow.models.connection import Connection  # noqa: TID251  # a command of an administrator, not a task
    from airflow.sdk import BaseHook
    from airflow.utils.session import create_session  # noqa: TID251
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    counts = BaseHook.get_connection(conn_id)
    try:
        with create_session() as session:
            stored = session.scalar(select(Connection).where(Connection.conn_id == conn_id).with_for_update())
            # The environment and secrets backends come first; what is written behind them would never be read.
            if stored is None or _told(stored) != _told(counts):
                raise PermanentError(
                    f"The connection '{conn_id}' does not come from Airflow's database, but from the environment or a "
                    "secrets backend; write the extra there."
                )
            stored.set_extra(json.dumps({**stored.extra_dejson, **extra}))
    except SQLAlchemyError as error:
        raise PermanentError(
            f"Airflow's database cannot be written ({type(error).__name__}); run this where the scheduler or the API "
            "server runs, or paste the extra."
        ) from error


def _told(connection: Any) -> tuple[Any, ...]:
    return connection.login, connection.password, connection.extra_dejson
