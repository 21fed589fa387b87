"""conversations v1: messages and what became of them at each handset (https://www.twilio.com/docs/conversations/api/conversation-resource)."""

from __future__ import annotations

from typing import Any

from ...http import Invalid, NotFound, Response, check_webhook_header, created, ok
from ...routing.call import Call
from ...routing.paging import page, walk
from ...routing.params import Params, enum, json_text, moment, text
from ...state.account import EmulatedAccount
from ...state.clock import iso
from ...state.rows.chat import Message
from ...state.rows.conversations import Conversation, Receipt
from ...state.rows.messaging import Sms
from ...state.rows.row import dates
from . import behaviour as conversations
from .routes import Scope, both, conversation_of

MESSAGES = "/Conversations/{conversation}/Messages"
RECEIPTS = MESSAGES + "/{message}/Receipts"
# What a text counts for in the summary of its message: a delivered one was sent before.
COUNTS = {"sent": ("sent",), "delivered": ("sent", "delivered"), "undelivered": ("sent", "undelivered")}


def message_json(account: EmulatedAccount, scope: Scope, message: Message) -> dict[str, Any]:
    url = f"{scope.base}/Conversations/{message.parent}/Messages/{message.sid}"
    return {
        "sid": message.sid,
        "account_sid": account.account_sid,
        **scope.field,
        "conversation_sid": message.parent,
        "index": message.index,
        "author": message.author,
        "body": message.body,
        "media": None,
        "attributes": message.attributes,
        "participant_sid": message.member_sid,
        **dates(message),
        "delivery": _delivery(account, message),
        "url": url,
        "links": {"delivery_receipts": f"{url}/Receipts", "channel_metadata": f"{url}/ChannelMetadata"},
        "content_sid": None,
    }


def _delivery(account: EmulatedAccount, message: Message) -> dict[str, Any] | None:
    """none, some or all of the handsets by status; null for a message that went to none."""
    statuses = [sms.status for _, sms in _receipts(account, message)]
    if not statuses:
        return None
    summary: dict[str, Any] = {"total": len(statuses)}
    for name in ("sent", "delivered", "read", "failed", "undelivered"):
        count = sum(name in COUNTS.get(status, (status,)) for status in statuses)
        summary[name] = "none" if not count else "all" if count == len(statuses) else "some"
    return summary


def _receipts(account: EmulatedAccount, message: Message) -> list[tuple[Receipt, Sms]]:
    found = []
    for _, receipt in account.store.receipts.under(message.sid).forward():
        if sms := account.store.outbox.get(receipt.sms_sid):
            found.append((receipt, sms))
    return found


def receipt_json(
    account: EmulatedAccount, scope: Scope, conversation_sid: str, receipt: Receipt
) -> dict[str, Any]:
    """`error_code` is 0 when there is none: its schema is no nullable one."""
    sms = _sms(account, receipt)
    base = f"{scope.base}/Conversations/{conversation_sid}"
    return {
        "sid": receipt.sid,
        "account_sid": account.account_sid,
        **scope.field,
        "conversation_sid": conversation_sid,
        "message_sid": receipt.parent,
        "channel_message_sid": sms.sid,
        "participant_sid": receipt.member_sid,
        "status": sms.status,
        "error_code": sms.error_code or 0,
        "date_created": iso(receipt.created),
        "date_updated": iso(sms.updated),
        "url": f"{base}/Messages/{receipt.parent}/Receipts/{receipt.sid}",
    }


def _sms(account: EmulatedAccount, receipt: Receipt) -> Sms:
    sms = account.store.outbox.get(receipt.sms_sid)
    assert sms is not None  # noqa: S101 (made with the receipt)
    return sms


def _message(call: Call, conversation: Conversation, sid: str) -> Message:
    return call.found(call.account.store.messages.within(conversation.sid, sid))


@both.get(MESSAGES, Params(Order=enum("asc", "desc")), paged=True)
def list_messages(call: Call, scope: Scope, name: str) -> Response:
    order = call.account.store.messages.under(conversation_of(call, scope, name).sid)
    hidden = {} if call.account.settings.message_list_attributes else {"attributes": None}
    return page(
        call,
        walk(order, descending=call.p.get("Order") == "desc"),
        lambda one: message_json(call.account, scope, one) | hidden,
        key="messages",
        largest=100,
    )


@both.post(
    MESSAGES,
    Params(
        Author=text(256),
        Body=text(1600),
        Attributes=json_text(most_bytes=4 * 1024),
        MediaSid=text(),
        ContentSid=text(),
        ContentVariables=text(),
        Subject=text(),
        DateCreated=moment(),
        DateUpdated=moment(),
    ),
)
def create_message(call: Call, scope: Scope, name: str) -> Response:
    """201 says that the conversation has it. Whether it reached a handset, even a 21610, is in its receipts."""
    check_webhook_header(call.request)
    conversation = conversation_of(call, scope, name)
    if not any(call.p.get(one) for one in ("Body", "MediaSid", "ContentSid")):
        raise Invalid("Message body not provided", call.account.settings.empty_message_code)
    author, body = call.p.get("Author") or "system", call.p.get("Body")
    message = conversations.post(call.account, conversation, author, body, call.p.get("Attributes", "{}"))
    message.created = call.p.get("DateCreated", message.created)
    message.updated = call.p.get("DateUpdated", message.updated)
    return created(message_json(call.account, scope, message))


@both.get(MESSAGES + "/{message}")
def fetch_message(call: Call, scope: Scope, name: str, sid: str) -> Response:
    conversation = conversation_of(call, scope, name)
    return ok(message_json(call.account, scope, _message(call, conversation, sid)))


@both.get(RECEIPTS, paged=True)
def list_receipts(call: Call, scope: Scope, name: str, sid: str) -> Response:
    """A text that is still queued has none: `queued` is no status that a receipt can have."""
    conversation = conversation_of(call, scope, name)
    message = _message(call, conversation, sid)
    rows = walk(
        call.account.store.receipts.under(message.sid),
        keep=lambda one: _sms(call.account, one).status != "queued",
    )
    return page(
        call,
        rows,
        lambda one: receipt_json(call.account, scope, conversation.sid, one),
        key="delivery_receipts",
        largest=50,
    )


@both.get(RECEIPTS + "/{receipt}")
def fetch_receipt(call: Call, scope: Scope, name: str, sid: str, receipt_sid: str) -> Response:
    conversation = conversation_of(call, scope, name)
    message = _message(call, conversation, sid)
    receipt = call.account.store.receipts.within(message.sid, receipt_sid)
    if receipt is None or _sms(call.account, receipt).status == "queued":
        raise NotFound(call.request.path)
    return ok(receipt_json(call.account, scope, conversation.sid, receipt))
