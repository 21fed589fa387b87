"""Which of Twilio's products the settings need, and whether each answers: the connection test and the doctor ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flexsms.core.exceptions import (
    FlexSmsError,
    MissingSetting,
    NotAuthorized,
    NotFound,
    ServiceUnavailable,
    Unreachable,
)
from flexsms.core.stack_name import StackName

if TYPE_CHECKING:
    from twilio.rest import Client

    from flexsms.twilio.account import Account

IN_WORKSPACE = ("workflow_sid", "queue_sid")
# Product, the connection field that names what is asked for (Flex needs none), and how to ask.
Question = tuple[str, str, Callable[[str], Awaitable[object]]]


@dataclass(frozen=True, slots=True)
class Product:
    """What a product answered.

    :param field: the connection field that names what was asked for; empty for none
    :param error: why it gives no answer, None: it answers
    :param account_sid: AC…, whose the thing is that was asked for; empty where nobody knows
    """

    name: str
    field: str
    error: FlexSmsError | None = None
    account_sid: str = ""

    @property
    def is_asked(self) -> bool:
        """Whether the settings say what to ask for."""
        return not isinstance(self.error, MissingSetting)

    @property
    def is_refused(self) -> bool:
        """Whether it refuses the login."""
        return isinstance(self.error, NotAuthorized)

    @property
    def is_unreached(self) -> bool:
        """Whether nobody was asked, because nothing leads there."""
        return isinstance(self.error, Unreachable | ServiceUnavailable) and not self.error.status


async def ask_products(account: Account) -> list[Product]:
    """Ask every product that the settings name, all at once.

    What refuses a login that is good for others is asked once more, because only by then its answer can say so. What
    stands in a workspace that is not there is left out.
    """
    questions = _questions(account)
    products = await asyncio.gather(*(_ask(account, *question) for question in questions))
    if not all(product.error for product in products):
        for number, question in enumerate(questions):
            if products[number].is_refused:
                products[number] = await _ask(account, *question)
    lost = any(
        product.field == "workspace_sid" and isinstance(product.error, NotFound) for product in products
    )
    return [product for product in products if not (lost and product.field in IN_WORKSPACE)]


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
    sid: str = getattr(account.settings, field) if field else ""
    try:
        found = await ask(account.settings.need(field) if field else "")
    except NotFound as error:
        remedy = f"names nothing in this account; correct it ({sid})" if field else "has no such product"
        return Product(name, field, NotFound(f"{field or 'The account'} {remedy}.", code=error.code))
    except FlexSmsError as error:
        return Product(name, field, error)
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
            *(question for question in routing if settings.workspace_sid and getattr(settings, question[1])),
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
