"""``/flexsms/channels/{channel_sid}``: what flexsms knows of one channel. Asks Twilio Sync, with one call."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Response, status

from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import FlexSmsError, TwilioError, UnreadableState
from flexsms.hooks.twilio import TwilioHook
from flexsms.options import conn_id_option
from flexsms.web.access import may_track
from flexsms.web.openapi import LOOK_UP

ANSWER_WITHIN_S = 10

router = APIRouter()

ChannelSid = Annotated[str, Path(pattern="^CH[0-9a-f]{32}$")]


# In a thread: the hook's connection cannot be read in the API server's event loop.
@router.get("/channels/{channel_sid}", dependencies=[Depends(may_track)], **LOOK_UP)
def look_up(channel_sid: ChannelSid, response: Response) -> dict[str, Any]:
    """The channel's document: SIDs, moments and words of flexsms, no number and no text.

    :param channel_sid: CH…
    """
    response.headers["Cache-Control"] = "no-store"

    async def load(account: Any) -> Any:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await account.store.load(channel_sid)

    try:
        stored = TwilioHook(conn_id_option()).run(load)
    except TimeoutError:
        raise HTTPException(
            status.HTTP_502_BAD_GATEWAY,
            f"Twilio has not answered for {ANSWER_WITHIN_S} seconds; try again later.",
        ) from None
    except (TwilioError, UnreadableState) as error:
        raise HTTPException(status.HTTP_502_BAD_GATEWAY, str(error)) from None
    except FlexSmsError as error:
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, str(error)) from None
    if stored is None:
        raise HTTPException(
            status.HTTP_404_NOT_FOUND,
            "There is no document for this channel: no task event has named it, or cleanup deleted it long ago.",
        )
    return summary(stored.state)


def summary(state: ChannelState) -> dict[str, Any]:
    """What the page shows of a channel."""
    document = state.to_json()
    shown = ("channel_sid", "stack", "status", "open_tasks", "last_ended_at", "retired")
    return {**{name: document[name] for name in shown}, "type": state.link("type")}
