"""Retiring where one stack has no counterpart in the other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flexsms.core.exceptions import TwilioRefused
from flexsms.twilio.cleanup.outcomes import Action, Outcome
from flexsms.twilio.taskrouter.task_list import OPEN_STATUSES
from tests.support.cleanup_scenarios import CUSTOMER, OTHER, ChatHouse, ConversationsHouse, House

pytestmark = pytest.mark.anyio

Calls = Callable[[], Counter[str]]


@pytest.mark.parametrize("house", [ChatHouse], indirect=True)
class TestChat:
    async def test_a_fifth_call_where_nobody_names_the_session(self, house: House, calls: Calls) -> None:
        house.control.settings(stamp_proxy_session=False)
        sid = house.conversation()
        await house.clean()
        assert calls()["GET proxy.twilio.com/v1/Services/{id}/Sessions/{id}"] == 1
        await house.assert_retired(sid)

    async def test_a_session_that_nobody_names_is_opened_again(self, house: House) -> None:
        house.control.settings(stamp_proxy_session=False)
        sid = house.conversation()
        before = await house.attributes(sid)
        due = await house.due()
        house.fault(house.mark, before=[house.writes()])
        assert (await house.retire(due)).outcomes == {sid: Outcome.SKIPPED_OPEN_TASK}
        await house.assert_live(sid, before)

    async def test_the_session_of_today_counts_whatever_the_channel_names(self, house: House) -> None:
        """Whoever opens a channel a second session need not write its SID into the attributes."""
        quiet, live = house.conversation(), house.conversation(OTHER)
        for sid in (quiet, live):
            house.set_attributes(sid, proxySession="KC" + "9" * 32)
        before = await house.attributes(live)
        due = await house.due()
        house.fault({**house.fetch, "path": f"/{live}$"}, after=[house.writes(OTHER)])
        report = await house.retire(due)
        assert report.outcomes == {quiet: Outcome.DEACTIVATED, live: Outcome.SKIPPED_OPEN_TASK}
        assert await house.attributes(live) == before
        assert await house.is_open(live)
        await house.assert_retired(quiet)

    async def test_a_session_that_is_gone_is_as_good_as_closed(self, house: House) -> None:
        quiet, live = house.conversation(), house.conversation(OTHER)
        before = await house.attributes(live)
        due = await house.due()
        services = house.account.client.proxy.v1.services
        for sid in (quiet, live):
            session_sid = (await house.attributes(sid))["proxySession"]
            await services(house.account.settings.session_service_sid).sessions(session_sid).delete_async()
        house.fault({**house.fetch, "path": f"/{live}$"}, after=[house.writes(OTHER)])
        report = await house.retire(due)
        assert report.outcomes == {quiet: Outcome.DEACTIVATED, live: Outcome.SKIPPED_OPEN_TASK}
        assert (await house.attributes(quiet))["status"] == "INACTIVE"
        session_sid = (await house.attributes(live))["proxySession"]  # the text has opened another
        assert await house.attributes(live) == {**before, "proxySession": session_sid}

    async def test_a_session_that_the_customers_text_opened_is_as_good(self, house: House) -> None:
        sid = house.conversation()
        before = await house.attributes(sid)
        due = await house.due()
        house.fault(house.mark, before=[house.writes()])
        house.fault(ChatHouse.session, skip=1, action="status", status=400, code=80608, message="Open")
        assert (await house.retire(due)).outcomes == {sid: Outcome.SKIPPED_OPEN_TASK}
        await house.assert_live(sid, before)

    async def test_a_session_that_cannot_be_opened_again_is_a_failure(self, house: House) -> None:
        sid = house.conversation()
        due = await house.due()
        house.fault(ChatHouse.session, before=[house.writes()])
        house.fault(ChatHouse.session, action="status", status=400, code=80609, message="No")
        report = await house.retire(due)
        assert report.outcomes == {sid: Outcome.FAILED}
        assert isinstance(report.errors[sid], TwilioRefused)

    async def test_a_customer_who_goes_on_in_another_channel_by_then_has_one_task(self, house: House) -> None:
        """A text came before the session was closed, and one right behind, which started a fresh channel."""
        sid = house.conversation()
        due = await house.due()
        house.fault(ChatHouse.session, before=[house.writes()])
        house.fault(house.mark, after=[house.writes()])
        assert (await house.retire(due)).outcomes == {sid: Outcome.SKIPPED_OPEN_TASK}
        arrived = house.control.customer(CUSTOMER, house.number, "Hello?")
        assert arrived["channel_sid"] != sid
        tasks = house.control.state()["tables"]["tasks"]
        (task,) = [json.loads(task["attributes"]) for task in tasks if task["status"] in OPEN_STATUSES]
        assert (task["channelSid"], task["sourceChatChannelSid"]) == (arrived["channel_sid"], sid)
        # Or the next send would take the channel without a session for the customer's.
        assert (await house.attributes(sid))["status"] == "INACTIVE"

    async def test_a_channel_that_flex_ends_while_it_is_short_lived_by_our_mark_is_put_back(
        self, house: House
    ) -> None:
        """A text came before it was suspended, and an agent has ended its task before the second look."""
        sid = house.conversation()
        before = await house.attributes(sid)
        due = await house.due()
        writes, completes = house.comes_and_goes(sid)
        house.fault(house.mark, before=[writes], after=[completes])
        assert (await house.retire(due)).outcomes == {sid: Outcome.SKIPPED_CHANGED}
        session_sid = (await house.attributes(sid))["proxySession"]
        assert session_sid != before["proxySession"]
        await house.assert_live(sid, {**before, "proxySession": session_sid})

    async def test_it_stays_ended_where_its_customer_goes_on_in_another_channel_by_then(
        self, house: House
    ) -> None:
        sid = house.conversation()
        due = await house.due()
        writes, completes = house.comes_and_goes(sid)
        house.fault(house.mark, before=[writes], after=[completes, writes])
        assert (await house.retire(due)).outcomes == {sid: Outcome.SKIPPED_CHANGED}
        assert (await house.attributes(sid))["status"] == "INACTIVE"
        arrived = house.control.customer(CUSTOMER, house.number, "Hello?")
        tasks = house.control.state()["tables"]["tasks"]
        (task,) = [json.loads(task["attributes"]) for task in tasks if task["status"] in OPEN_STATUSES]
        assert task["channelSid"] == arrived["channel_sid"] != sid

    @pytest.mark.parametrize("why", ["short-lived by others", "no flow has the number"])
    async def test_it_stays_ended_where_nobody_can_put_it_back(self, house: House, why: str) -> None:
        sid = house.conversation()
        if why == "short-lived by others":
            house.set_attributes(sid, long_lived=False)
        else:
            none = {"flex_flows": [], "meta": {"key": "flex_flows", "next_page_url": None}}
            house.fault({"method": "GET", "path": "/FlexFlows$"}, action="answer", body=json.dumps(none))
        due = await house.due()
        writes, completes = house.comes_and_goes(sid)
        house.fault(house.mark, before=[writes], after=[completes])
        assert (await house.retire(due)).outcomes == {sid: Outcome.SKIPPED_CHANGED}
        assert (await house.attributes(sid))["status"] == "INACTIVE"
        assert house.control.customer(CUSTOMER, house.number, "Hello?")["outcome"] == "started"

    async def test_a_live_channel_whose_session_an_earlier_cleanup_closed_gets_it_back(
        self, house: House
    ) -> None:
        sid = house.conversation()
        before = await house.attributes(sid)
        due = await house.due()
        house.control.perform(house.writes())
        service = house.account.client.proxy.v1.services(house.account.settings.session_service_sid)
        await service.sessions(before["proxySession"]).update_async(status="closed")
        assert (await house.retire(due)).outcomes == {sid: Outcome.SKIPPED_OPEN_TASK}
        await house.assert_live(sid, before)


@pytest.mark.parametrize("house", [ConversationsHouse], indirect=True)
class TestConversations:
    async def state(self, house: House, sid: str) -> str:
        conversation: Any = await house.account.client.conversations.v1.conversations(sid).fetch_async()
        return str(conversation.state)

    async def test_it_is_closed_for_good(self, house: House) -> None:
        sid = house.conversation()
        await house.clean()
        assert await self.state(house, sid) == "closed"

    async def test_without_an_interaction_channel_the_conversation_itself_is_closed(
        self, house: House
    ) -> None:
        sid = house.conversation()
        (due,) = await house.due()
        assert (await house.retire([replace(due, links={})])).outcomes == {sid: Outcome.DEACTIVATED}
        assert await self.state(house, sid) == "closed"
        await house.assert_retired(sid)

    @pytest.mark.parametrize("action", Action)
    async def test_an_interaction_channel_that_twilio_forgot_is_no_failure(
        self, house: House, action: Action
    ) -> None:
        sid = house.conversation()
        due = await house.due()
        house.fault(ConversationsHouse.close, action="status", status=404)
        await house.retire(due, action)
        assert await house.channels() == ([sid] if action is Action.DEACTIVATE else [])
        if action is Action.DEACTIVATE:
            await house.assert_retired(sid)

    @pytest.mark.parametrize("when", ["at once", "before the update", "before it is closed"])
    async def test_one_that_somebody_closed_is_a_success(self, house: House, when: str) -> None:
        sid = house.conversation()
        (due,) = await house.due()
        due = replace(due, links={})
        somebody = {"agent": {"action": "complete", "channel_sid": sid}}
        if when == "at once":
            await house.account.client.conversations.v1.conversations(sid).update_async(state="closed")
            assert (await house.retire([due])).outcomes == {sid: Outcome.ALREADY_GONE}
            return
        # The agent of a conversation that nobody parks closes it with the task: a text and its answer, in between.
        house.control.settings(keep_conversations_open=False)
        match = {**house.mark, "path": f"/{sid}$"}
        house.fault(match, skip=when != "before the update", before=[house.writes(), somebody])
        await house.retire([due])
        assert await self.state(house, sid) == "closed"

    async def test_a_second_try_closes_what_the_first_one_only_retired(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flexsms.twilio.client.http_client.ATTEMPTS", 2)
        sid = house.conversation()
        due = await house.due()
        house.fault(ConversationsHouse.close, times=None, action="status", status=503)
        first = await house.retire(due)
        assert first.outcomes == {sid: Outcome.FAILED}
        assert first.worth_retrying
        house.control.clear_faults()
        assert (await house.retire(due)).outcomes == {sid: Outcome.DEACTIVATED}
        await house.assert_retired(sid)

    async def test_one_that_may_not_be_closed_is_taken_up_again_by_the_next_run(self, house: House) -> None:
        sid = house.conversation()
        due = [replace(channel, links={}) for channel in await house.due()]
        house.fault(house.mark, skip=1, action="status", status=403, code=50400, message="No")
        assert (await house.retire(due)).outcomes == {sid: Outcome.FAILED}
        assert (await house.clean(days=0)).outcomes == {sid: Outcome.DEACTIVATED}
        await house.assert_retired(sid)

    async def test_an_update_whose_answers_were_all_lost_is_undone(self, house: House) -> None:
        sid = house.conversation()
        before = await house.attributes(sid)
        due = await house.due()
        house.fault(house.mark, times=3, action="drop_after")
        report = await house.retire(due)
        assert report.outcomes == {sid: Outcome.FAILED}
        assert report.worth_retrying
        await house.assert_live(sid, before)
