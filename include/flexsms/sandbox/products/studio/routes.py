"""studio v2: the account's flows, which are there to be looked at.

Source: https://www.twilio.com/docs/studio/rest-api/v2/flow
"""

from __future__ import annotations

from typing import Any

from ...http import Response, ok
from ...routing.call import Call
from ...routing.paging import page, walk
from ...routing.router import router
from ...state.account import EmulatedAccount
from ...state.rows.row import dates
from ...state.rows.shared import Fixture

HOST = "studio.twilio.com"
api = router(HOST)


def flow_json(account: EmulatedAccount, row: Fixture) -> dict[str, Any]:
    url = f"https://{HOST}/v2/Flows/{row.sid}"
    return {
        "sid": row.sid,
        "account_sid": account.account_sid,
        "friendly_name": row.name,
        "definition": {"description": row.name, "states": [], "initial_state": "Trigger", "flags": {}},
        "status": row.settings.get("status", "published"),
        "revision": 1,
        "commit_message": None,
        "valid": True,
        "errors": [],
        "warnings": [],
        **dates(row),
        "webhook_url": f"https://webhooks.twilio.com/v1/Accounts/{account.account_sid}/Flows/{row.sid}",
        "url": url,
        "links": {
            "test_users": f"{url}/TestUsers",
            "revisions": f"{url}/Revisions",
            "executions": f"{url}/Executions",
        },
    }


@api.get("/v2/Flows", paged=True)
def list_flows(call: Call) -> Response:
    """A list has nothing of what is in a flow: so the published example."""
    left_out = dict.fromkeys(("definition", "valid", "errors", "warnings"))
    rows = walk(call.account.store.fixtures.under("studio"))
    return page(
        call, rows, lambda row: {**flow_json(call.account, row), **left_out}, key="flows", largest=1000
    )


@api.get("/v2/Flows/{flow}")
def fetch_flow(call: Call, sid: str) -> Response:
    row = call.found(call.account.store.fixtures.within("studio", sid))
    return ok(flow_json(call.account, row))
