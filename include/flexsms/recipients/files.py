"""Lists of recipients in files: in a folder, in a bucket, or wherever else ``ObjectStoragePath`` reads."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any, BinaryIO, cast

from airflow.sdk import ObjectStoragePath

from flexsms.core.exceptions import InvalidInput
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
        try:
            raw = opened.enter_context(ObjectStoragePath(url).open("rb"))  # type: ignore[no-untyped-call]
        except (FileNotFoundError, IsADirectoryError):
            raise InvalidInput("recipients", "there is no such file", "check the path") from None
        except (ImportError, ValueError):  # Airflow's, for what no provider knows, or one without its extra
            problem = f"is in a store that this Airflow does not know, {url.partition(':')[0]}"
            remedy = "install its provider, for s3:// apache-airflow-providers-amazon[s3fs]"
            raise InvalidInput("recipients", problem, remedy) from None
        file = cast("BinaryIO", raw)
        if url.lower().endswith(".gz"):
            file = cast("BinaryIO", opened.enter_context(gzip.GzipFile(fileobj=file)))
        lines = opened.enter_context(closing(io.BufferedReader(cast("Any", file), LONGEST_LINE)))
        yield from csv_rows(lines, check) if kind == ".csv" else json_rows(lines, check)


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
