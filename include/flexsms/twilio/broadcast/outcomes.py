"""Says what became of each text of a batch, counts it for all workers, and adds who was texted to the campaign."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from flexsms.core.broadcast import BroadcastResult, BroadcastText, Outcome
from flexsms.core.broadcast_tally import BroadcastTally
from flexsms.core.exceptions import FlexSmsError, OptedOut, PermanentError, TwilioError
from flexsms.core.opt_out import OPTED_OUT
from flexsms.core.outbound_message import count_segments
from flexsms.core.redaction import redact
from flexsms.twilio.broadcast.campaign import PACK_SIZE, Campaign
from flexsms.twilio.client.unexpected_errors import contained
from flexsms.twilio.sending.progress import SendResult

logger = logging.getLogger(__name__)

WHY = {
    Outcome.TOO_LATE: "There was no hour left in which it could leave.",
    Outcome.STOPPED: "Too many texts of the broadcast had failed (stop_over).",
}


class BatchOutcomes:
    """What one try of a batch has to say of its texts.

    :param run: whose results these are; what another run has sent was texted before
    :param now: the present, UTC
    :param tell: hears what became of each text, once
    :ivar learnt: how they have fared, since somebody last took it
    :ivar counts: what this try did: how many it ``sent``, how many had left before (``duplicate``), and the others
    """

    def __init__(
        self,
        campaign: Campaign,
        *,
        run: str,
        now: Callable[[], datetime],
        tell: Callable[[BroadcastResult], None],
    ) -> None:
        self._campaign = campaign
        self._run = run
        self._now = now
        self._tell_result = tell
        self._texted: list[str] = []
        self._pack_from = PACK_SIZE
        self.counts: Counter[str] = Counter()
        self.learnt = BroadcastTally()

    def take_learnt(self) -> BroadcastTally:
        """What is new since the last time."""
        learnt, self.learnt = self.learnt, BroadcastTally()
        return learnt

    def sent(self, text: BroadcastText, result: SendResult) -> None:
        """A text has left, now or before."""
        self.counts["duplicate" if result.duplicate else "sent"] += 1
        at = result.sent_at or self._now().isoformat()
        if result.duplicate and not str(result.sent_by).startswith(f"{self._run}/"):
            self._tell(text, Outcome.TEXTED_BEFORE, at=at)
        else:
            # Of an earlier try, too, whose failures come again as well.
            self.learnt = self.learnt.add(BroadcastTally(sent=1))
            self._tell(
                text,
                Outcome.SENT,
                at=at,
                segments=count_segments(text.body).count,
                channel_sid=result.channel_sid,
                message_sid=result.message_sid or "",
            )
        self._texted.append(self._campaign.digest_of(text.to_number))

    def failed(self, text: BroadcastText, error: FlexSmsError) -> None:
        """A text has not left, because of this."""
        code = (error.code or None) if isinstance(error, TwilioError) else None
        is_out = isinstance(error, OptedOut) or code == OPTED_OUT
        if isinstance(error, PermanentError) and not is_out:
            self.learnt = self.learnt.add(BroadcastTally(failed={str(code or 0): 1}))
        outcome = Outcome.SUPPRESSED if is_out else Outcome.FAILED
        self.counts[outcome] += 1
        told = {"code": code, "reason": redact(error.cause_first), "at": self._now().isoformat()}
        self._tell(text, outcome, **told, may_retry=not isinstance(error, PermanentError))

    def left_out(self, text: BroadcastText, outcome: Outcome) -> None:
        """A text was not tried."""
        self.counts[outcome] += 1
        self._tell(text, outcome, reason=WHY[outcome])

    async def _pack(self) -> None:
        texted, self._texted = self._texted, []
        try:
            with contained():
                await self._campaign.add(texted)
        except BaseException:
            self._texted += texted
            raise

    async def pack_some(self) -> None:
        """Add who was texted to the campaign, once it is worth a call."""
        if len(self._texted) >= self._pack_from:
            is_packed = await self.pack_rest() is None
            # Whoever came meanwhile is the beginning of the next pack, which is to be full and not more.
            self._pack_from = PACK_SIZE if is_packed else len(self._texted) + PACK_SIZE

    async def pack_rest(self) -> FlexSmsError | None:
        """Add who was texted to the campaign. No text fares otherwise because that fails: the ledger knows it, too.

        :return: why they could not be added; they are kept for the next time
        """
        try:
            await self._pack()
        except FlexSmsError as error:
            logger.warning("Who was texted could not be added to the campaign yet: %s", error)
            return error
        return None

    def _tell(self, text: BroadcastText, outcome: Outcome, **more: object) -> None:
        self._tell_result(BroadcastResult(text.row, text.to_number[-4:], outcome, **more))  # type: ignore[arg-type]
