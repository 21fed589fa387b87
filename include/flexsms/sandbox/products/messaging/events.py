"""What Event Streams tells of texts: each step of one that leaves, and each one that arrives.

Sources: https://www.twilio.com/docs/events/event-types/messaging/outbound-message and
https://www.twilio.com/docs/events/event-types/messaging/inbound-message. Fields that have no value are absent. Not told
here: mobile networks, places, and `optOutType`, which Twilio's pages know of Advanced Opt-Out only. Unverified: that
`queued` can be subscribed to and is never sent, as users of it say, and that every version of a schema has the same
fields (here it has).
"""

from __future__ import annotations

from typing import Any

from ...state.account import EmulatedAccount
from ...state.clock import iso_ms
from ...state.rows.messaging import MessageEvent, Sms
from ..event_streams import publisher
from ..event_streams.cloud_events import INBOUND_TYPE, MESSAGE_PREFIX
from . import segments


def stepped(account: EmulatedAccount, sms: Sms) -> None:
    """A text that leaves has got another status."""
    kind = MESSAGE_PREFIX + sms.status
    if not publisher.is_wanted(account, kind):
        return
    at = iso_ms(sms.updated)
    data: dict[str, Any] = {
        **_common(account, sms, kind, at),
        "apiVersion": "2010-04-01",
        "messageStatus": sms.status.upper(),
        "numberOfSegments": segments.count(sms.body),
        "dateUpdated": at,
    }
    if sms.error_code is not None:
        data["errorCode"] = sms.error_code
    if sms.status == "delivered":
        data["rawDlrDoneDate"] = at
    _publish(account, sms, kind, data)


def arrived(account: EmulatedAccount, sms: Sms) -> None:
    """A customer's text."""
    if not publisher.is_wanted(account, INBOUND_TYPE):
        return
    data = {
        **_common(account, sms, INBOUND_TYPE, iso_ms(sms.created)),
        "numMedia": 0,
        "numSegments": segments.count(sms.body),
        "recipients": [],
    }
    _publish(account, sms, INBOUND_TYPE, data)


def _common(account: EmulatedAccount, sms: Sms, kind: str, at: str) -> dict[str, Any]:
    return {
        "messageSid": sms.sid,
        "timestamp": at,
        "accountSid": account.account_sid,
        "eventName": kind,
        "from": sms.from_,
        "to": sms.to,
        "body": sms.body,
    }


def _publish(account: EmulatedAccount, sms: Sms, kind: str, data: dict[str, Any]) -> None:
    sid, seq, _, _ = account.stamp("EV")
    event = MessageEvent(sid, seq, sms.updated, sms.updated, sms.sid, kind, data)
    account.store.message_events.add(event)
    publisher.publish(account, kind, sid)
