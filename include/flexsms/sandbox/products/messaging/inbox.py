"""Texts that came from a handset, whichever product they go on to."""

from __future__ import annotations

from ...state.account import EmulatedAccount
from ...state.rows.messaging import Sms
from . import events


def receive(account: EmulatedAccount, frm: str, to: str, body: str) -> Sms:
    """A customer's text has arrived at a number of the account."""
    sid, seq, now, _ = account.stamp("SM")
    sms = Sms(sid, seq, now, now, account.account_sid, to, frm, body, "received", None)
    sms.direction, sms.sent, sms.history = "inbound", now, [["received", now]]
    account.store.inbox.add(sms)
    account.texts.add(sms)
    events.arrived(account, sms)
    return sms
