"""Everything that can go wrong, in one tree. The retry policy looks only at its two branches.

FlexSmsError
├── PermanentError              trying again changes nothing: the task fails at once
│   ├── InvalidInput            a field of the form, of the conf or of an event is wrong
│   │   └── UnreadableState     a Sync document of ours holds no channel state
│   ├── NoConnection            Airflow has no connection of this name
│   ├── MissingSetting          the Airflow connection lacks a field, or holds a wrong one
│   ├── TwilioRefused           Twilio answered 4xx
│   │   ├── NotAuthorized       401, 403, and the codes that mean trouble with the account or its login
│   │   ├── NotFound            the codes that mean it (flexsms.core.twilio_codes)
│   │   ├── ProductGone         410, or not even the service is there: nothing can be said of the things in it
│   │   └── AlreadyExists       the codes that mean it
│   ├── Unreachable             the way to Twilio is barred by a certificate or an HTTP proxy
│   ├── InteractionFailed       Flex could not set up the interaction of a conversation
│   ├── OptedOut                the recipient does not want texts
│   ├── InOtherService          a conversation is in another Conversations service than the connection names
│   ├── NotDelivered            a text left, and did not reach the handset
│   ├── UnknownPosition         a Kinesis shard has no record with the sequence number of the cursor
│   ├── ShardGone               a Kinesis shard is no longer there
│   └── UndecidedSend           a text may or may not have left, and no look-up can tell
└── RetryableError              trying again later may help
    ├── RateLimited             429: the request was not processed
    ├── RevisionMismatch        the codes that mean it: somebody else wrote first
    ├── ServiceUnavailable      no useful answer, or "wait": nothing was changed, or repeating is harmless
    ├── OutcomeUnknown          the answer to a request that must not be repeated was lost, or makes no sense
    ├── SendInProgress          another task holds the same idempotency key right now
    ├── ChannelInSetup          Flex is still setting up the interaction of a conversation
    ├── ChannelClosed           the conversation was closed before the text was in it
    ├── InUseUnknown            nobody can tell which channels are in use, so none may be retired
    ├── LeaseExpired            a try of a batch has not made sure for too long that it is the newest
    ├── TryReplaced             a newer try of the same task works on the batch
    ├── ChannelsFailed          a batch is through, and some of its channels failed
    ├── TextsUnsent             a batch of a broadcast has texts that have not left yet
    ├── OutsideHours            a text has not left within its recipient's hours
    ├── ExpiredIterator         an iterator of a Kinesis shard is over five minutes old
    └── Unexpected              a defect, or an answer of a shape that no check knows

Every message is one sentence for a person: which field or call, what is wrong, what to do.
"""

from __future__ import annotations

import traceback
from pathlib import PurePath

from flexsms.core.redaction import mask_number, redact


class FlexSmsError(Exception):
    """Base of all errors that flexsms raises."""

    @property
    def cause_first(self) -> str:
        """The sentence, with the cause and the remedy before anything that only an administrator can read."""
        return str(self)


class PermanentError(FlexSmsError):
    """Trying again changes nothing."""


class RetryableError(FlexSmsError):
    """Trying again later may help."""


class NoConnection(PermanentError):
    """Airflow has no connection of this name."""


class InvalidInput(PermanentError):
    """A value given by a person or by an event is wrong.

    :param field: the name of the parameter, as the trigger form shows it
    :param problem: what is wrong with it; a phone number in it is reduced to its last four digits
    :param remedy: what to do about it
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        end = "" if remedy.endswith("?") else "."
        super().__init__(f"{field}: {redact(problem)}; {remedy}{end}")
        self.field, self.problem, self.remedy = field, problem, remedy


class UnreadableState(InvalidInput):
    """A Sync document of ours holds no channel state."""


class MissingSetting(PermanentError):
    """A field of the Airflow connection is missing or wrong.

    :param field: the connection field
    :param problem: what is wrong with it; a phone number in it is reduced to its last four digits
    :param remedy: what to do about it
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"Connection field {field}: {redact(problem)}; {remedy}.")
        self.field = field


class UndecidedSend(PermanentError):
    """A text may or may not have left, and no look-up can tell: a person has to decide."""


class OptedOut(PermanentError):
    """The recipient has opted out, and gets no text until they opt in again.

    :param number: the recipient's, of which the last four digits are shown
    :param since: when they opted out, for a sentence
    :param why: how that became known, a phrase
    """

    def __init__(self, number: str, *, since: str, why: str) -> None:
        super().__init__(
            f"to_number: {mask_number(number)} has opted out since {since} ({why}); do not text this number until they "
            "send START, or you know that they want texts and run flexsms suppress lift."
        )


class InOtherService(PermanentError):
    """A conversation is in another Conversations service than the one that the connection names."""


class InteractionFailed(PermanentError):
    """Flex could not set up the interaction of a conversation; the text has not left."""


class NotDelivered(PermanentError):
    """A text left, and did not reach the handset; it is not sent again."""


class UnknownPosition(PermanentError):
    """A Kinesis shard has never had, or no longer has, a record with this sequence number."""


