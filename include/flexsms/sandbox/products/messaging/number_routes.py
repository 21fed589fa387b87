"""api 2010-04-01: the account's phone numbers, which are there to be looked at.

Source: https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ...http import NotFound, Response
from ...routing.call import Call
from ...routing.paging import page_2010, walk
from ...routing.params import Params, text
from ...routing.router import router
from ...state.account import EmulatedAccount
from ...state.rows.shared import Fixture
from .times import rfc_2822

VERSION = "2010-04-01"

api = router("api.twilio.com")


def number_json(account: EmulatedAccount, row: Fixture) -> dict[str, Any]:
    """What is said of webhooks is left empty: Flex has the number, and nothing else answers there."""
    nothing = dict.fromkeys(
        (
            "address_sid",
            "bundle_sid",
            "emergency_address_sid",
            "identity_sid",
            "trunk_sid",
            "sms_application_sid",
            "sms_fallback_url",
            "sms_url",
            "status_callback",
            "voice_application_sid",
            "voice_fallback_url",
            "voice_url",
        )
    )
    methods = ("sms_fallback_method", "sms_method", "status_callback_method", "voice_fallback_method")
    return {
        "sid": row.sid,
        "account_sid": account.account_sid,
        "api_version": VERSION,
        "address_requirements": "none",
        "beta": False,
        "capabilities": {
            "voice": True,
            "sms": row.name not in account.settings.voice_only,
            "mms": False,
            "fax": False,
        },
        "date_created": rfc_2822(row.created),
        "date_updated": rfc_2822(row.updated),
        "emergency_address_status": "unregistered",
        "emergency_status": "Inactive",
        "friendly_name": row.name,
        "origin": "twilio",
        "phone_number": row.name,
        "status": "in-use",
        "uri": f"/{VERSION}/Accounts/{account.account_sid}/IncomingPhoneNumbers/{row.sid}.json",
        "voice_caller_id_lookup": False,
        "voice_method": "POST",
        "voice_receive_mode": "voice",
        **dict.fromkeys(methods, "POST"),
        **nothing,
    }


@api.get(f"/{VERSION}/Accounts/{{account}}/IncomingPhoneNumbers.json", Params(PhoneNumber=text()), paged=True)
def list_numbers(call: Call, account_sid: str) -> Response:
    """`PhoneNumber` may be a part of a number."""
    account = call.account
    if account_sid != account.account_sid:
        raise NotFound(call.request.path)
    part = call.p.get("PhoneNumber") or ""
    rows = walk(account.store.fixtures.under("numbers"), keep=lambda row: part in row.name)
    return page_2010(call, rows, partial(number_json, account), key="incoming_phone_numbers", largest=1000)
