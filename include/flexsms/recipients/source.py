"""Which list a broadcast has: a file, a query, or what an upstream task has returned."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from flexsms.core.exceptions import InvalidInput
from flexsms.options import option
from flexsms.recipients.files import file_rows, kind_of
from flexsms.recipients.folder import below, beside
from flexsms.recipients.rows import CheckColumns, Row, given_rows, told_kind

BROADCAST_PATH = "Option [flexsms] broadcast_path"


@dataclass(frozen=True, slots=True)
class ListSource:
    """One of the three. Make it with :meth:`parse`.

    :param file: its URL
    :param given: objects
    """

    file: str = ""
    sql: str = ""
    sql_conn_id: str = ""
    given: Iterable[object] | None = None

    @classmethod
    def parse(
        cls, recipients: object, given: Iterable[object] | None, sql: str | None, sql_conn_id: str | None
    ) -> ListSource:
        """Find out which of them is meant.

        :param recipients: the URL of a file
        :raises InvalidInput: when it is none of them, or more than one
        """
        file = recipients.strip() if isinstance(recipients, str) and given is None else ""
        if sql and (file or given is not None):
            raise InvalidInput("recipients", "is given, and sql as well", "give one of them")
        if sql and not sql_conn_id:
            raise InvalidInput(
                "sql_conn_id", "is empty", "give the Airflow connection of the query's database"
            )
        if given is not None and (isinstance(given, Mapping) or not isinstance(given, Iterable)):
            problem = f"is {told_kind(given)}, not a list"
            raise InvalidInput("recipients", problem, "give a list with an object for each recipient")
        if not (file or sql or given is not None):
            remedy = "give the path of a CSV or JSON Lines file, or a query in sql"
            raise InvalidInput("recipients", "is empty", remedy)
        if file:
            _refuse_place("recipients", file)
        return cls(file, sql or "", sql_conn_id or "", given)

    def rows(self, check: CheckColumns) -> Iterator[Row]:
        """The rows, one at a time.

        :raises InvalidInput: when the list cannot be read
        """
        if self.given is not None:
            return given_rows(self.given, check)
        if self.sql:
            from flexsms.recipients.database import query_rows  # takes a while to import

            return query_rows(self.sql_conn_id, self.sql, check)
        return file_rows(self.file, check)

    @property
    def has_header(self) -> bool:
        """Whether a line with the names of the columns is above the first row."""
        return bool(self.file) and kind_of(self.file) == ".csv"

    def folder(self, campaign: str, check: Sequence[str]) -> str:
        """The URL of the folder that the files of a check are in.

        :param check: its DAG, run, task and, if it is mapped, which one it is
        :raises InvalidInput: when nobody has said where
        """
        if self.file:
            return beside(self.file, campaign, check)
        root = option("broadcast_path")
        if not root:
            remedy = "set it to a folder or a bucket where the files of broadcasts may be kept"
            raise InvalidInput(BROADCAST_PATH, "is empty", remedy)
        _refuse_place(BROADCAST_PATH, root)
        return below(root, campaign, check)


def _refuse_place(field: str, place: str) -> None:
    """Name a path that is another one on each machine, and a store that takes no files."""
    give = "give an absolute path or a URL"
    if re.match(r"[A-Za-z]:[\\/]", place):
        raise InvalidInput(field, "is a path of Windows, and every worker has to reach it", give)
    if place.startswith(("http://", "https://")):
        problem = "is on a web server, which does not take the files that a broadcast writes"
        raise InvalidInput(field, problem, "take a folder or a bucket")
    if "://" not in place and not place.startswith("/"):
        raise InvalidInput(field, "is a relative path, and every worker has to reach it", give)
