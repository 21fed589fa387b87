"""sync v1: documents, maps and lists."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.conftest import Account, refused


def test_services(account: Account) -> None:
    services = account.client.sync.v1.services
    made: Any = services.create(friendly_name="Mine", reachability_debouncing_window=2000)
    assert (made.friendly_name, made.reachability_debouncing_window) == ("Mine", 2000)
    assert services(made.sid).update(acl_enabled=True).acl_enabled is True
    services(made.sid).documents.create(unique_name="a")
    services(made.sid).sync_maps.create(unique_name="m")
    assert len(services.list()) == 2
    assert services("default").fetch().sid == account.settings["sync_service_sid"]
    assert services(made.sid).delete()
    assert refused(services(made.sid).fetch) == (404, 20404)


def test_documents(account: Account) -> None:
    made = account.sync.documents.create_with_http_info(unique_name="state", data={"a": 1}, ttl=60)
    document = made.data
    assert made.status_code == 201
    assert made.headers["etag"] == f'"{document.revision}"'
    assert (document.unique_name, document.data, document.created_by) == ("state", {"a": 1}, "system")
    assert account.sync.documents("state").fetch().sid == document.sid
    assert account.sync.documents(document.sid).fetch().data == {"a": 1}
    changed = account.sync.documents("state").update(data={"b": 2})
    assert changed.data == {"b": 2}
    assert changed.revision != document.revision
    assert changed.date_expires == document.date_expires
    assert account.sync.documents("state").update(ttl=0).date_expires is None
    assert account.sync.documents("state").delete()
    assert refused(account.sync.documents(document.sid).fetch) == (404, 54100)
    assert refused(account.sync.documents("state").fetch) == (404, 54300)


def test_a_document_is_updated_only_at_its_revision(account: Account) -> None:
    document = account.sync.documents.create(unique_name="state", data={"a": 1})
    update = account.sync.documents("state").update
    second = update(if_match=document.revision, data={"a": 2})
    assert refused(update, if_match=document.revision, data={"a": 3}) == (412, 54103)
    assert refused(update, if_match='""', data={"a": 3}) == (400, 54003)
    assert account.sync.documents("state").fetch().data == {"a": 2}
    third = update(if_match=f'"{second.revision}"', data={"a": 3})
    assert update(if_match=f'W/"{third.revision}"', data={"a": 4}).data == {"a": 4}
    assert update(if_match="*", data={}).data == {}


def test_unique_name_rules(account: Account) -> None:
    account.sync.documents.create(unique_name="taken")
    create = account.sync.documents.create
    assert refused(create, unique_name="taken") == (409, 54301)
    assert refused(create, unique_name="CH" + "a" * 32) == (400, 54302)
    assert refused(create, unique_name="x" * 257) == (400, 54302)
    assert create(unique_name="flexsms.CH" + "a" * 32).unique_name
    assert create().unique_name is None
    # Maps have names of their own.
    assert account.sync.sync_maps.create(unique_name="taken").unique_name == "taken"
    account.sync.documents("taken").delete()
    assert create(unique_name="taken").unique_name == "taken"


def test_sixteen_kibibytes(account: Account) -> None:
    fits = {"x": "y" * (16 * 1024 - 9)}
    assert len(json.dumps(fits)) == 16 * 1024
    assert account.sync.documents.create(unique_name="full", data=fits).data == fits
    too_much = {"x": "y" * (16 * 1024 - 8)}
    assert refused(account.sync.documents.create, data=too_much) == (413, 54006)
    assert refused(account.sync.documents("full").update, data=too_much) == (413, 54006)


@pytest.mark.parametrize("data", ["nope", "[1]", '"text"'])
def test_data_is_a_json_object(account: Account, data: str) -> None:
    assert refused(account.sync.documents.create, data=data) == (400, 20001)


def test_time_to_live(account: Account) -> None:
    document = account.sync.documents.create(unique_name="short", ttl=100)
    account.control.advance(60)
    account.sync.documents("short").update(ttl=100)
    account.control.advance(60)
    assert account.sync.documents("short").fetch().sid == document.sid
    account.control.advance(41)
    assert refused(account.sync.documents("short").fetch) == (404, 54300)
    assert account.sync.documents.list() == []
    assert account.sync.documents.create(unique_name="short")
    for ttl in (-1, 31_536_001, "soon"):
        assert refused(account.sync.documents.create, ttl=ttl) == (400, 20001)


def test_pages_of_documents(account: Account) -> None:
    names = [f"doc{n}" for n in range(250)]
    account.control.load(documents=[{"unique_name": name, "data": {"n": name}} for name in names])
    account.control.clear_journal()
    assert [document.unique_name for document in account.sync.documents.list(page_size=100)] == names
    assert len(account.control.journal()) == 3
    first = account.sync.documents.page(page_size=100)
    rows = list(first)
    # Neither what is gone nor what is new shifts the next page.
    account.sync.documents(rows[50].sid).delete()
    account.sync.documents(rows[99].sid).delete()
    account.sync.documents.create(unique_name="late")
    second = first.next_page()
    assert [row.unique_name for row in second] == names[100:200]
    assert [row.unique_name for row in second.previous_page()][-2:] == ["doc97", "doc98"]


def test_maps(account: Account) -> None:
    made = account.sync.sync_maps.create(unique_name="dates", ttl=1000)
    items = account.sync.sync_maps("dates").sync_map_items
    for key in ("2026-03", "2026-01", "2026-02", "2026-04"):
        assert items.create(key=key, data={"k": key}).map_sid == made.sid
    assert refused(items.create, key="2026-01", data={}) == (409, 54208)
    assert refused(items.create, key="x" * 321, data={}) == (400, 20001)
    assert [item.key for item in items.list(page_size=3)] == ["2026-01", "2026-02", "2026-03", "2026-04"]
    assert [item.key for item in items.list(order="desc", from_="2026-02")] == ["2026-02", "2026-01"]
    assert [item.key for item in items.list(from_="2026-02", page_size=1)] == [
        "2026-02",
        "2026-03",
        "2026-04",
    ]
    exclusive = items.list(from_="2026-02", bounds="exclusive", page_size=1)
    assert [item.key for item in exclusive] == ["2026-03", "2026-04"]
    item = items("2026-01").fetch()
    changed = items("2026-01").update(if_match=item.revision, data={"k": 2})
    assert refused(items("2026-01").update, if_match=item.revision, data={}) == (412, 54205)
    assert changed.data == {"k": 2}
    assert items("2026-01").delete()
    assert refused(items("2026-01").fetch) == (404, 54201)
    assert items.create(key="2026-01", data={}).key == "2026-01"
    assert [map_.unique_name for map_ in account.sync.sync_maps.list()] == ["dates"]
    assert account.sync.sync_maps("dates").update(collection_ttl=0).date_expires is None
    assert account.sync.sync_maps("dates").fetch().revision != made.revision
    assert account.sync.sync_maps(made.sid).delete()
    assert refused(account.sync.sync_maps(made.sid).fetch) == (404, 54200)


def test_map_items_expire_alone_and_with_their_map(account: Account) -> None:
    account.sync.sync_maps.create(unique_name="m")
    items = account.sync.sync_maps("m").sync_map_items
    items.create(key="a", data={}, item_ttl=10)
    items.create(key="b", data={}, item_ttl=30, collection_ttl=20)
    account.control.advance(11)
    assert [item.key for item in items.list()] == ["b"]
    account.control.advance(10)
    assert refused(account.sync.sync_maps("m").fetch) == (404, 54300)


def test_the_sdk_sends_no_if_match_on_delete(account: Account) -> None:
    """twilio-python 9.13 drops it: a guarded delete succeeds. Pinned here because flexsms relies on knowing it."""
    account.sync.sync_maps.create(unique_name="m")
    items = account.sync.sync_maps("m").sync_map_items
    items.create(key="a", data={})
    assert items("a").delete(if_match="stale")


def test_lists(account: Account) -> None:
    made = account.sync.sync_lists.create(unique_name="log")
    items = account.sync.sync_lists("log").sync_list_items
    assert [items.create(data={"n": n}).index for n in range(4)] == [0, 1, 2, 3]
    assert items(1).delete()
    assert items.create(data={"n": 4}).index == 4
    assert [item.index for item in items.list(page_size=2)] == [0, 2, 3, 4]
    assert [item.index for item in items.list(order="desc", from_="3", bounds="exclusive")] == [2, 0]
    item = items(2).fetch()
    items(2).update(data={"n": 22}, if_match=item.revision)
    assert refused(items(2).update, data={}, if_match=item.revision) == (412, 54155)
    assert refused(items(9).fetch) == (404, 54151)
    assert account.sync.sync_lists(made.sid).update(ttl=60).date_expires is not None
    assert len(account.sync.sync_lists.list()) == 1
    assert account.sync.sync_lists("log").delete()
    assert refused(account.sync.sync_lists(made.sid).fetch) == (404, 54150)