class ShardGone(PermanentError):
    """A Kinesis shard is no longer there: all its records are older than the stream's retention."""


class SendInProgress(RetryableError):
    """Another task is sending under the same idempotency key right now."""


class ChannelInSetup(RetryableError):
    """Flex is still setting up the interaction: sending goes on when its channel is active.

    :param interaction_sid: KD…
    :param interaction_channel_sid: UO…
    """

    def __init__(self, interaction_sid: str, interaction_channel_sid: str) -> None:
        super().__init__(
            f"Interaction channel {interaction_channel_sid} is not active yet; trying again later."
        )
        self.interaction_sid = interaction_sid
        self.interaction_channel_sid = interaction_channel_sid


class ChannelClosed(RetryableError):
    """The conversation was closed before the text was in it; the next try starts a fresh one."""


class InUseUnknown(RetryableError):
    """TaskRouter does not tell all open tasks, or not what they are about, so no channel may be taken for free."""


class LeaseExpired(RetryableError):
    """A try of a batch has not made sure for too long that it is the newest, so its request did not leave."""


class TryReplaced(RetryableError):
    """A newer try of the same task works on the batch, or the task was stopped: this one writes nothing more."""


class ChannelsFailed(RetryableError):
    """A batch of channels is through, and for some of them trying again may help."""


class TextsUnsent(RetryableError):
    """A batch of a broadcast has texts that have not left yet, and trying again may help."""


class OutsideHours(RetryableError):
    """A text has not left within its recipient's hours; it leaves in the next ones."""


class ExpiredIterator(RetryableError):
    """An iterator of a Kinesis shard is over five minutes old."""


class Unexpected(RetryableError):
    """Something failed in a way that nobody foresaw: a defect, or an answer of a shape that no check knows.

    It may be tried again, because all that must happen only once is written down before it is done.
    """

    @classmethod
    def of(cls, error: Exception) -> Unexpected:
        """Say where an error came from that is none of ours.

        Its own text is left out, because it may quote an answer with numbers and texts of customers.
        """
        frames = traceback.extract_tb(error.__traceback__)
        place = f" in {PurePath(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
        return cls(
            f"{type(error).__name__}{place}: an answer could not be read, or flexsms has a defect; if it comes again, "
            "please report it."
        )


class TwilioError(FlexSmsError):
    """What Twilio answered, or that it did not answer.

    :param message: one sentence, redacted
    :param where: the call, by which the sentence begins; empty if it does not
    :param status: HTTP status, 0 when no answer came
    :param code: Twilio's error code (https://www.twilio.com/docs/api/errors), else the HTTP status
    :param endpoint: method, host and path without identifiers
    :param detail: Twilio's own words, redacted
    :param retry_after: seconds Twilio asked to wait, when it did
    """

    def __init__(
        self,
        message: str,
        *,
        where: str = "",
        status: int = 0,
        code: int = 0,
        endpoint: str = "",
        detail: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.where = where
        self.status = status
        self.code = code
        self.endpoint = endpoint
        self.detail = detail
        self.retry_after = retry_after

    @property
    def cause(self) -> str:
        """The sentence without the call: the same for every call that fails for the same reason."""
        return str(self).removeprefix(f"{self.where}: ")

    @property
    def cause_first(self) -> str:
        """The sentence, with the call at its end."""
        return f"{self.cause.removesuffix('.')} ({self.where})." if self.where else str(self)


class TwilioRefused(TwilioError, PermanentError):
    """Twilio answered 4xx: the request itself is wrong."""


class NotAuthorized(TwilioRefused):
    """The credentials are wrong, or may not do this, or the account itself is in trouble."""


class Unreachable(TwilioError, PermanentError):
    """The way to Twilio is barred by what only a person can change: a certificate, an HTTP proxy. Nothing was sent."""


class NotFound(TwilioRefused):
    """The thing does not exist, or no longer."""


class ProductGone(TwilioRefused):
    """Twilio no longer serves the product, or not to this account: whether a thing in it is gone, nobody knows."""


class AlreadyExists(TwilioRefused):
    """A thing of that name exists already."""


class RateLimited(TwilioError, RetryableError):
    """Too many requests: this one was not processed, so repeating it is always safe."""


class RevisionMismatch(TwilioError, RetryableError):
    """Somebody else wrote first: read again, apply again."""


class ServiceUnavailable(TwilioError, RetryableError):
    """No useful answer, to a request that had no effect or may be repeated."""


class OutcomeUnknown(TwilioError, RetryableError):
    """The answer to a request that must not be repeated blindly was lost: look it up."""


# Programmable Chat for Flex has passed its end of life; private channels, which those of Flex are, can go on as
# conversations. https://www.twilio.com/docs/conversations/api/chat-channel-migration-resource
MIGRATE = (
    "if Twilio no longer serves Programmable Chat to the account, set stack of the connection to 'conversations' and "
    "migrate the channels that are left (POST https://chat.twilio.com/v3/Services/{IS}/Channels/{CH})"
)
