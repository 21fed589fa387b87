"""Experiments with Sync, in a service of their own. Source: https://www.twilio.com/docs/sync/api"""

from __future__ import annotations

from typing import Any

from flexsms.core.exceptions import TwilioError
from flexsms.twilio.verify.experiment import Note, experiment
from flexsms.twilio.verify.own import Own, refusal

TOO_LARGE = 17 * 1024
LONG_NAME = 300


@experiment("sync-missing", "sync-too-large", "sync-name-length", "sync-if-match")
async def answers(own: Own, note: Note) -> None:
    """What Sync says to requests that it refuses, or should."""
    service = await own.sync_service()
    documents = service.documents
    missing = [
        await refusal(documents("missing").fetch_async()),
        await refusal(service.sync_maps("missing").fetch_async()),
    ]
    note("sync-missing", ", ".join(dict.fromkeys(_code(one) for one in missing)))

    refused = await refusal(documents.create_async(unique_name="large", data={"text": "x" * TOO_LARGE}))
    note("sync-too-large", f"{refused.status} with {refused.code}" if refused else "none")

    refused = await refusal(documents.create_async(unique_name="x" * LONG_NAME, data={}))
    note("sync-name-length", f"no, refused with {refused.code}" if refused else "yes")

    note("sync-if-match", await _compared(documents))


async def _compared(documents: Any) -> str:
    """What If-Match has to be, by a right and by an outdated one."""
    revision = (await documents.create_async(unique_name="guarded", data={"number": 1})).revision
    update = documents("guarded").update_async
    for wanted, says in ((revision, "the revision"), (f'"{revision}"', "the revision in quotes")):
        if await refusal(update(if_match=wanted, data={"number": 2})) is None:
            outdated = await refusal(update(if_match=wanted, data={"number": 3}))
            return says if outdated else "nothing"
    return "something else"


def _code(refused: TwilioError | None) -> str:
    return str(refused.code) if refused else "none"
