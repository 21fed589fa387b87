"""chat v2: channels and messages."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from tests.sandbox.conftest import Account, refused


def test_services(account: Account) -> None:
    assert account.chat.fetch().friendly_name == "Flex Chat Service"
    assert len(account.client.chat.v2.services.list()) == 1
    assert refused(account.client.chat.v2.services("IS" + "0" * 32).fetch) == (404, 20404)


def test_channels(account: Account) -> None:
    channel = account.chat.channels.create(
        friendly_name="Lobby", unique_name="lobby", attributes='{"a": 1}', x_twilio_webhook_enabled="true"
    )
    assert (channel.type, channel.created_by, channel.messages_count) == ("public", "system", 0)
    assert account.chat.channels("lobby").fetch().sid == channel.sid
    changed = account.chat.channels(channel.sid).update(
        unique_name="hall", attributes='{"b": 2}', date_created=datetime(2026, 1, 2, tzinfo=UTC)
    )
    assert (changed.unique_name, json.loads(changed.attributes)) == ("hall", {"b": 2})
    assert changed.date_created == datetime(2026, 1, 2, tzinfo=UTC)
    assert refused(account.chat.channels("lobby").fetch) == (404, 50300)
    assert account.chat.channels("hall").delete(x_twilio_webhook_enabled="false")
    assert refused(account.chat.channels(channel.sid).fetch) == (404, 50300)


def test_unique_name_rules(account: Account) -> None:
    account.chat.channels.create(unique_name="lobby")
    assert refused(account.chat.channels.create, unique_name="lobby") == (409, 50307)
    assert refused(account.chat.channels.create, unique_name="CH" + "a" * 32) == (400, 50306)
    assert refused(account.chat.channels.create, unique_name="x" * 257) == (400, 50004)
    assert len(account.chat.channels.list()) == 1


def test_attributes_have_to_be_json(account: Account) -> None:
    assert refused(account.chat.channels.create, attributes="{nope") == (400, 20001)
    assert refused(account.chat.channels.create, x_twilio_webhook_enabled="maybe") == (400, 20001)


def test_private_channels_are_listed_only_when_asked_for(account: Account) -> None:
    private = account.open_channel()
    public = account.chat.channels.create()
    assert [channel.sid for channel in account.chat.channels.list()] == [public.sid]
    assert [channel.sid for channel in account.chat.channels.list(type=["private"])] == [private.sid]
    assert len(account.chat.channels.list(type=["private", "public"])) == 2


def test_messages(account: Account) -> None:
    channel = account.chat.channels(account.chat.channels.create().sid)
    sids = [channel.messages.create(body=f"m{n}", from_="grace", attributes='{"n": 1}').sid for n in range(5)]
    assert [message.sid for message in channel.messages.list(page_size=2)] == sids
    assert [message.sid for message in channel.messages.list(order="desc", page_size=2)] == sids[::-1]
    message = channel.messages(sids[3]).fetch()
    assert (message.index, message.body, message.attributes) == (3, "m3", '{"n": 1}')
    assert channel.fetch().messages_count == 5
    assert refused(channel.messages("IM" + "0" * 32).fetch) == (404, 20404)
    assert refused(channel.messages.create, from_="grace") == (400, 50503)
    assert channel.messages.create(body="x").index == 5
    assert account.control.outbox() == []
