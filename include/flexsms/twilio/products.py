"""Which of Twilio's products the settings need, and whether each answers: the connection test and the doctor ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexsms.core.errors import FlexSmsError, NotAuthorized, NotFound
from flexsms.core.events import StackName

if TYPE_CHECKING:
    from twilio.rest import Client

    from flexsms.twilio.account import Account

# Product, the connection field that names what is asked for (Flex needs none), and how to ask.
Question = tuple[str, str, Callable[[str], Awaitable[object]]]


@dataclass(frozen=True, slots=True)
class Product:
    """What a product answered.

    :param field: the connection field that names what was asked for; empty for none
    :param problem: a sentence; empty when it answers
    :param is_unauthorized: whether it does not know the credentials
    """

    name: str
    field: str
    problem: str = ""
    is_unauthorized: bool = False


async def ask_products(account: Account) -> list[Product]:
    """Ask every product that the settings name, all at once."""
    return await asyncio.gather(*(_ask(account, *question) for question in _questions(account)))


async def _ask(account: Account, name: str, field: str, ask: Callable[[str], Awaitable[object]]) -> Product:
    sid = getattr(account.settings, field) if field else "(none)"
    if not sid:
        return Product(name, field, f"{field} is empty.")
    try:
        await ask(sid)
    except NotFound:
        return Product(name, field, f"{sid} not found; check {field or 'the account'}.")
    except FlexSmsError as error:
        unauthorized = isinstance(error, NotAuthorized) and error.status == 401
        return Product(name, field, str(error), is_unauthorized=unauthorized)
    return Product(name, field)


def _questions(account: Account) -> list[Question]:
    client, settings = account.client, account.settings
    workspace = client.taskrouter.v1.workspaces(settings.workspace_sid)
    routing: list[Question] = [
        ("Workflow", "workflow_sid", lambda sid: workspace.workflows(sid).fetch_async()),
        ("Queue", "queue_sid", lambda sid: workspace.task_queues(sid).fetch_async()),
    ]
    of_stack: dict[StackName, list[Question]] = {
        StackName.CHAT: [
            ("Chat", "chat_service_sid", lambda sid: client.chat.v2.services(sid).fetch_async()),
            ("Proxy", "session_service_sid", lambda sid: client.proxy.v1.services(sid).fetch_async()),
            ("Flex", "", lambda _: client.flex_api.v1.flex_flow.page_async(page_size=1)),
        ],
        StackName.CONVERSATIONS: [
            ("Conversations", "", lambda _: client.conversations.v1.configuration().fetch_async()),
            ("Interactions", "", lambda _: _ask_interactions(client)),
            *(question for question in routing if getattr(settings, question[1])),
        ],
    }
    return [
        ("Sync", "sync_service_sid", lambda sid: client.sync.v1.services(sid).fetch_async()),
        ("TaskRouter", "workspace_sid", lambda _: workspace.fetch_async()),
        *(question for stack in settings.stacks for question in of_stack[stack]),
    ]


async def _ask_interactions(client: Client) -> None:
    """There is no list of interactions. Who may ask for one that nobody has is told that it is not there."""
    with suppress(NotFound):
        await client.flex_api.v1.interaction("KD" + "0" * 32).fetch_async()
