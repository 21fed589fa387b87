"""Examines what FlexSmsNotifier texts from and to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flexsms.core.checks import Finding, Verdict
from flexsms.core.exceptions import NotAuthorized
from flexsms.core.redaction import mask_number
from flexsms.twilio.account import Account

ABOUT = "Notifications"


async def notifications(account: Account) -> list[Finding]:
    """Whether the number of the connection's ``notify_from`` can text those of ``notify_numbers``.

    Source: https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource
    """
    settings = account.settings
    sender = settings.notify_from
    recipients = settings.notify_numbers if isinstance(settings.notify_numbers, Mapping) else {}
    if not sender and not recipients:
        return []
    problem = (
        _unfinished(sender, recipients) or _to_itself(sender, recipients) or await _unusable(account, sender)
    )
    if problem:
        return [problem]
    return [Finding(ABOUT, Verdict.OK, f"{mask_number(sender)} can text {', '.join(recipients)}")]


def _unfinished(sender: str, recipients: Mapping[str, Any]) -> Finding | None:
    if not sender:
        said = (
            "notify_from is empty, so nobody in notify_numbers can be texted; give your Twilio number, E.164"
        )
        return Finding(ABOUT, Verdict.WRONG, said)
    if not recipients:
        said = (
            'notify_numbers is empty, so nobody is texted; give an object like {"oncall": ["+14155550171"]}'
        )
        return Finding(ABOUT, Verdict.NOTE, said)
    return None


def _to_itself(sender: str, recipients: Mapping[str, tuple[str, ...]]) -> Finding | None:
    """Twilio refuses that: https://www.twilio.com/docs/api/errors/21266"""
    names = [name for name, numbers in recipients.items() if sender in numbers]
    if not names:
        return None
    said = (
        f"notify_numbers has notify_from itself under {names[0]!r}, and no number can text itself; give that "
        "person's own number"
    )
    return Finding(ABOUT, Verdict.WRONG, said)


async def _unusable(account: Account, sender: str) -> Finding | None:
    numbers = account.client.api.v2010.accounts(account.settings.account_sid).incoming_phone_numbers
    try:
        # Twilio also finds numbers that only hold this one.
        found = [one for one in await numbers.list_async(phone_number=sender) if one.phone_number == sender]
    except NotAuthorized as error:
        said = f"this login may not look whether notify_from is a number of this account: {error}"
        return Finding(ABOUT, Verdict.NOTE, said)
    if not found:
        said = f"notify_from {mask_number(sender)} is no number of this account; give one that is"
        return Finding(ABOUT, Verdict.WRONG, said)
    capabilities: Any = found[0].capabilities
    if not capabilities or not capabilities.get("sms"):
        said = f"notify_from {mask_number(sender)} cannot send SMS; give a number of this account that can"
        return Finding(ABOUT, Verdict.WRONG, said)
    return None
