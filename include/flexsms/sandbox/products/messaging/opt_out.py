"""Who wants no more texts from a number: the words of a customer that Twilio acts upon, and what it answers.

Sources: https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out (the words) and
https://www.twilio.com/docs/api/errors/21610. A word counts alone, in any case. The answers say what Twilio's say, in
words of our own; a word that changes nothing gets none, and neither does a call for help from who is out (unverified
for numbers that are not toll-free).
"""

from __future__ import annotations

from ...state.account import EmulatedAccount
from ...state.rows.messaging import Sms
from . import outbox

STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START = frozenset({"START", "YES", "UNSTOP"})
HELP = frozenset({"HELP", "INFO"})

REPLIES = {
    "out": "You get no more texts from this number. Text START to get them again.",
    "in": "You get texts from this number again. Text STOP to end them, HELP for help.",
    "help": "Text STOP to get no more texts from this number, START to get them again.",
}


def heed(account: EmulatedAccount, text: Sms) -> str | None:
    """What a customer's text was to Twilio: `out` or `in`, `help`, or nothing but a text. The answer is on its way.

    YES from who is not out is an answer to somebody's question.
    """
    word, pair = word_of(text.body), f"{text.customer}>{text.number}"
    meaning, was_out = None, pair in account.opted_out
    if word in STOP:
        meaning = "out"
        account.opted_out.add(pair)
    elif word in START and was_out:
        meaning = "in"
        account.opted_out.discard(pair)
    elif word in HELP and not was_out:
        meaning = "help"
    if meaning and not (meaning == "out" and was_out):
        outbox.reply(account, text, REPLIES[meaning])
    return meaning


def word_of(body: str) -> str:
    return body.strip().upper()
