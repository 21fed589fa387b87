"""Where posts of Event Streams wait until they are read: a folder or a bucket, by its ``ObjectStoragePath``.

``<inbox>/new/<name>`` has arrived, ``done/<day>/<name>`` came on that day and is stored, ``rejected/<name>`` holds
something that cannot be read, with ``<name>.txt`` saying what. Names begin with the time of arrival, so they sort by
it, and end with the digest of the post. ``digests/<digest>`` says when a post arrived: one that comes again while it is
kept is not kept twice. Nothing here needs a lock: a post is written once, whole, and from then on only moved.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import get_fs, has_fs

from flexsms.core.event_source import reason_of
from flexsms.core.exceptions import MissingSetting, ServiceUnavailable
from flexsms.core.validation import unknown_store
from flexsms.sources.stores import PARTIAL, Bucket, Folder, Store
from flexsms.sources.threads import Threads
from flexsms.twilio.client import clock
from flexsms.twilio.client.connection_fields import DEFAULT_INBOX_KEEP_DAYS

logger = logging.getLogger(__name__)

T = TypeVar("T")

NEW, DONE, REJECTED, DIGESTS = "new", "done", "rejected", "digests"
_MOMENT = "%Y%m%dT%H%M%S.%fZ"
# Threads per inbox, so many for writers of posts and so many for all else: a store that hangs holds no more of them,
# and who reads does not keep Twilio's posts out.
AT_ONCE = 32
# Seconds that a store may take to answer, be it a long listing.
WITHIN_S = 60
# A post that took longer to be written was answered with 503. Cursors behind its name may have been handed out since,
# so it does not stand for the one that Twilio sends again.
WRITTEN_WITHIN = timedelta(seconds=5)
# What a killed receiver left half-written was never confirmed to Twilio. After so long nobody is writing it any more.
PARTIAL_KEEP = timedelta(days=1)


class ObjectStorageInbox:
    """An inbox at an ``ObjectStoragePath``: a local folder, S3, GCS, Azure, or whatever else fsspec knows.

    Every method waits in a thread of the inbox's own, never in the event loop, and raises what the store raises,
    :class:`flexsms.core.exceptions.MissingSetting` where Airflow has no provider for the store, or
    :class:`flexsms.core.exceptions.ServiceUnavailable` where the store does not answer in a minute.

    :param url: like ``file:///var/lib/flexsms/inbox`` or ``s3://aws_default@bucket/flexsms``
    :param keep_days: days that a post is kept after it has arrived, and in any case until it is read
    :param now: the present, an aware datetime
    """

    def __init__(
        self,
        url: str,
        *,
        keep_days: int = DEFAULT_INBOX_KEEP_DAYS,
        now: clock.Now = clock.utc_now,
    ) -> None:
        self.url = url
        self._keep = timedelta(days=keep_days)
        self._now = now
        self._writers, self._readers = (
            Threads(AT_ONCE, within_s=WITHIN_S, what="The store of the inbox") for _ in range(2)
        )
        self._lock = threading.Lock()
        self._arriving: set[str] = set()

    @property
    def takes_no_more(self) -> bool:
        """Whether the store has left so many posts unanswered that it is given no more."""
        return self._writers.is_stuck

    @cached_property
    def _store(self) -> Store:
        # Made in a thread: Airflow reads the connection that the URL may name.
        path = ObjectStoragePath(self.url)
        if path.protocol in ("file", "local"):
            return Folder(Path(path.path))
        try:
            # Not the path's own, unless it was attached: Airflow keeps that, and its credentials, for ever.
            fs = get_fs(path.protocol, path.conn_id) if has_fs(path.protocol) else path.fs
            return Bucket(fs, path.path.rstrip("/"))
        except (ImportError, ValueError):  # Airflow's, for what no provider knows, or one without its extra
            raise MissingSetting("inbox_path", *unknown_store(self.url)) from None

    async def put(self, body: bytes) -> str:
        """Keep a post, so that it survives a loss of power the moment this returns.

        One that is kept already is not kept again, be it read or not: a signature of Twilio's has no time, so who has
        seen one signed post could send it for ever.

        :return: its name
        :raises ServiceUnavailable: when the same post is being written right now
        """
        digest = hashlib.sha256(body).hexdigest()[:32]

        def put() -> str:
            with self._alone(digest):
                if known := self._name_of(digest):
                    return known
                arrived = self._now()
                name = f"{name_at(arrived)}-{digest}.json"
                self._store.write(f"{NEW}/{name}", body)
                if self._now() - arrived <= WRITTEN_WITHIN:
                    self._remember(digest, arrived)
                return name

        return await self._do(put, self._writers)

    async def probe(self) -> None:
        """Write something and remove it again, as proof that a post could be kept."""
        key = f"{PARTIAL}/{name_at(self._now())}-{secrets.token_hex(6)}.probe"

        def probe() -> None:
            self._store.write(key, b"")
            self._store.remove(key)

        await self._do(probe, self._writers)

    async def names(self) -> list[str]:
        """What has arrived and is not read, oldest first."""
        return await self._do(lambda: self._posts(NEW))

    async def kept(self, after: str, most: int | None = None) -> list[str]:
        """The keys of posts that have arrived after another, read or not, oldest first.

        :param after: the name of a post, or the beginning of one; ``""`` for everything
        :param most: only so many; no more days are listed than that takes
        """

        def list_names() -> list[str]:
            found: dict[str, str] = {}

            def add(folder: str) -> None:
                found.update({name: f"{folder}/{name}" for name in self._posts(folder) if name > after})

            # In the order of a post's way, so that none slips by while it is moved.
            add(NEW)
            for day in sorted(day for day in self._store.folders(DONE) if day >= after[:8]):
                add(f"{DONE}/{day}")
                if most is not None and sum(name[:8] <= day for name in found) >= most:
                    break
            add(REJECTED)
            return [found[name] for name in sorted(found)[:most]]

        return await self._do(list_names)

    async def read(self, name: str) -> bytes | None:
        """A post that is not read yet, None when somebody else was quicker."""
        return await self._do(lambda: self._store.read(f"{NEW}/{name}"))

    async def read_kept(self, key: str) -> bytes | None:
        """A post by its key, also when it was moved meanwhile; None when it is gone."""

        def read() -> bytes | None:
            name = key.rpartition("/")[2]
            body = self._store.read(key)
            for folder in (NEW, _day_of(name), REJECTED):
                if body is None:
                    body = self._store.read(f"{folder}/{name}")
            return body

        return await self._do(read)

    async def done(self, name: str) -> None:
        """A post is read, and all that was in it is stored."""
        await self._do(lambda: self._store.move(f"{NEW}/{name}", f"{_day_of(name)}/{name}"))

    async def reject(self, name: str, reason: str) -> None:
        """A post holds something that cannot be read: it is kept, with the reason beside it, until a person looks."""

        def move() -> None:
            self._store.write(f"{REJECTED}/{name}.txt", f"{reason}\n".encode())
            self._store.move(f"{NEW}/{name}", f"{REJECTED}/{name}")

        await self._do(move)

    async def tidy(self) -> None:
        """Remove what is read and came long ago, and what a killed receiver left half-written."""

        def tidy() -> None:
            came_before = f"{self._now() - self._keep:%Y%m%d}"
            for day in self._store.folders(DONE):
                if day < came_before:
                    posts = self._posts(f"{DONE}/{day}")
                    # First what leads to them: what is only remembered would be found by nobody any more.
                    self._store.remove(*(f"{DIGESTS}/{_digest_of(name)}" for name in posts))
                    self._store.remove_folder(f"{DONE}/{day}")
            written_before = name_at(self._now() - PARTIAL_KEEP)
            old = [name for name in self._store.files(PARTIAL) if name < written_before]
            self._store.remove(*(f"{PARTIAL}/{name}" for name in old))

        await self._do(tidy)

    def _posts(self, folder: str) -> list[str]:
        return sorted(name for name in self._store.files(folder) if name.endswith(".json"))

    @contextmanager
    def _alone(self, digest: str) -> Iterator[None]:
        """One thread at a time for the same post, also when nobody waits for that thread any more."""
        with self._lock:
            if digest in self._arriving:
                raise ServiceUnavailable("The same post is being written right now; trying again later.")
            self._arriving.add(digest)
        try:
            yield
        finally:
            self._arriving.discard(digest)

    def _name_of(self, digest: str) -> str | None:
        """The name of a post that is kept, by its digest."""
        noted = self._store.read(f"{DIGESTS}/{digest}")
        if noted is None:
            return None
        name = f"{noted.decode(errors='replace')}-{digest}.json"
        try:
            moment_of(name)
        except ValueError:  # torn by a loss of power
            return None
        # In the order of a post's way, so that it does not slip by while it is moved.
        found = any(self._store.has(f"{folder}/{name}") for folder in (NEW, _day_of(name), REJECTED))
        return name if found else None

    def _remember(self, digest: str, arrived: datetime) -> None:
        try:
            self._store.note(f"{DIGESTS}/{digest}", name_at(arrived))
        except Exception as error:  # whatever the store raises: the post is kept
            logger.warning(
                "A post is kept, and would be kept once more if it came again: %s", reason_of(error)
            )

    async def _do(self, work: Callable[[], T], threads: Threads | None = None) -> T:
        def attempt() -> T:
            try:
                return work()
            except Exception:
                # Its credentials may be over: the next one asks the Airflow connection again.
                vars(self).pop("_store", None)
                raise

        return await (threads or self._readers).run(attempt)


def name_at(moment: datetime) -> str:
    """How the names of posts begin that arrive at a moment."""
    return f"{moment.astimezone(UTC):{_MOMENT}}"


def moment_of(name: str) -> datetime:
    """When a post arrived, by its name."""
    return datetime.strptime(name.partition("-")[0], _MOMENT).replace(tzinfo=UTC)


def _day_of(name: str) -> str:
    # Of its arrival, so that whoever pulls in the order of arrival needs to list few days.
    return f"{DONE}/{name[:8]}"


def _digest_of(name: str) -> str:
    return name.rpartition("-")[2].removesuffix(".json")
