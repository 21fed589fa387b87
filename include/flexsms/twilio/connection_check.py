"""Which of Twilio's products the settings need, and whether each answers: the connection test and the doctor ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexsms.core.exceptions import FlexSmsError, NotAuthorized, NotFound
from flexsms.core.stack_name import StackName

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
    :param is_refused: whether it refuses the credentials, known or not
    :param account_sid: AC…, whose the thing is that was asked for; empty where nobody knows
    """

    name: str
    field: str
    problem: str = ""
    is_unauthorized: bool = False
    is_refused: bool = False
    account_sid: str = ""


async def ask_products(account: Account) -> list[Product]:
    """Ask every product that the settings name, all at once.

    What refuses a login that is good for others is asked once more, because only by then its answer can say so.
    """
    questions = _questions(account)
    products = await asyncio.gather(*(_ask(account, *question) for question in questions))
    if not all(product.problem for product in products):
        for number, question in enumerate(questions):
            if products[number].is_refused:
                products[number] = await _ask(account, *question)
    return products


def other_account(account: Account, products: Sequence[Product]) -> str:
    """What is wrong when the products act on another account than ``account_sid``, empty for nothing.

    They go by the login alone, and an API key does not tell whose it is.
    """
    given = account.settings.account_sid
    for product in products:
        if product.account_sid.lower() not in ("", given.lower()):
            return (
                f"the login is of {product.account_sid}, on which {product.name} acts, and account_sid is {given}; "
                "give the key of the account that is meant"
            )
    return ""


async def _ask(account: Account, name: str, field: str, ask: Callable[[str], Awaitable[object]]) -> Product:
    sid = getattr(account.settings, field) if field else "(none)"
    if not sid:
        return Product(name, field, f"{field} is empty.")
    try:
        found = await ask(sid)
    except NotFound:
        return Product(name, field, f"{sid} not found; check {field or 'the account'}.")
    except FlexSmsError as error:
        refused = isinstance(error, NotAuthorized)
        unauthorized = isinstance(error, NotAuthorized) and error.status == 401
        return Product(name, field, str(error), is_unauthorized=unauthorized, is_refused=refused)
    return Product(name, field, account_sid=str(getattr(found, "account_sid", None) or ""))


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
            *(
                question
                for question in [
                    (
                        "Conversations service",
                        "conversations_service_sid",
                        lambda sid: client.conversations.v1.services(sid).fetch_async(),
                    )
                ]
                if settings.conversations_service_sid
            ),
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
