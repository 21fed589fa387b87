"""Which idempotency keys were used: written down before a text leaves, and read before it could leave again.

Every key is one item of a Sync map, and its creation is the claim: of two tasks with the same key exactly one
succeeds. The item then goes ``claimed -> posting -> sent``; it holds SIDs and digests, no number and no text.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import (
    AlreadyExists,
    FlexSmsError,
    InvalidInput,
    NotFound,
    RevisionMismatch,
    SendInProgress,
)
from flexsms.core.outbound_message import OutboundMessage
from flexsms.core.task_events import to_ms
from flexsms.twilio.sync.map import MapItem, SyncMap

if TYPE_CHECKING:
    from twilio.rest import Client

MAP_PREFIX = "flexsms.sends."
TAKE_ATTEMPTS = 10


class Stage(StrEnum):
    """How far a send has come."""

    CLAIMED = "claimed"
    POSTING = "posting"
    SENT = "sent"


@dataclass(frozen=True, slots=True)
class Claim:
    """A key in our hands (or, when ``stage`` is ``sent``, one that is used up).

    :param digest: that of the key; it marks the text itself
    :param nonce: tells our own writes from those of a task that took over
    :param claimed_at: when the key was first taken, by Twilio's clock
    :param written_at: when the claim was last written down, by Twilio's clock
    :param resumed: somebody, mostly an earlier try of the same task, had the key before
    :param held_until_ms: until then an earlier try may still be at work
    :param opened: a conversation whose interaction is being set up, so that the next try knows what to wait for
    :param result: from ``posting`` on, what the send will leave in XCom; without the text's SID until it is sent
    """

    digest: str
    owner: str
    nonce: str
    fingerprint: str
    stage: Stage
    lease_until_ms: int
    claimed_at: datetime
    written_at: datetime
    revision: str
    resumed: bool = False
    held_until_ms: int = 0
    opened: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The item's data."""
        return {
            "v": 1,
            "owner": self.owner,
            "nonce": self.nonce,
            "fingerprint": self.fingerprint,
            "stage": str(self.stage),
            "lease_until_ms": self.lease_until_ms,
            "opened": dict(self.opened) if self.opened else None,
            "result": dict(self.result) if self.result else None,
        }


