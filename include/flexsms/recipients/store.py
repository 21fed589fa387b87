"""Files in a folder, in a bucket, or wherever else ``ObjectStoragePath`` reads and writes.

Libraries of stores have no errors in common but the operating system's. What goes wrong is told in a sentence here.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from airflow.sdk import BaseHook, ObjectStoragePath
from airflow.sdk.exceptions import AirflowNotFoundException

from flexsms.core.exceptions import FlexSmsError, InvalidInput, NoConnection, ServiceUnavailable
from flexsms.core.redaction import redact
from flexsms.core.validation import unknown_store

# What a store is asked for, or given, at a time. By default s3fs takes 50 MiB; S3 wants 5 MiB at least,
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
BLOCK = 8 * 2**20
CHUNK = 2**20
# Where the errors of a store's library come from that are none of the operating system's.
_LIBRARIES = frozenset({"aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google", "requests"})


def attached(field: str, url: str) -> ObjectStoragePath:
    """A path whose store is known. Airflow would find that out later, or fall back to a store without a login.

    :param field: what sentences begin with
    :raises InvalidInput: when no provider that is installed knows the store
    :raises NoConnection: when the store needs the Airflow connection of the URL, and there is none
    """
    try:
        path = ObjectStoragePath(url)
        _ = path.fs  # Airflow makes it at the first look
    except (ImportError, ValueError):  # Airflow's, for what no provider knows, or one without its extra
        raise InvalidInput(field, *unknown_store(url)) from None
    except AirflowNotFoundException:
        raise _no_connection(field, url) from None
    return path


def is_on_disk(path: ObjectStoragePath) -> bool:
    """Whether a path is one of this machine."""
    return path.protocol in ("", "file", "local")


def read(path: ObjectStoragePath) -> io.BufferedReader:
    """A file from its beginning, read on in blocks. Whoever closes it closes the store's file as well."""
    file = path.open("rb", block_size=BLOCK)  # type: ignore[no-untyped-call]
    return io.BufferedReader(cast("Any", file), CHUNK)


@contextmanager
def write(path: ObjectStoragePath) -> Iterator[io.BufferedWriter]:
    """A file in the place of an earlier one, to which a store is handed much at a time.

    On a disk, nobody but the user of the workers may read it: it may be the work list.
    """
    if is_on_disk(path):
        Path(path.path).touch(mode=0o600)
    with _new(path) as file, io.BufferedWriter(file, CHUNK) as buffered:
        yield buffered


def _new(path: ObjectStoragePath) -> Any:
    try:
        return path.open("wb", block_size=BLOCK)  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        # A store with folders. In a bucket there are none: a bucket that is not there would be made, with whatever
        # rights its account gives to a new one.
        path.fs.makedirs(path.parent.path, exist_ok=True)
        return path.open("wb", block_size=BLOCK)  # type: ignore[no-untyped-call]


@contextmanager
def told(field: str, path: ObjectStoragePath, *, writes: bool = False) -> Iterator[None]:
    """Say what goes wrong with a store in a sentence.

    :param field: what the sentence begins with
    :raises InvalidInput: when there is no such file or bucket, or it may not be used
    :raises NoConnection: when Airflow lacks the connection of the URL, and the store refuses who comes without
    :raises ServiceUnavailable: when the store does not answer as it should
    """
    try:
        yield
    except FlexSmsError:
        raise
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise InvalidInput(field, *_missing(path, writes=writes)) from None
    except Exception as error:
        if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] not in _LIBRARIES:
            raise
        if _lacks_connection(path):
            raise _no_connection(field, str(path)) from None
        if isinstance(error, PermissionError):
            raise InvalidInput(field, *_refused(path, writes=writes)) from None
        words = redact(str(error).partition("\n")[0])
        raise ServiceUnavailable(
            f"{field}: {_store_of(path)} does not do as it should ({type(error).__name__}: {words}); trying again "
            "later."
        ) from None


def _missing(path: ObjectStoragePath, *, writes: bool) -> tuple[str, str]:
    if writes:
        return f"{_store_of(path)} is not there", "make it, or check the URL"
    if is_on_disk(path):
        return "there is no such file", "check the path"
    return f"there is no such file or no such bucket, {_store_of(path)}", "check the path"


def _refused(path: ObjectStoragePath, *, writes: bool) -> tuple[str, str]:
    if is_on_disk(path):
        done, right = ("written", "write") if writes else ("read", "read")
        problem = f"may not be {done} by the user that runs the worker"
        return problem, f"give that user the right to {right} it"
    login = f"the login of the Airflow connection {path.conn_id!r}" if path.conn_id else "the worker's login"
    right = "list, get, put and delete" if writes else "list and get"
    elsewhere = "" if path.conn_id else ", or name an Airflow connection in the URL, before an @"
    return f"{_store_of(path)} refuses {login}", f"let it {right} objects{elsewhere}"


def _lacks_connection(path: ObjectStoragePath) -> bool:
    """Whether the URL names a connection that Airflow does not have. AWS' provider then takes the worker's login."""
    if not path.conn_id:
        return False
    try:
        BaseHook.get_connection(path.conn_id)
    except AirflowNotFoundException:
        return True
    return False


def _no_connection(field: str, url: str) -> NoConnection:
    name = url.partition("://")[2].partition("@")[0]
    return NoConnection(
        f"{field}: Airflow has no connection {name!r}; create it, or name another one in the URL."
    )


def _store_of(path: ObjectStoragePath) -> str:
    """A bucket without what names the file, which may be personal."""
    return "the disk" if is_on_disk(path) else f"{path.protocol}://{path.bucket}"
