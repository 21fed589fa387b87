"""What the account knows before a list is read: who gets no text, and how fast texts can leave."""

from __future__ import annotations

import math
from typing import NamedTuple

from flexsms.core.number_digest import NumberDigest
from flexsms.recipients.check import Order
from flexsms.recipients.spool import Known, Spool
from flexsms.twilio.account import Account
from flexsms.twilio.broadcast.rules import BroadcastRules
from flexsms.twilio.broadcast.senders import check_senders


class AccountFacts(NamedTuple):
    """What a check has to know.

    :param digest: turns numbers into what the spool knows
    :param opted_out: how many numbers have
    :param per_second: texts that leave in a second at most, all senders together
    """

    digest: NumberDigest
    opted_out: int
    per_second: float


async def ask(
    account: Account, order: Order, campaign: str, rules: BroadcastRules, spool: Spool
) -> AccountFacts:
    """Make sure that the senders can send, and put into the spool who has opted out and whom the campaign has texted.

    :raises InvalidInput: when a sender cannot
    :raises PermanentError: when nobody can tell any more whom the campaign has texted
    """
    stack, senders = account.stack, order.from_numbers
    await check_senders(account.client, account.settings.account_sid, stack.opening, senders, rules.route)
    digest = await account.number_digest()
    opted_out = 0
    async for out in account.suppressions().all():
        spool.add(out, Known.SUPPRESSED)
        opted_out += 1
    async for texted in (await account.campaign(campaign)).texted():
        spool.add(texted, Known.TEXTED_BEFORE)
    limit = stack.texts_per_second(rules.route) or math.inf
    return AccountFacts(digest, opted_out, min(limit, (rules.max_per_second or math.inf) * len(senders)))
