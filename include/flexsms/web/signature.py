"""Whether a post is Twilio's.

Twilio signs the URL it calls, to which it has added ``bodySHA256``, the digest of the body. So there are two questions:
whether the URL is genuine, which can be answered before anything of a stranger's body is read, and whether the body is
the one that was signed.

Sources: https://www.twilio.com/docs/usage/webhooks/webhooks-security, https://www.twilio.com/docs/api/errors/57012
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping

from twilio.request_validator import (
    HMAC_SHA1,
    HMAC_SHA256,
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)

_DIGEST = r"bodySHA256=[0-9a-fA-F]{64}"
_QUERY = re.compile(rf"{_DIGEST}(?:&{_DIGEST})*", re.ASCII)


def is_signed(headers: Mapping[str, str], query: str) -> bool:
    """Whether a request looks like one of Twilio's at all: a signature, and the digest of a body in the URL.

    And nothing else in its query: for a form, Twilio signs the URL with the form's fields behind it, whose texts are
    customers'. Such a signature must not become one for a URL with a digest in it.
    """
    return bool(headers.get(SIGNATURE_HEADER)) and bool(_digests(query))


def is_genuine_url(key: str, url: str, headers: Mapping[str, str]) -> bool:
    """Whether the signature is one of Twilio's for this URL.

    The SDK's validator is asked about the URL only. It would check a body too, but takes no bytes and ends in a
    TypeError where ``bodySHA256`` is missing.

    :param key: what Twilio signs with
    :param url: exactly as Twilio called it, ``bodySHA256`` included
    """
    algorithm = get_signature_algorithm(headers.get(SIGNATURE_SETTINGS_HEADER))  # type: ignore[no-untyped-call]
    if algorithm.upper() not in (HMAC_SHA1, HMAC_SHA256):
        return False  # the validator would say so as well, but also write a stranger's words to the log
    try:
        validator = RequestValidator(key)  # type: ignore[no-untyped-call]
        return bool(validator.validate(url, {}, headers[SIGNATURE_HEADER], algorithm))  # type: ignore[no-untyped-call]
    except ValueError:  # a host or port that is none
        return False


def is_genuine_body(body: bytes, query: str) -> bool:
    """Whether a body is the one whose digest the URL carries.

    Twilio has been seen to write the digest twice into one URL; then both have to fit.

    :param query: of a URL that is genuine
    """
    digest = hashlib.sha256(body).hexdigest()
    return all(hmac.compare_digest(digest, given) for given in _digests(query))


def _digests(query: str) -> list[str]:
    """The digests in a query that holds nothing else."""
    if not _QUERY.fullmatch(query):
        return []
    return [one.partition("=")[2].lower() for one in query.split("&")]
