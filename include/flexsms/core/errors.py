"""Everything that can go wrong, in one tree. The retry policy looks only at its two branches.

FlexSmsError
├── PermanentError              trying again changes nothing: the task fails at once
│   ├── InvalidInput            a field of the form, of the conf or of an event is wrong
│   │   └── UnreadableState     a Sync document of ours holds no channel state
│   ├── MissingSetting          the Airflow connection lacks a field, or holds a wrong one
│   ├── TwilioRefused           Twilio answered 4xx
│   │   ├── NotAuthorized       401, 403
│   │   ├── NotFound            404 and the codes that mean it
│   │   ├── ProductGone         410, or not even the service is there: nothing can be said of the things in it
│   │   └── AlreadyExists       409 and the codes that mean it
│   ├── InteractionFailed       Flex could not set up the interaction of a conversation
│   ├── NotDelivered            a text left, and did not reach the handset
│   └── UndecidedSend           a text may or may not have left, and no look-up can tell
└── RetryableError              trying again later may help
    ├── RateLimited             429: the request was not processed
    ├── RevisionMismatch        412: somebody else wrote first
    ├── ServiceUnavailable      5xx, or no connection: nothing was changed, or repeating is harmless
    ├── OutcomeUnknown          the answer to a request that must not be repeated was lost
    ├── SendInProgress          another task holds the same idempotency key right now
    ├── ChannelInSetup          Flex is still setting up the interaction of a conversation
    ├── ChannelClosed           the conversation was closed before the text was in it
    ├── LeaseExpired            a try of a batch has not made sure for too long that it is the newest
    ├── TryReplaced             a newer try of the same task works on the batch
    └── ChannelsFailed          a batch is through, and some of its channels failed

Every message is one sentence for a person: which field or call, what is wrong, what to do.
"""

from __future__ import annotations


class FlexSmsError(Exception):
    """Base of all errors that flexsms raises."""


class PermanentError(FlexSmsError):
    """Trying again changes nothing."""


class RetryableError(FlexSmsError):
    """Trying again later may help."""


class InvalidInput(PermanentError):
    """A value given by a person or by an event is wrong.

    :param field: the name of the parameter, as the trigger form shows it
    :param problem: what is wrong with it, without repeating personal data
    :param remedy: what to do about it
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field}: {problem}; {remedy}.")
        self.field = field


class UnreadableState(InvalidInput):
    """A Sync document of ours holds no channel state."""


class MissingSetting(PermanentError):
    """A field of the Airflow connection is missing or wrong.

    :param field: the connection field
    :param problem: what is wrong with it
    :param remedy: what to do about it
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"Connection field {field}: {problem}; {remedy}.")
        self.field = field


class UndecidedSend(PermanentError):
    """A text may or may not have left, and no look-up can tell: a person has to decide."""


class InteractionFailed(PermanentError):
    """Flex could not set up the interaction of a conversation; the text has not left."""


class NotDelivered(PermanentError):
    """A text left, and did not reach the handset; it is not sent again."""


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


class LeaseExpired(RetryableError):
    """A try of a batch has not made sure for too long that it is the newest, so its request did not leave."""


class TryReplaced(RetryableError):
    """A newer try of the same task works on the batch, or the task was stopped: this one writes nothing more."""


class ChannelsFailed(RetryableError):
    """A batch of channels is through, and for some of them trying again may help."""


class TwilioError(FlexSmsError):
    """What Twilio answered, or that it did not answer.

    :param message: one sentence, redacted
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
        status: int = 0,
        code: int = 0,
        endpoint: str = "",
        detail: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.endpoint = endpoint
        self.detail = detail
        self.retry_after = retry_after


class TwilioRefused(TwilioError, PermanentError):
    """Twilio answered 4xx: the request itself is wrong."""


class NotAuthorized(TwilioRefused):
    """The credentials are wrong, or may not do this."""


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


# https://www.twilio.com/docs/api/errors/<code>
_NOT_FOUND = frozenset({20404, 45204, 50300, 54100, 54200, 54201, 54300, 80308})
_ALREADY_EXISTS = frozenset({45208, 50307, 54208, 54301, 80603})
_REVISION_MISMATCH = frozenset({54103, 54155, 54205})
_RATE_LIMITED = frozenset({20429, 45719, 45780, 54009, 63018})

# Programmable Chat for Flex has passed its end of life; private channels, which those of Flex are, can go on as
# conversations. https://www.twilio.com/docs/conversations/api/chat-channel-migration-resource
MIGRATE = (
    "if Twilio no longer serves Programmable Chat to the account, set stack of the connection to 'conversations' and "
    "migrate the channels that are left (POST https://chat.twilio.com/v3/Services/{IS}/Channels/{CH})"
)

_ADVICE = {
    401: "check login and password of the Twilio connection (a key is valid in one region only)",
    403: "give the API key the permission for this product, or use the account's Auth Token",
    404: "check the SID; it may belong to another account or have been deleted",
    410: f"Twilio no longer serves this endpoint; {MIGRATE}",
    429: "lower max_in_flight or rate_limits of the connection",
    20003: "check login and password of the Twilio connection (a key is valid in one region only)",
    21211: "give to_number in E.164, like +14155550100",
    21610: "the recipient has opted out (STOP); do not text this number until they send START",
    45208: "the customer already has an active channel under that name; use it or make it INACTIVE",
    50300: "check chat_service_sid of the connection; the channel may have been deleted",
    54006: "the document is over 16 KiB; this is a defect of flexsms, please report it",
    54100: "check sync_service_sid of the connection",
    80103: "the customer is still in another Proxy session of that number; run flexsms_cleanup or close it",
    80604: "the customer is still in another Proxy session of that number; run flexsms_cleanup or close it",
}


def error_class(status: int, code: int, *, repeatable: bool) -> type[TwilioError]:
    """The class of error for one of Twilio's answers. Codes outrank the HTTP status.

    :param status: HTTP status, 0 when no answer came
    :param code: Twilio's error code
    :param repeatable: whether sending the same request again is harmless
    """
    if status == 429 or code in _RATE_LIMITED:
        return RateLimited
    if status == 412 or code in _REVISION_MISMATCH:
        return RevisionMismatch
    if status == 410:
        return ProductGone
    if status == 404 or code in _NOT_FOUND:
        return NotFound
    if status == 409 or code in _ALREADY_EXISTS:
        return AlreadyExists
    if status == 0 or status >= 500:
        return ServiceUnavailable if repeatable else OutcomeUnknown
    # Programmable Chat answers 403 with a 50xxx code when a counter is exceeded: not a matter of rights.
    if status in (401, 403) and not 50000 <= code < 51000:
        return NotAuthorized
    return TwilioRefused


def advice(status: int, code: int) -> str:
    """What a person can do about an answer, empty when there is nothing better than its own text."""
    return _ADVICE.get(code) or _ADVICE.get(status, "")
