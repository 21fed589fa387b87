"""Texts on their way to a handset, whichever product sends them: the outbox and what becomes of each."""

from __future__ import annotations

import logging

from ...state.account import EmulatedAccount, timer
from ...state.rows.messaging import Sms

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
    sms.history.append(["queued", now])
    account.store.outbox.add(sms)
    account.texts.add(sms)
    opted_out = f"{to}>{from_}" in account.opted_out
    refused = 21610 if opted_out else 21617 if len(body) > LONGEST_SMS else None
    fate = f"was refused ({refused})" if refused else "left"
    texts.info("text to …%s %s: %s, %d characters", to[-4:], fate, sid, len(body))
    if refused:
        move(account, sms, "failed", refused)
    else:
        account.schedule(now + account.settings.sms_step_s, "sms.step", sid)
    return sms


@timer("sms.step")
def _step(account: EmulatedAccount, sid: str) -> None:
    """queued -> sent -> delivered, or what Settings.sms_outcomes says for this number."""
    sms = account.store.outbox.get(sid)
    if sms is None or sms.status not in ("queued", "sent"):
        return
    outcome = account.settings.sms_outcomes.get(sms.to, {})
    if sms.status == "queued":
        move(account, sms, "sent")
        account.schedule(account.clock.now() + account.settings.sms_step_s, "sms.step", sid)
    else:
        move(account, sms, outcome.get("status", "delivered"), outcome.get("error_code"))


def move(account: EmulatedAccount, sms: Sms, status: str, error_code: int | None = None) -> None:
    """A step of a text's way, shown by its Proxy interaction too.

    One that failed has a `date_sent`, too: its time on the way is over (unverified).
    """
    sms.status, sms.error_code, sms.updated = status, error_code, account.clock.now()
    sms.history.append([status, sms.updated])
    if sms.sent is None:
        account.texts.sent(sms, sms.updated)
    if interaction := account.store.interactions.get(sms.interaction_sid):
        interaction.outbound["status"] = status
        interaction.updated = sms.updated