class SendLedger:
    """Claims on idempotency keys.

    :param secret: what every worker knows and Sync does not, for the digests of texts
    :param now: the present, an aware datetime
    :param lease: how long a task may hold a key without a sign of life
    :param grace: before its end, how long nothing may leave any more
    """

    def __init__(
        self,
        client: Client,
        service_sid: str,
        *,
        secret: str,
        now: Callable[[], datetime],
        lease: timedelta,
        grace: timedelta,
    ) -> None:
        self._client = client
        self._service_sid = service_sid
        self._secret = secret
        self._now = now
        self._lease = lease
        self._grace = grace

    async def take(
        self, key: str, message: OutboundMessage, *, owner: str, whatever_text: bool = False
    ) -> Claim:
        """Claim a key, or find out how far an earlier task came with it.

        Until a text may have left under the key, another one may take its place: somebody has put it right.

        :param key: the idempotency key; only its digest leaves this process
        :param message: the text, of which only a digest leaves this process, too
        :param owner: the task instance, the same for all its tries, so that a retry need not wait for the lease
        :param whatever_text: the key is used up by any text
        :raises SendInProgress: when another task holds the key
        :raises InvalidInput: when the key was used for another text
        """
        digest = _digest(key)
        fingerprint = message.fingerprint(self._secret)
        for _ in range(TAKE_ATTEMPTS):
            fresh = self._fresh(digest, fingerprint, owner)
            try:
                item = await self._map(digest).create(digest, fresh.to_json())
                at = item.created_at
                return replace(fresh, revision=item.revision, claimed_at=at, written_at=at)
            except AlreadyExists:
                held = _read(digest, await self._map(digest).fetch(digest))
            if held.nonce == fresh.nonce:
                return held  # our own claim, whose answer was lost
            is_same = message.is_text_of(held.fingerprint, self._secret)
            if not (is_same or whatever_text or held.stage is Stage.CLAIMED):
                raise InvalidInput(
                    "idempotency_key",
                    f"was already used for another text, by {held.owner} at {held.written_at.isoformat()}",
                    "choose a new key for a new text",
                )
            if held.stage is Stage.SENT:
                return held
            if held.owner != owner and held.lease_until_ms > self._now_ms():
                raise SendInProgress(
                    f"idempotency_key: {held.owner} is sending with this key; trying again once it is through."
                )
            try:
                ours = replace(held, owner=owner, nonce=fresh.nonce, fingerprint=fingerprint, resumed=True)
                if not is_same:
                    ours = replace(ours, opened=None)
                return await self.advance(replace(ours, held_until_ms=held.lease_until_ms))
            except SendInProgress:
                continue
        raise SendInProgress("idempotency_key: several tasks are sending with this key; trying again later.")

    async def find(self, key: str) -> Claim | None:
        """How far a send has come with a key, None when nobody has taken it; takes nothing."""
        digest = _digest(key)
        try:
            return _read(digest, await self._map(digest).fetch(digest))
        except NotFound:
            return None

    async def knows(self, key: str, message: OutboundMessage) -> bool:
        """Whether a key was taken for this text, as far as anybody can tell."""
        held = await self.find(key)
        return held is not None and message.is_text_of(held.fingerprint, self._secret)

    def left_s(self, claim: Claim) -> float:
        """Seconds for which something may still leave under a claim."""
        return claim.lease_until_ms / 1000 - self._now().timestamp() - self._grace.total_seconds()

    def posted_until(self, claim: Claim) -> datetime:
        """Until when whoever had a claim before may have posted its text.

        That is a lease behind the write that said so, which is a lease at most behind the one whose time it has.
        """
        began = (claim.result or {}).get("sent_at")
        # Earlier versions did not keep when they posted.
        return datetime.fromisoformat(began) + 2 * self._lease if began else claim.written_at

    def refuse_if_late(self, claim: Claim) -> None:
        """Do nothing, if something may leave now.

        :raises SendInProgress: when another task may have the key by now
        """
        if self.left_s(claim) < 0:
            raise SendInProgress(
                "This try took too long, so that another one may be at work by now; trying again later."
            )

    async def advance(self, claim: Claim) -> Claim:
        """Write the claim down with a renewed lease.

        :raises SendInProgress: when another task took the key over in the meantime
        """
        return await self._write(
            replace(claim, lease_until_ms=self._now_ms() + round(self._lease.total_seconds() * 1000))
        )

    async def give_back(self, claim: Claim) -> None:
        """Write the claim down, and let the next task take the key at once; where that fails, its lease runs out."""
        with suppress(FlexSmsError):
            await self._write(replace(claim, lease_until_ms=0))

    async def give_up(self, key: str, *, owner: str) -> None:
        """Give back what an earlier try of a task has kept of a key, if any; takes the same as :meth:`take`."""
        digest = _digest(key)
        with suppress(FlexSmsError):
            held = _read(digest, await self._map(digest).fetch(digest))
            if held.owner == owner and held.stage is not Stage.SENT and held.lease_until_ms > self._now_ms():
                await self.give_back(held)

    async def _write(self, claim: Claim) -> Claim:
        sends = self._map(claim.digest)
        try:
            item = await sends.update(claim.digest, claim.to_json(), revision=claim.revision)
        except RevisionMismatch:
            # Either a task took over, or this is our own write, repeated because its answer was lost.
            item = await sends.fetch(claim.digest)
            if item.data != claim.to_json():
                raise SendInProgress(
                    "idempotency_key: another task has taken this key over; it will send."
                ) from None
        return replace(claim, revision=item.revision, written_at=item.updated_at)

    def _fresh(self, digest: str, fingerprint: str, owner: str) -> Claim:
        now = self._now()
        return Claim(
            digest=digest,
            owner=owner,
            nonce=secrets.token_hex(8),
            fingerprint=fingerprint,
            stage=Stage.CLAIMED,
            lease_until_ms=to_ms("now", now + self._lease),
            claimed_at=now,
            written_at=now,
            revision="",
        )

    def _map(self, digest: str) -> SyncMap:
        # Sync takes 20 writes/s per map, so the keys are spread over 16 of them.
        return SyncMap(self._client, self._service_sid, MAP_PREFIX + digest[0])

    def _now_ms(self) -> int:
        return to_ms("now", self._now())


def _digest(key: str) -> str:
    """What Sync and the text itself show of a key."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _read(digest: str, item: MapItem) -> Claim:
    data = item.data
    return Claim(
        digest=digest,
        owner=data["owner"],
        nonce=data["nonce"],
        fingerprint=data["fingerprint"],
        stage=Stage(data["stage"]),
        lease_until_ms=data["lease_until_ms"],
        opened=data.get("opened"),
        result=data["result"],
        claimed_at=item.created_at,
        written_at=item.updated_at,
        revision=item.revision,
    )
