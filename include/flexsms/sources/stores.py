"""What an inbox is kept in: a local folder, or an object store."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

# Where a local folder keeps what is not whole yet.
PARTIAL = "partial"
# The umask takes from these what it takes, and nothing is ever left for others: the posts name customers.
FILE_MODE, FOLDER_MODE = 0o660, 0o770


class Store(Protocol):
    """What an inbox needs of a file system. Keys are relative to the inbox; what is not there is no error."""

    def write(self, key: str, body: bytes) -> None:
        """Keep a file, whole and durable."""

    def note(self, key: str, text: str) -> None:
        """Keep a file that may be gone, or be torn, after a loss of power."""

    def read(self, key: str) -> bytes | None:
        """The content of a file."""

    def has(self, key: str) -> bool:
        """Whether there is such a file."""

    def files(self, folder: str) -> list[str]:
        """The names of the files in a folder; what else is in it is none of ours."""

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in a folder."""

    def move(self, key: str, target: str) -> None:
        """Give a file another key."""

    def remove(self, *keys: str) -> None:
        """Remove files."""

    def remove_folder(self, folder: str) -> None:
        """Remove a folder and what is in it."""


class Folder:
    """A local folder. fsspec's own knows neither fsync nor an atomic name, so this is the operating system's."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def write(self, key: str, body: bytes) -> None:
        target = self._root / key
        # What a killed writer left behind must not be in the way of the next one.
        partial = self._root / PARTIAL / f"{target.name}-{secrets.token_hex(4)}"
        self._make(partial.parent)
        self._make(target.parent)
        with os.fdopen(_create(partial, os.O_EXCL), "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        _sync_folder(target.parent)

    def note(self, key: str, text: str) -> None:
        target = self._root / key
        self._make(target.parent)
        with os.fdopen(_create(target, os.O_TRUNC), "w") as file:
            file.write(text)

    def read(self, key: str) -> bytes | None:
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError:
            return None

    def has(self, key: str) -> bool:
        return (self._root / key).is_file()

    def files(self, folder: str) -> list[str]:
        return [entry.name for entry in self._entries(folder) if not _is_folder(entry)]

    def folders(self, folder: str) -> list[str]:
        return [entry.name for entry in self._entries(folder) if _is_folder(entry)]

    def move(self, key: str, target: str) -> None:
        self._make((self._root / target).parent)
        with suppress(FileNotFoundError):
            (self._root / key).replace(self._root / target)

    def remove(self, *keys: str) -> None:
        for key in keys:
            (self._root / key).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        with suppress(FileNotFoundError):
            shutil.rmtree(self._root / folder)

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._root / folder) as entries:
                return list(entries)
        except FileNotFoundError:
            return []

    def _make(self, folder: Path) -> None:
        """Make a folder that outlives a loss of power, with all above it."""
        if not folder.is_dir():
            self._make(folder.parent)
            folder.mkdir(FOLDER_MODE, exist_ok=True)
            _sync_folder(folder.parent)


class Bucket:
    """An object store, where an object is there whole or not at all, and durable once the store has said so."""

    def __init__(self, fs: Any, root: str) -> None:
        self._fs = fs
        self._root = root

    def write(self, key: str, body: bytes) -> None:
        self._fs.pipe_file(f"{self._root}/{key}", body)

    def note(self, key: str, text: str) -> None:
        self.write(key, text.encode())

    def read(self, key: str) -> bytes | None:
        try:
            body: bytes = self._fs.cat_file(f"{self._root}/{key}")
        except FileNotFoundError:
            return None
        return body

    def has(self, key: str) -> bool:
        self._fs.invalidate_cache()  # others write too, and some file systems remember listings for ever
        return bool(self._fs.isfile(f"{self._root}/{key}"))

    def files(self, folder: str) -> list[str]:
        return self._list(folder, folders=False)

    def folders(self, folder: str) -> list[str]:
        return self._list(folder, folders=True)

    def move(self, key: str, target: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.cp_file(f"{self._root}/{key}", f"{self._root}/{target}")
            self._fs.rm_file(f"{self._root}/{key}")

    def remove(self, *keys: str) -> None:
        paths = [f"{self._root}/{key}" for key in keys]
        try:
            # A list of them at once: a thousand to a request, where the store can do that.
            self._fs.rm(paths)
        except FileNotFoundError:
            for path in paths:
                with suppress(FileNotFoundError):
                    self._fs.rm_file(path)

    def remove_folder(self, folder: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm(f"{self._root}/{folder}", recursive=True)

    def _list(self, folder: str, *, folders: bool) -> list[str]:
        self._fs.invalidate_cache()
        try:
            found = self._fs.ls(f"{self._root}/{folder}", detail=True)
        except FileNotFoundError:
            return []
        return [
            one["name"].rstrip("/").rpartition("/")[2]
            for one in found
            if (one["type"] == "directory") is folders
        ]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # A link that leads nowhere, or round in circles, has to be no obstacle to the others.
    return entry.is_dir(follow_symlinks=False)


def _create(path: Path, flag: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | flag, FILE_MODE)


def _sync_folder(folder: Path) -> None:
    """Make names in a folder durable: an fsync of the file does not include them."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
