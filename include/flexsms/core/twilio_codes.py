"""What Twilio's error codes mean to flexsms: the one table, by which every refusal gets its class.

A code says what happened, the HTTP status alone does not: 409 is "exists already" and "two requests at once", and a
404 may come from a proxy that knows nothing of Twilio. So a code that is listed here means the same with any status,
except 410. Every code has a page, https://www.twilio.com/docs/api/errors/<code>.
"""

from __future__ import annotations

from collections.abc import Mapping

from flexsms.core.exceptions import (
    MIGRATE,
    AlreadyExists,
    NotAuthorized,
    NotFound,
    OutcomeUnknown,
    ProductGone,
    RateLimited,
    RevisionMismatch,
    ServiceUnavailable,
    TwilioError,
    TwilioRefused,
)

# The shorter numbers that some answers give as their code repeat the HTTP status.
SMALLEST_CODE = 10_000

_CODES: Mapping[type[TwilioError], tuple[int, ...]] = {
    NotFound: (
        20404,  # of any product
        45204,  # Flex channel
        45205,  # Flex Flow
        50300,  # chat channel
        54100,  # Sync document
        54150,  # Sync list
        54200,  # Sync map
        54201,  # Sync map item
        54300,  # Sync: nothing of that unique name
        80308,  # Proxy: no session of that unique name
        91001,  # sink of Event Streams
        91102,  # subscription of Event Streams
    ),
    AlreadyExists: (
        45208,  # Flex channel of that unique name
        45353,  # interaction channel of that conversation; the second request was dropped
        50307,  # chat channel of that unique name
        50353,  # conversation of that unique name
        50416,  # the pair of numbers, in another conversation
        50425,  # the same, said of a conversation made with its participants
        50433,  # participant of that identity
        50437,  # the participant, in that conversation
        54208,  # Sync map item of that key
        54301,  # Sync: something of that unique name
        80603,  # Proxy session of that unique name
    ),
    RevisionMismatch: (
        20412,  # of any product
        54103,  # Sync document
        54155,  # Sync list item
        54205,  # Sync map item
    ),
    RateLimited: (
        20429,  # of any product
        45719,  # Flex
        45780,  # Interactions
        54009,  # Sync
        63018,  # a channel's sender
    ),
    # Twilio asks to wait and send the same again: nothing was changed, whatever the request.
    ServiceUnavailable: (
        20162,  # another request is changing the same thing
        20409,  # the thing is in no state for it just now
        45796,  # Flex: the same, "possibly because of concurrent requests"
        50391,  # a conversation of that name is being made or removed
        50514,  # a message is being changed
        59102,  # another request was changing the same thing; nothing was saved
        80623,  # Proxy: two requests put one participant into sessions at once
        80802,  # Proxy: two requests reopened sessions of one participant at once
    ),
    # Trouble with the account or its login.
    NotAuthorized: (
        10001,  # the account is not active
        20003,  # wrong credentials, a key of another region, or one without this permission
        20005,  # the account is not active
        20006,  # no access to that
        20008,  # test credentials
        20403,  # forbidden: no permission, or a suspended account
        70051,  # a key or an account that is not found or suspended, or a key without this permission
        90010,  # the account is not active
    ),
    # Refusals that a caller knows by their code.
    TwilioRefused: (
        21211,  # to_number is none
        21610,  # the recipient has opted out
        21614,  # to_number is no mobile number
        45354,  # the conversation of an interaction channel is closed
        45376,  # the same, said of a participant
        50377,  # the conversation is closed
        50407,  # to_number is no address
        50408,  # from_number is no address
        50409,  # both numbers are the same
        50412,  # no from_number
        80103,  # Proxy: the participant is in a session of that number already
        80402,  # Proxy: the two numbers do not go together
        80404,  # Proxy: a participant's number is none
        80604,  # Proxy: the proxy number is in use with that participant
        80606,  # Proxy: the proxy number is none of the account's
        80607,  # Proxy: the session is closed
        80608,  # Proxy: the session cannot go to that status
        80801,  # Proxy: the session cannot be reopened
    ),
}
_CLASS_OF: Mapping[int, type[TwilioError]] = {code: kind for kind, codes in _CODES.items() for code in codes}

