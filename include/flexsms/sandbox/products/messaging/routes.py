"""api 2010-04-01: the SMS behind the chat messages and conversation messages, for whoever asks why one did not arrive.

It is the only place where Twilio gives the error code of a text that Proxy relayed (Proxy's interactions have none).
A text that is created here belongs to no conversation. The list has the texts of every product and those of customers.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from ...http import Invalid, NotFound, Response, created, ok
from ...routing.call import Call
from ...routing.paging import page_2010
from ...routing.params import Params, text
from ...routing.router import router
from ...state.account import NUMBERS
from ...state.rows.messaging import Sms
from . import message_filter, segments
from .outbox import LONGEST_SMS, dispatch, is_out
from .times import rfc_2822

api = router("api.twilio.com")
VERSION = "2010-04-01"
E164 = re.compile(r"\+[1-9]\d{6,14}")


def message_json(account_sid: str, sms: Sms) -> dict[str, Any]:
    """Prices are not counted here; they may be null in the schema."""
    path = f"/{VERSION}/Accounts/{account_sid}/Messages/{sms.sid}"
    return {
        "sid": sms.sid,
        "account_sid": account_sid,
        "api_version": VERSION,
        "body": sms.body,
        "date_created": rfc_2822(sms.created),
        "date_sent": rfc_2822(sms.sent),
        "date_updated": rfc_2822(sms.updated),
        "direction": sms.direction,
        "error_code": sms.error_code,
        "error_message": None if sms.error_code is None else f"Error {sms.error_code}",
        "from": sms.from_,
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": str(segments.count(sms.body)),
        "price": None,
        "price_unit": None,
        "status": sms.status,
        "subresource_uris": {"media": f"{path}/Media.json", "feedback": f"{path}/Feedback.json"},
        "to": sms.to,
        "uri": f"{path}.json",
    }


@api.get(f"/{VERSION}/Accounts/{{account}}/Messages/{{message}}")
def fetch_message(call: Call, account_sid: str, file: str) -> Response:
    store, sid = call.account.store, file.removesuffix(".json")
    sms = store.outbox.get(sid) or store.inbox.get(sid)
    if sms is None or account_sid != call.account.account_sid or not file.endswith(".json"):
        raise NotFound(call.request.path)
    return ok(message_json(account_sid, sms))


@api.get(
    f"/{VERSION}/Accounts/{{account}}/Messages.json",
    Params({"DateSent<": text(), "DateSent>": text()}, To=text(), From=text(), DateSent=text()),
    paged=True,
)
def list_messages(call: Call, account_sid: str) -> Response:
    """The newest first, by `date_sent`."""
    if account_sid != call.account.account_sid:
        raise NotFound(call.request.path)
    rows = message_filter.walk(call.account, call.p)
    return page_2010(call, rows, partial(message_json, account_sid), key="messages", largest=1000)


@api.post(
    f"/{VERSION}/Accounts/{{account}}/Messages.json",
    Params(To=text().must(), From=text().must(), Body=text(LONGEST_SMS, code=21617).must()),
)
def create_message(call: Call, account_sid: str) -> Response:
    """What stands against a text is told at once: 21211, 21606 and 21610 are no failed messages, but refusals."""
    account = call.account
    if account_sid != account.account_sid:
        raise NotFound(call.request.path)
    to, sender, body = (call.p[name] for name in ("To", "From", "Body"))
    if not E164.fullmatch(to):
        raise Invalid(f"Invalid 'To' Phone Number: {to}", 21211)
    if sender not in NUMBERS.values() or sender in account.settings.voice_only:
        raise Invalid(f"The 'From' phone number provided ({sender}) is not a valid SMS-capable number", 21606)
    if is_out(account, to, sender):
        raise Invalid("Attempt to send to unsubscribed recipient", 21610)
    sms = dispatch(account, account_sid, to, sender, body)
    return created(message_json(account_sid, sms))
