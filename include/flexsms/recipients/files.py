"""Lists of recipients in files: in a folder, in a bucket, or wherever else ``ObjectStoragePath`` reads."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any, cast

from flexsms.core.exceptions import InvalidInput
from flexsms.recipients.csv_rows import csv_rows
from flexsms.recipients.json_rows import json_rows
from flexsms.recipients.rows import LONGEST_LINE, CheckColumns, Row
from flexsms.recipients.store import attached, read, told

KINDS = (".csv", ".jsonl", ".ndjson")
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")


def file_rows(url: str, check: CheckColumns) -> Iterator[Row]:
    """The rows of a CSV or a JSON Lines file, by its suffix; ``.gz`` behind that is unpacked.

    :param url: for ``ObjectStoragePath``
    :raises InvalidInput: when there is no such file, or it cannot be read on
    :raises ServiceUnavailable: when its store does not answer
    """
    kind = kind_of(url)
    with ExitStack() as opened:
        lines = opened.enter_context(open_list(url))
        if url.lower().endswith(".gz"):
            unpacked = opened.enter_context(gzip.GzipFile(fileobj=lines))
            lines = opened.enter_context(io.BufferedReader(cast("Any", unpacked), LONGEST_LINE))
        try:
            yield from csv_rows(lines, check) if kind == ".csv" else json_rows(lines, check)
        except (gzip.BadGzipFile, zlib.error):
            remedy = "pack it again, or leave .gz out of its name"
            raise InvalidInput("recipients", "is named .gz, and is no gzip file", remedy) from None
        except EOFError:  # of gzip
            raise InvalidInput("recipients", "is cut off", "copy the whole file again") from None


@contextmanager
def open_list(url: str) -> Iterator[io.BufferedReader]:
    """A file, from its beginning.

    :param url: for ``ObjectStoragePath``
    :raises InvalidInput: when there is none, nobody knows its store, or it is packed and its name does not say so
    :raises ServiceUnavailable: when its store does not answer
    """
    path = attached("recipients", url)
    with told("recipients", path), closing(read(path)) as file:
        begin = file.peek(4)
        if begin.startswith(b"PK\x03\x04"):
            problem = "is a spreadsheet or a zip archive, whatever its name says"
            raise InvalidInput("recipients", problem, "save it as CSV in UTF-8, or unpack it")
        if begin.startswith(b"\x1f\x8b") and not url.lower().endswith(".gz"):
            raise InvalidInput("recipients", "is a gzip file", "let its name end with .gz")
        yield file


def kind_of(name: str) -> str:
    """What a file holds, by its name.

    :raises InvalidInput: when nobody can tell
    """
    plain = name.lower().removesuffix(".gz")
    kind = next((kind for kind in KINDS if plain.endswith(kind)), "")
    if kind:
        return kind
    if plain.endswith(SPREADSHEETS):
        raise InvalidInput("recipients", "is a spreadsheet", "save it there as CSV in UTF-8")
    if plain.endswith(".zip"):
        raise InvalidInput("recipients", "is a zip archive", "unpack it, or pack the file with gzip")
    if plain.endswith("/"):
        raise InvalidInput("recipients", "is a folder", "give one file that is in it")
    problem = "is neither a CSV nor a JSON Lines file by its name"
    raise InvalidInput("recipients", problem, "let it end with .csv or .jsonl, and .gz if it is packed")