# Flex asked Conversations for its part and got an error: what has become of the request, Twilio does not say.
_HALFWAY = (
    45352,  # making a conversation
    45356,  # reading a conversation
    45360,  # closing a conversation
    45361,  # adding a participant
    45363,  # removing a participant
)

_SUSPENDED = "look at the account's status and balance in the Twilio Console"
# What a person can do, by code or by HTTP status.
ADVICE: Mapping[int, str] = {
    401: "check login and password of the Twilio connection (a key is valid in one region only)",
    403: "give the API key the permission for this product, or use the account's Auth Token",
    407: "it is the HTTP proxy (environment variable HTTPS_PROXY) that wants a login; write it into the proxy's URL",
    404: "check the SID; it may belong to another account or have been deleted",
    410: f"Twilio no longer serves this endpoint; {MIGRATE}",
    429: "lower max_in_flight or rate_limits of the connection",
    10001: _SUSPENDED,
    20003: "check login and password of the Twilio connection (a key is valid in one region only)",
    20005: _SUSPENDED,
    21211: "give to_number in E.164, like +14155550100",
    21610: "the recipient has opted out (STOP); do not text this number until they send START",
    45208: "the customer already has an active channel under that name; use it or make it INACTIVE",
    50300: "check chat_service_sid of the connection; the channel may have been deleted",
    54006: "the document is over 16 KiB; this is a defect of flexsms, please report it",
    54100: "check sync_service_sid of the connection",
    80103: "the customer is still in another Proxy session of that number; run flexsms_cleanup or close it",
    80604: "the customer is still in another Proxy session of that number; run flexsms_cleanup or close it",
    90010: _SUSPENDED,
}


def twilio_code(value: object) -> int:
    """A code out of an answer's body, 0 where there is none of Twilio's.

    :param value: what the body gives as its code
    """
    return value if isinstance(value, int) and value >= SMALLEST_CODE else 0


def error_class(status: int, code: int, *, repeatable: bool) -> type[TwilioError]:
    """The class of error for a refusal, or for no answer.

    What nobody knows is never taken for a proof: an unknown 404 is not "gone", an unknown 409 not "exists". Only 410
    outranks the code: where a product is gone, a code that says the same of a thing in it proves nothing.

    :param status: HTTP status, 0 when no answer came
    :param code: Twilio's error code, 0 when it gave none
    :param repeatable: whether sending the same request again is harmless
    """
    if status == 410:
        return ProductGone
    if code in _CLASS_OF:
        return _CLASS_OF[code]
    if status == 429:
        return RateLimited
    # Programmable Chat answers 403 with a 50xxx code when a counter is exceeded: not a matter of rights.
    if status in (401, 403, 407) and not 50000 <= code < 51000:
        return NotAuthorized
    # By its code Twilio itself has refused it, and what else these say, without a known code, nobody knows.
    if code and code not in _HALFWAY and 400 <= status < 500 and status not in (404, 408, 409, 412, 423):
        return TwilioRefused
    return ServiceUnavailable if repeatable else OutcomeUnknown


def advice(status: int, code: int) -> str:
    """What a person can do about an answer, empty when there is nothing better than its own text."""
    return ADVICE.get(code) or ADVICE.get(status, "")


def advice_on_login(status: int, code: int, *, product: str, is_key: bool, works: bool) -> str:
    """What a person can do about :class:`NotAuthorized`.

    :param product: what was asked for, by Twilio's name
    :param is_key: whether the login is an API key; a restricted one may lack the permission for a single product
    :param works: whether the same login has been good for another call, just now
    """
    if status == 407 or ADVICE.get(code) == _SUSPENDED:
        return advice(status, code)
    if works and is_key:
        return (
            f"the key is good for other calls, so it lacks the permission for {product}; add that to the key"
        )
    if works:
        return f"login and password are good for other calls, so the account itself may not use {product}"
    if is_key:
        return f"{advice(status, code)}; or the key lacks the permission for {product}"
    return advice(status, code)
