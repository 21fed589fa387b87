"""conversations v1: the webhooks of one conversation, and address configurations.

Sources: https://www.twilio.com/docs/conversations/api/conversation-scoped-webhook-resource and
https://www.twilio.com/docs/conversations/inbound-autocreation.

Only what runs Studio does something here (see inbound.py): the sandbox calls nobody's URL.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ...http import Invalid, Response, created, gone, ok
from ...routing.call import Call
from ...routing.paging import page, walk
from ...routing.params import Params, boolean, enum, integer, text
from ...state.account import EmulatedAccount
from ...state.rows.conversations import Address, Conversation, Webhook
from ...state.rows.row import dates
from . import behaviour as conversations
from .routes import ROOT, Scope, api, both, conversation_of, service_of

WEBHOOKS = "/Conversations/{conversation}/Webhooks"
MOST_WEBHOOKS = 5
CONFIGURATION = {
    "Configuration.Url": text(),
    "Configuration.Method": enum("get", "post"),
    "Configuration.Filters": text().repeated(),
    "Configuration.Triggers": text().repeated(),
    "Configuration.FlowSid": text(),
}
# What each kind of target cannot do without.
NEEDS = {"webhook": "url", "trigger": "url", "studio": "flow_sid"}

AUTO_CREATION = {
    "AutoCreation.Enabled": boolean(),
    "AutoCreation.Type": enum("webhook", "studio", "default"),
    "AutoCreation.ConversationServiceSid": text(),
    "AutoCreation.WebhookUrl": text(),
    "AutoCreation.WebhookMethod": enum("get", "post"),
    "AutoCreation.WebhookFilters": text().repeated(),
    "AutoCreation.StudioFlowSid": text(),
    "AutoCreation.StudioRetryCount": integer(0),
    "FriendlyName": text(256),
}
TYPES = ("sms", "whatsapp", "messenger", "gbm", "email", "rcs", "apple", "chat")
AUTO_NEEDS = {"webhook": "webhook_url", "studio": "studio_flow_sid"}


def _dotted(p: dict[str, Any], prefix: str) -> dict[str, Any]:
    """`Configuration.FlowSid` as `flow_sid`."""
    found = {}
    for name, value in p.items():
        if name.startswith(prefix):
            words = "".join(f"_{char.lower()}" if char.isupper() else char for char in name[len(prefix) :])
            found[words.lstrip("_")] = value
    return found


def webhook_json(account: EmulatedAccount, scope: Scope, hook: Webhook) -> dict[str, Any]:
    return {
        "sid": hook.sid,
        "account_sid": account.account_sid,
        **scope.field,
        "conversation_sid": hook.parent,
        "target": hook.target,
        "url": f"{scope.base}/Conversations/{hook.parent}/Webhooks/{hook.sid}",
        "configuration": hook.configuration,
        **dates(hook),
    }


def _check_webhook(target: str, configuration: dict[str, Any]) -> None:
    if not configuration.get(NEEDS[target]):
        raise Invalid(f"A webhook with target {target} needs Configuration.{NEEDS[target]}")


def _webhook(call: Call, conversation: Conversation, sid: str) -> Webhook:
    return call.found(call.account.store.webhooks.within(conversation.sid, sid))


@both.get(WEBHOOKS, paged=True)
def list_webhooks(call: Call, scope: Scope, name: str) -> Response:
    rows = walk(call.account.store.webhooks.under(conversation_of(call, scope, name).sid))
    return page(call, rows, partial(webhook_json, call.account, scope), key="webhooks", largest=MOST_WEBHOOKS)


@both.post(
    WEBHOOKS,
    Params(
        {
            "Target": enum(*NEEDS).must(),
            **CONFIGURATION,
            "Configuration.ReplayAfter": integer(0),
        }
    ),
)
def create_webhook(call: Call, scope: Scope, name: str) -> Response:
    """`ReplayAfter` is taken and does nothing: no text of the past is told again."""
    conversation = conversation_of(call, scope, name)
    conversations.check_open(conversation)
    if len(call.account.store.webhooks.under(conversation.sid)) >= MOST_WEBHOOKS:
        raise Invalid(f"Conversation {conversation.sid} already has {MOST_WEBHOOKS} webhooks")
    configuration = _dotted(call.p, "Configuration.")
    _check_webhook(call.p["Target"], configuration)
    hook = Webhook(*call.account.stamp("WH"), conversation.sid, call.p["Target"], configuration)
    return created(webhook_json(call.account, scope, call.account.store.webhooks.add(hook)))


@both.get(WEBHOOKS + "/{webhook}")
def fetch_webhook(call: Call, scope: Scope, name: str, sid: str) -> Response:
    return ok(webhook_json(call.account, scope, _webhook(call, conversation_of(call, scope, name), sid)))


@both.post(WEBHOOKS + "/{webhook}", Params(CONFIGURATION))
def update_webhook(call: Call, scope: Scope, name: str, sid: str) -> Response:
    conversation = conversation_of(call, scope, name)
    conversations.check_open(conversation)
    hook = _webhook(call, conversation, sid)
    configuration = {**hook.configuration, **_dotted(call.p, "Configuration.")}
    _check_webhook(hook.target, configuration)
    hook.configuration, hook.updated = configuration, call.account.clock.now()
    return ok(webhook_json(call.account, scope, hook))


@both.delete(WEBHOOKS + "/{webhook}")
def delete_webhook(call: Call, scope: Scope, name: str, sid: str) -> Response:
    call.account.store.webhooks.drop(_webhook(call, conversation_of(call, scope, name), sid))
    return gone()


def address_json(account: EmulatedAccount, one: Address) -> dict[str, Any]:
    return {
        "sid": one.sid,
        "account_sid": account.account_sid,
        "type": one.kind,
        "address": one.address,
        "friendly_name": one.friendly_name,
        "auto_creation": one.auto_creation,
        **dates(one),
        "url": f"{ROOT}/Configuration/Addresses/{one.sid}",
        "address_country": one.country,
    }


def _address(call: Call, name: str) -> Address:
    """By SID or address."""
    found = call.account.store.addresses.get(name)
    return call.found(
        found or next((one for one in call.account.store.addresses if one.address == name), None)
    )


def _auto_creation(call: Call, before: dict[str, Any]) -> dict[str, Any]:
    found = {**before, **_dotted(call.p, "AutoCreation.")}
    need = AUTO_NEEDS.get(found["type"])
    if need and not found.get(need):
        raise Invalid(f"Auto-creation of type {found['type']} needs {need}")
    if found.get("conversation_service_sid"):
        service_of(call, found["conversation_service_sid"])
    return found


@api.get("/v1/Configuration/Addresses", Params(Type=enum(*TYPES)), paged=True)
def list_addresses(call: Call) -> Response:
    kind = call.p.get("Type")
    rows = walk(call.account.store.addresses.under("addresses"), keep=lambda one: kind in (None, one.kind))
    return page(call, rows, partial(address_json, call.account), key="address_configurations", largest=50)


@api.post(
    "/v1/Configuration/Addresses",
    Params(
        {**AUTO_CREATION, "Type": enum(*TYPES).must(), "Address": text().must(), "AddressCountry": text()}
    ),
)
def create_address(call: Call) -> Response:
    """Texts that find no conversation create one from now on (up to 60 s later with Twilio, at once here)."""
    p = call.p
    taken = any(one.address == p["Address"] for one in call.account.store.addresses)
    if taken and call.account.settings.one_address_per_number:
        raise Invalid(f"Invalid Address: {p['Address']} already has an address configuration")
    auto = _auto_creation(call, {"enabled": False, "type": "default"})
    row = Address(
        *call.account.stamp("IG"),
        "addresses",
        p["Type"],
        p["Address"],
        p.get("FriendlyName"),
        p.get("AddressCountry"),
        auto,
    )
    return created(address_json(call.account, call.account.store.addresses.add(row)))


@api.get("/v1/Configuration/Addresses/{address}")
def fetch_address(call: Call, name: str) -> Response:
    return ok(address_json(call.account, _address(call, name)))


@api.post("/v1/Configuration/Addresses/{address}", Params(AUTO_CREATION))
def update_address(call: Call, name: str) -> Response:
    one = _address(call, name)
    one.auto_creation = _auto_creation(call, one.auto_creation)
    one.friendly_name = call.p.get("FriendlyName", one.friendly_name)
    one.updated = call.account.clock.now()
    return ok(address_json(call.account, one))


@api.delete("/v1/Configuration/Addresses/{address}")
def delete_address(call: Call, name: str) -> Response:
    call.account.store.addresses.drop(_address(call, name))
    return gone()
