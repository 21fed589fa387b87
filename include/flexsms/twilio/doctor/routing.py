"""Examines the routing of tasks and of customers' answers: workspaces, workflows and Studio flows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from flexsms.core.checks import Finding, Verdict
from flexsms.core.exceptions import NotAuthorized, NotFound
from flexsms.core.redaction import mask_number
from flexsms.core.stack_name import StackName
from flexsms.twilio.account import Account
from flexsms.twilio.stacks.chat.proxy_sessions import OPEN
from flexsms.twilio.stacks.own_numbers import sms_addresses, sms_flows
from flexsms.twilio.taskrouter.task_list import OPEN_STATUSES, attributes_of, shown

DRAFT = "draft"
MOST_SESSIONS = 1000
NAMED = 5


class RoutingDoctor:
    """Examines where the account's texts lead. What several numbers share is asked for once."""

    def __init__(self, account: Account) -> None:
        self._client = account.client
        self._settings = account.settings
        self._problems: dict[str, str] = {}

    async def workflow(self) -> list[Finding]:
        """Whether Flex can tell by which workflow to route an interaction of route ``agent``."""
        about, settings = "Workflow", self._settings
        if settings.stack is StackName.CHAT or settings.workflow_sid or not settings.workspace_sid:
            return []  # one that is named is asked for as a product
        workflows = self._client.taskrouter.v1.workspaces(settings.workspace_sid).workflows
        found = await workflows.list_async(limit=2)
        if len(found) == 1:
            return [Finding(about, Verdict.OK, f"{found[0].sid} is the workspace's only one")]
        said = "and the workspace has several" if found else "and the workspace has none"
        return [
            Finding(about, Verdict.WRONG, f"workflow_sid is empty, {said}; give one, or route agent fails")
        ]

    async def named_agents(self) -> list[Finding]:
        """Whether the workflow prefers the agent whom `target_worker_sid` names."""
        about, settings = "Named agents", self._settings
        if settings.stack is StackName.CHAT or not (settings.workspace_sid and settings.workflow_sid):
            return []
        workspace = self._client.taskrouter.v1.workspaces(settings.workspace_sid)
        workflow: Any = await workspace.workflows(settings.workflow_sid).fetch_async()
        if "targetWorkerSid" in str(workflow.configuration):
            return [Finding(about, Verdict.OK, "the workflow knows targetWorkerSid")]
        said = (
            "the workflow does not know targetWorkerSid, so target_worker_sid of a text changes nothing; give it a "
            "target task.targetWorkerSid == worker.sid, and behind that one for everybody "
            f"({settings.workflow_sid})"
        )
        return [Finding(about, Verdict.NOTE, said)]

    async def open_tasks(self) -> list[Finding]:
        """Whether a list of tasks tells which channels they are about, which cleaning up asks for."""
        about = "Open tasks"
        if not self._settings.workspace_sid:
            return []
        tasks = self._client.taskrouter.v1.workspaces(self._settings.workspace_sid).tasks
        found = await tasks.list_async(assignment_status=OPEN_STATUSES, limit=1, page_size=1)
        if not found:
            said = "there is none just now, so nobody can tell whether lists show attributes; ask again later"
            return [Finding(about, Verdict.NOTE, said)]
        if shown(found[0]) is not None:
            return [Finding(about, Verdict.OK, "TaskRouter's lists show their attributes")]
        await attributes_of(found[0])
        said = "TaskRouter's lists do not show their attributes; cleanup fetches each task, which is one call more"
        return [Finding(about, Verdict.NOTE, said)]

    async def service(self) -> list[Finding]:
        """Whether conversations are looked for where Flex has them."""
        about, settings = "Flex's conversations", self._settings
        if settings.stack is StackName.CHAT:
            return []
        try:
            flex: Any = await self._client.flex_api.v1.configuration().fetch_async()
        except (NotAuthorized, NotFound) as error:
            return [Finding(about, Verdict.NOTE, f"this login may not ask which service Flex uses: {error}")]
        configuration: Any = await self._client.conversations.v1.configuration().fetch_async()
        uses, default = flex.chat_service_instance_sid, configuration.default_chat_service_sid
        ours = settings.conversations_service_sid or default
        if uses in (None, ours):
            return [Finding(about, Verdict.OK, f"are in {ours}")]
        named = (
            "conversations_service_sid"
            if settings.conversations_service_sid
            else "the account's default service"
        )
        remedy = "leave that field empty" if uses == default else f"set conversations_service_sid to {uses}"
        return [Finding(about, Verdict.WRONG, f"are in {uses}, and {named} is {ours}; {remedy}")]

    async def studio(self) -> list[Finding]:
        """Whether the Studio flow that answers customers of route ``studio`` is there."""
        about, sid = "Studio flow", self._settings.studio_flow_sid
        if self._settings.stack is StackName.CHAT:
            return []  # there the number's own flow answers
        if not sid:
            said = "studio_flow_sid is empty; route studio fails until it is given"
            return [Finding(about, Verdict.NOTE, said)]
        try:
            problem = await self.flow_problem(sid)
        except NotAuthorized as error:
            return [Finding(about, Verdict.NOTE, f"this login may not look at it: {error}")]
        if problem:
            return [
                Finding(about, Verdict.WRONG, f"{problem}; correct studio_flow_sid, or route studio fails")
            ]
        return [Finding(about, Verdict.OK, f"{sid} is published")]

    async def moving(self) -> list[Finding]:
        """What an account that is moving over, number by number, has left on Programmable Chat.

        A send does not look for it: Proxy does not list sessions by number. One call per 100 sessions, up to ten, and
        one per 1000 Flex Flows.
        """
        about, settings = "Moving over", self._settings
        if settings.stack is StackName.CHAT or not settings.has_chat:
            return []
        moved = {str(one.address) for one in await sms_addresses(self._client)}
        both = [flow for flow in await sms_flows(self._client) if flow.contact_identity in moved]
        sessions = self._client.proxy.v1.services(settings.session_service_sid).sessions
        listed = await sessions.list_async(page_size=100, limit=MOST_SESSIONS)
        count = sum(str(session.status) in OPEN for session in listed)
        told = [
            f"{mask_number(str(flow.contact_identity))} has an address configuration, and still Flex Flow {flow.sid}; "
            "delete that one"
            for flow in both[:NAMED]
        ]
        if count:
            least = "at least " if len(listed) == MOST_SESSIONS else ""
            told.append(
                f"{least}{count} Proxy sessions are open; their customers answer into the old channels until "
                "flexsms_cleanup closes these"
            )
        if told:
            return [Finding(about, Verdict.NOTE, "; ".join(told))]
        return [Finding(about, Verdict.OK, "no Proxy session is open, and no number has a Flex Flow as well")]

    async def flow_problem(self, flow_sid: str) -> str:
        """What is wrong with a Studio flow, empty: nothing.

        :raises NotAuthorized: when this login may not look at it
        """

        async def examine() -> str:
            flow: Any = await self._client.studio.v2.flows(flow_sid).fetch_async()
            return (
                f"Studio flow {flow_sid} is a draft that was never published" if flow.status == DRAFT else ""
            )

        return await self._once(f"Studio flow {flow_sid}", examine)

    async def task_problem(self, workspace_sid: str, workflow_sid: str) -> str:
        """What is wrong with where tasks are made, empty: nothing.

        :raises NotAuthorized: when this login may not look at it
        """
        workspace = self._client.taskrouter.v1.workspaces(workspace_sid)

        async def examine_workspace() -> str:
            if self._settings.workspace_sid in ("", workspace_sid):
                return ""  # which is looked at as a product
            await workspace.fetch_async()
            return f"workspace {workspace_sid} is not workspace_sid, whose tasks alone are tracked"

        async def examine_workflow() -> str:
            await workspace.workflows(workflow_sid).fetch_async()
            return ""

        return await self._once(f"workspace {workspace_sid}", examine_workspace) or await self._once(
            f"workflow {workflow_sid}", examine_workflow
        )

    async def _once(self, what: str, examine: Callable[[], Awaitable[str]]) -> str:
        if what not in self._problems:
            try:
                self._problems[what] = await examine()
            except NotFound:
                self._problems[what] = f"{what} is not in this account"
        return self._problems[what]
