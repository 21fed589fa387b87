"""taskrouter v1: workspace events (https://www.twilio.com/docs/taskrouter/api/event)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Any

from ...http import Invalid, NotFound, Response, ok
from ...routing.call import Call
from ...routing.paging import page
from ...routing.params import Params, integer, moment, text
from ...routing.router import router
from ...state.account import EmulatedAccount
from ...state.clock import iso
from ...state.delivery_queue import draws
from ...state.rows.taskrouter import Event
from . import tasks
from .workspace_routes import HOST, WS, workspace_of

api = router(HOST)


def event_json(account: EmulatedAccount, event: Event) -> dict[str, Any]:
    base = f"https://{HOST}/v1/Workspaces/{event.parent}"
    return {
        "sid": event.sid,
        "account_sid": account.account_sid,
        "workspace_sid": event.parent,
        "event_type": event.type,
        "event_date": iso(event.ms / 1000),
        "event_date_ms": event.ms,
        "event_data": event.data,
        "description": event.description,
        "resource_type": event.resource_type,
        "resource_sid": event.resource_sid,
        "resource_url": f"{base}/Tasks/{event.resource_sid}" if event.resource_type == "task" else None,
        "actor_type": event.actor_type,
        "actor_sid": event.actor_sid,
        "actor_url": f"{base}/Workers/{event.actor_sid}" if event.actor_type == "worker" else None,
        "source": "twilio",
        "source_ip_address": "127.0.0.1",
        "url": f"{base}/Events/{event.sid}",
    }


EVENT_KEYS = {
    "TaskSid": "task_sid",
    "ReservationSid": "reservation_sid",
    "WorkerSid": "worker_sid",
    "TaskQueueSid": "task_queue_sid",
    "WorkflowSid": "workflow_sid",
    "TaskChannel": "task_channel_unique_name",
}


@api.get(
    WS + "/Events",
    Params(
        {name: text() for name in EVENT_KEYS},
        EventType=text(),
        StartDate=moment(),
        EndDate=moment(),
        Minutes=integer(0),
        Sid=text(),
    ),
    paged=True,
)
def list_events(call: Call, workspace: str) -> Response:
    """In the order that a switch says. The window is inclusive at both ends, and `Minutes` back
    from now (15 unless given) when no date is given. Nothing is older than 30 days. A bare `Page` above 0 is
    40153."""
    parent = workspace_of(call, workspace).sid
    if "PageToken" not in call.request.query and call.request.query.get("Page", ["0"])[-1] not in ("", "0"):
        raise Invalid("Page is not supported by Events, follow next_page_url", 40153)
    now = call.account.clock.now()
    oldest = now - tasks.EVENTS_KEPT_S
    if "StartDate" not in call.p and "EndDate" not in call.p:
        first, last = now - 60 * call.p.get("Minutes", 15), now
    else:
        first, last = call.p.get("StartDate", oldest), call.p.get("EndDate", now)
    # EndDate has second precision on the wire: the whole of that second belongs to the window.
    low, high = (int(max(first, oldest) * 1000), 0), (int(last * 1000) + 999, float("inf"))
    order, keep = call.account.store.events.under(parent), _event_filter(call.account, call.p)

    oldest_first = call.account.settings.event_order == "oldest"

    def rows(start: Any, back: bool) -> Iterator[tuple[Any, Event]]:
        if back != oldest_first:
            begin = low if start is None else start
            ahead = order.forward(begin, inclusive=start is None)
            found = takewhile(lambda pair: pair[0] <= high, ahead)
        else:
            begin = high if start is None else min(high, start)
            found = takewhile(lambda pair: pair[0] >= low, order.backward(begin))
        return (pair for pair in found if keep(pair[1]))

    return page(
        call,
        rows,
        lambda event: event_json(call.account, event),
        key="events",
        largest=1000,
        only=not call.account.settings.event_pages,
    )


def _shown(account: EmulatedAccount, event: Event) -> bool:
    """Whether the list has come as far as this event; one that is dated ahead is in it all the same."""
    delay_s, jitter_s = account.settings.event_list_delay_s, account.settings.event_list_jitter_s
    if not delay_s and not jitter_s:
        return True
    late_s = delay_s + jitter_s * draws(account.sids.seed, event.sid)[0]
    return event.created + late_s <= account.clock.now()


def _event_filter(account: EmulatedAccount, p: dict[str, Any]) -> Callable[[Event], bool]:
    kind, sid = p.get("EventType"), p.get("Sid")
    wanted = [(key, p[name]) for name, key in EVENT_KEYS.items() if name in p]

    def keep(event: Event) -> bool:
        return (
            kind in (None, event.type)
            and sid in (None, event.sid)
            and _shown(account, event)
            and all(isinstance(event.data, dict) and event.data.get(key) == value for key, value in wanted)
        )

    return keep


@api.get(WS + "/Events/{event}")
def fetch_event(call: Call, workspace: str, sid: str) -> Response:
    event = call.account.store.events.within(workspace_of(call, workspace).sid, sid)
    if (
        event is None
        or not _shown(call.account, event)
        or event.created < call.account.clock.now() - tasks.EVENTS_KEPT_S
    ):
        raise NotFound(call.request.path)
    return ok(event_json(call.account, event))
