"""How far a send has come, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from flexsms.core.exceptions import FlexSmsError, PermanentError, TwilioError, UndecidedSend
from flexsms.twilio.sending.idempotency import Claim, Stage
from flexsms.twilio.stacks.protocol import OpenConversation

# What the next try of a send finds out anew.
UNKEPT = ("created_at", "session_updated_at")


@dataclass(frozen=True, slots=True)
class SendResult:
    """What a send leaves in XCom: SIDs and flags, no number and no text.

    :param reused_channel: the conversation was there before the key was taken
    :param duplicate: nothing was sent, because the key had already been used for this text
    :param sent_by: of a duplicate: the task instance that sent the text
    :param sent_at: when the text left, or a few moments before, by Twilio's clock, ISO 8601; also where an earlier try
        sent it and died. Where the agent writes first: of a duplicate only, when the task was opened
    """

    channel_sid: str
    task_sid: str | None
    session_sid: str | None
    interaction_sid: str | None
    message_sid: str | None
    reused_channel: bool
    duplicate: bool = False
    sent_by: str | None = None
    sent_at: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The XCom value."""
        return asdict(self)


@dataclass(slots=True)
class Progress:
    """How far a send has come, also when it fails.

    :param is_first_try: nobody has been at work on this send before, so a channel that it makes is brand-new
    :param refusal: why nobody may wait for the interaction any more
    :param refuse_late: raises when the text may not leave any more
    :param wait_for_setup: waits while Flex sets up the interaction; None: nobody waits here
    :param has_waited: since the recipient's opt-out was looked at, Flex has set up the interaction
    :param in_doubt: a request for the text went out, and nobody knows what became of it
    :param text_sid: the text has left as this message
    :param session_sid: the session that the channel's state knows
    :param opened: the conversation of the latest attempt
    :param kept: a channel that this send has saved from being retired, for the agent's task on it
    """

    claim: Claim
    is_first_try: bool
    refusal: PermanentError | None = None
    refuse_late: Callable[[], None] = lambda: None
    wait_for_setup: Callable[[], Awaitable[None]] | None = None
    has_waited: bool = False
    in_doubt: bool = False
    text_sid: str | None = None
    session_sid: str | None = None
    opened: OpenConversation | None = None
    kept: OpenConversation | None = None

    def nothing_left(self) -> None:
        """A later try must not look for the text in this channel."""
        self.in_doubt, self.text_sid = False, None
        result = {**(self.claim.result or {}), "message_sid": None} if self.kept else None
        self.claim = replace(self.claim, stage=Stage.CLAIMED, result=result)

    def about_to_post(self) -> Claim:
        """What to write down before the text leaves.

        It has the time: a later try that finds the text cannot tell any more when it left.
        """
        result = replace(result_of(self.claim), sent_at=self.claim.written_at.isoformat())
        return replace(self.claim, stage=Stage.POSTING, result=result.to_json())

    def left_open(self) -> OpenConversation | None:
        """The conversation that an earlier try has opened, as far as the claim tells."""
        if self.claim.opened:
            return OpenConversation(created_at=None, **self.claim.opened)
        if not self.claim.result:
            return None
        result = result_of(self.claim)
        return OpenConversation(
            result.channel_sid,
            created_at=None,
            is_new=not result.reused_channel,
            task_sid=result.task_sid,
            session_sid=result.session_sid,
            interaction_sid=result.interaction_sid,
        )

    def take_kept(self) -> OpenConversation | None:
        """The channel to post in once more, once."""
        kept, self.kept = self.kept, None
        return kept

    def tell(self, error: FlexSmsError) -> None:
        """Add to an error whether a text has left."""
        told = str(error)
        if self.text_sid is not None:
            told = f"The text has left as {self.text_sid}; {told}"
        elif isinstance(error, UndecidedSend):
            return
        elif self.in_doubt:
            told = f"Whether the text has left is not known yet, and the next try looks for it; {told}"
        elif "nothing was sent" not in told.lower():
            told = f"{told} Nothing was sent."
        error.args = (told, *error.args[1:])


def tell_of_nothing(error: FlexSmsError) -> None:
    """Add to an error of Twilio's that this try did not reach the ledger, which knows of earlier tries."""
    if not isinstance(error, TwilioError):
        return
    told = f"This try has not come to its text; if that of an earlier try has left, the next one finds it. {error}"
    error.args = (told, *error.args[1:])


def promise_of(conversation: OpenConversation, claim: Claim) -> SendResult:
    """What the send will leave, without the text's SID."""
    created_at, is_new = conversation.created_at, conversation.is_new
    if is_new is None:
        # Both moments are Twilio's, so no other clock is involved.
        is_new = created_at is None or created_at >= claim.claimed_at
    return SendResult(
        channel_sid=conversation.channel_sid,
        task_sid=conversation.task_sid,
        session_sid=conversation.session_sid,
        interaction_sid=conversation.interaction_sid,
        message_sid=None,
        reused_channel=not is_new,
    )


def duplicate_of(claim: Claim) -> SendResult:
    """What is left where the text was sent before."""
    result = result_of(claim)
    # Earlier versions did not keep when they posted.
    sent_at = result.sent_at or claim.written_at.isoformat()
    return replace(result, duplicate=True, sent_by=claim.owner, sent_at=sent_at)


def result_of(claim: Claim) -> SendResult:
    """What a claim says of it."""
    return SendResult(**(claim.result or {}))


def note_of(conversation: OpenConversation) -> dict[str, Any]:
    """What the ledger keeps of a conversation that is being set up."""
    return {name: value for name, value in asdict(conversation).items() if name not in UNKEPT}
