"""api 2010-04-01: the SMS behind the chat messages and conversation messages, for whoever asks why one did not arrive.

Read-only: nothing here is sent by this API. It is the only place where Twilio gives the error code of a text that
Proxy relayed (Proxy's interactions have none).
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from ...http import NotFound, Response, ok
from ...routing.call import Call
from ...routing.router import router
from ...state.rows.messaging import Sms

api = router("api.twilio.com")
VERSION = "2010-04-01"


def message_json(account_sid: str, sms: Sms) -> dict[str, Any]:
    """Neither segments nor prices are counted here; both may be null in the schema."""
    path = f"/{VERSION}/Accounts/{account_sid}/Messages/{sms.sid}"
    sent = next((at for status, at in sms.history if status == "sent"), None)
    return {
        "sid": sms.sid,
        "account_sid": account_sid,
        "api_version": VERSION,
        "body": sms.body,
        "date_created": _rfc_2822(sms.created),
        "date_sent": _rfc_2822(sent),
        "date_updated": _rfc_2822(sms.updated),
        "direction": "outbound-api",
        "error_code": sms.error_code,
        "error_message": None if sms.error_code is None else f"Error {sms.error_code}",
        "from": sms.from_,
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": None,
        "price": None,
        "price_unit": None,
        "status": sms.status,
        "subresource_uris": {"media": f"{path}/Media.json", "feedback": f"{path}/Feedback.json"},
        "to": sms.to,
        "uri": f"{path}.json",
    }


@api.get(f"/{VERSION}/Accounts/{{account}}/Messages/{{message}}")
def fetch_message(call: Call, account_sid: str, file: str) -> Response:
    sms = call.account.store.outbox.get(file.removesuffix(".json"))
    if sms is None or account_sid != call.account.account_sid or not file.endswith(".json"):
        raise NotFound(call.request.path)
    return ok(message_json(account_sid, sms))


def _rfc_2822(moment: float | None) -> str | None:
    return None if moment is None else format_datetime(datetime.fromtimestamp(int(moment), UTC))
