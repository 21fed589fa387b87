"""Texts on their way to a handset, whichever product sends them: the outbox and what becomes of each."""

from __future__ import annotations

import logging

from ...state.account import EmulatedAccount, timer
from ...state.rows.messaging import Sms
from ...state.text_filter import filters_of
from . import events

LONGEST_SMS = 1600
# Silent unless somebody watches: see flexsms/cli/sandbox.py.
texts = logging.getLogger("flexsms.sandbox.texts")
texts.setLevel(logging.WARNING)


def dispatch(
    account: EmulatedAccount,
    parent: str,
    to: str,
    from_: str,
    body: str,
    *,
    channel_sid: str | None = None,
    message_sid: str | None = None,
) -> Sms:
    """A text leaves, or is refused at once: opted-out recipients (21610), too long a body (21617).

    Parameters
    ----------
    parent: the Proxy session or the conversation.
    """
    sid, seq, now, _ = account.stamp("SM")
    sms = Sms(sid, seq, now, now, parent, to, from_, body, "queued", channel_sid, message_sid)
    refused = 21610 if is_out(account, to, from_) else 21617 if len(body) > LONGEST_SMS else None
    fate = f"was refused ({refused})" if refused else "left"
    texts.info("text to …%s %s: %s, %d characters", to[-4:], fate, sid, len(body))
    if refused is None:
        sms.held = _held(account, sms)
    _queue(account, sms)
    if refused:
        move(account, sms, "failed", refused)
    return sms


def reply(account: EmulatedAccount, text: Sms, body: str) -> Sms:
    """Twilio's own answer to a customer's word: it goes to who has opted out as well."""
    sid, seq, now, _ = account.stamp("SM")
    sms = Sms(sid, seq, now, now, account.account_sid, text.from_, text.to, body, "queued", None)
    sms.direction = "outbound-reply"
    _queue(account, sms)
    return sms


def _queue(account: EmulatedAccount, sms: Sms) -> None:
    sms.history.append(["queued", sms.created])
    account.store.outbox.add(sms)
    account.texts.add(sms)
    account.schedule(sms.created + account.settings.sms_step_s, "sms.step", sms.sid)


def is_out(account: EmulatedAccount, customer: str, number: str) -> bool:
    """Whether a customer wants no texts from a number: see opt_out.py."""
    return f"{customer}>{number}" in account.opted_out


def _held(account: EmulatedAccount, sms: Sms) -> list[int | str] | None:
    seed, seen = account.sids.seed, account.filtered
    for rule in filters_of(account.settings.sms_filters):
        if rule.holds(seed, seen, sms.to, sms.body, sms.created):
            return [rule.status, rule.code]
    return None


@timer("sms.step")
def _step(account: EmulatedAccount, sid: str) -> None:
    """queued -> sent -> delivered, or what a rule of `sms_filters` or `sms_outcomes` for this number says."""
    sms = account.store.outbox.get(sid)
    if sms is None or sms.status not in ("queued", "sent"):
        return
    outcome = account.settings.sms_outcomes.get(sms.to, {})
    status, code = sms.held or (outcome.get("status", "delivered"), outcome.get("error_code"))
    if sms.status == "queued" and not (sms.held and status == "failed"):
        move(account, sms, "sent")
        account.schedule(account.clock.now() + account.settings.sms_step_s, "sms.step", sid)
    else:
        move(account, sms, status, code)


def move(account: EmulatedAccount, sms: Sms, status: str, error_code: int | None = None) -> None:
    """A step of a text's way, shown by its Proxy interaction too.

    One that failed has a `date_sent`, too: its time on the way is over (unverified).
    """
    sms.status, sms.error_code, sms.updated = status, error_code, account.clock.now()
    sms.history.append([status, sms.updated])
    if sms.sent is None:
        account.texts.sent(sms, sms.updated)
    account.texts.changed()
    events.stepped(account, sms)
    if interaction := account.store.interactions.get(sms.interaction_sid):
        interaction.outbound["status"] = status
        interaction.updated = sms.updated
