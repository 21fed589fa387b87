"""Lists of recipients in files: in a folder, in a bucket, or wherever else ``ObjectStoragePath`` reads."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any, BinaryIO, cast

from airflow.sdk import ObjectStoragePath

from flexsms.core.exceptions import InvalidInput
from flexsms.core.validation import unknown_store
from flexsms.recipients.csv_rows import csv_rows
from flexsms.recipients.json_rows import json_rows
from flexsms.recipients.rows import LONGEST_LINE, CheckColumns, Row

KINDS = (".csv", ".jsonl", ".ndjson")


def file_rows(url: str, check: CheckColumns) -> Iterator[Row]:
    """The rows of a CSV or a JSON Lines file, by its suffix; ``.gz`` behind that is unpacked.

    :param url: for ``ObjectStoragePath``
    :raises InvalidInput: when there is no such file, or it cannot be read on
    """
    kind = kind_of(url)
    with ExitStack() as opened:
        file = opened.enter_context(open_list(url))
        if url.lower().endswith(".gz"):
            file = cast("BinaryIO", opened.enter_context(gzip.GzipFile(fileobj=file)))
        lines = opened.enter_context(closing(io.BufferedReader(cast("Any", file), LONGEST_LINE)))
        try:
            yield from csv_rows(lines, check) if kind == ".csv" else json_rows(lines, check)
        except (gzip.BadGzipFile, zlib.error):
            remedy = "pack it again, or leave .gz out of its name"
            raise InvalidInput("recipients", "is named .gz, and is no gzip file", remedy) from None
        except EOFError:  # of gzip
            raise InvalidInput("recipients", "is cut off", "copy the whole file again") from None


def open_list(url: str) -> BinaryIO:
    """A file, from its beginning.

    :param url: for ``ObjectStoragePath``
    :raises InvalidInput: when there is none, or nobody knows its store
    """
    try:
        return cast("BinaryIO", ObjectStoragePath(url).open("rb"))  # type: ignore[no-untyped-call]
    except (FileNotFoundError, IsADirectoryError):
        raise InvalidInput("recipients", "there is no such file", "check the path") from None
    except PermissionError:
        problem = "may not be read by the user that runs the worker"
        raise InvalidInput("recipients", problem, "give that user the right to read it") from None
    except (ImportError, ValueError):  # Airflow's, for what no provider knows, or one without its extra
        raise InvalidInput("recipients", *unknown_store(url)) from None


def kind_of(name: str) -> str:
    """What a file holds, by its name.

    :raises InvalidInput: when nobody can tell
    """
    plain = name.lower().removesuffix(".gz")
    kind = next((kind for kind in KINDS if plain.endswith(kind)), "")
    if not kind:
        problem = "is neither a CSV nor a JSON Lines file by its name"
        raise InvalidInput("recipients", problem, "let it end with .csv or .jsonl, and .gz if it is packed")
    return kind
