"""What has to be found without a search: the active channel, the open session or conversation of a pair of
numbers, the tasks of a channel, how many tasks there are."""

from __future__ import annotations

from .rows.chat import Channel
from .rows.conversations import Conversation, FlexChannel, Member
from .rows.proxy import Session
from .rows.taskrouter import Task
from .tables import Store
from .text_index import TextIndex

TaskGroup = tuple[str, str, int]  # channel, status and priority


class Indexes:
    """Indexes over several tables. They follow from the rows, so that a snapshot leaves them out."""

    def __init__(self) -> None:
        self.store = Store()
        self.rebuild()

    def rebuild(self) -> None:
        store = self.store
        self.active: dict[tuple[str, str, str], dict[str, None]] = {}  # flow, customer, number -> channels
        self.pairs: dict[tuple[str, str], str] = {}  # identifier, proxy number -> open session
        self.bound: dict[tuple[str, str], str] = {}  # address, proxy address -> open conversation
        self.people: dict[str, dict[str, None]] = {}  # address or identity -> members
        self.channel_tasks: dict[str, dict[str, None]] = {}  # channel or conversation -> tasks not removed
        self.task_groups: dict[TaskGroup, dict[str, None]] = {}
        self._group_of: dict[str, TaskGroup] = {}
        self.flex_channels: dict[str, dict[str, None]] = {}  # conversation -> interaction channels
        for channel in store.channels:
            self.index_channel(channel)
        for session in store.sessions:
            self.index_session(session)
        for member in store.members:
            self.index_member(member)
        for task in store.tasks:
            self.index_task(task)
            self.count_task(task)
        for flex_channel in store.flex_channels:
            self.index_flex_channel(flex_channel)
        self.texts = TextIndex([*store.outbox, *store.inbox])

    def index_channel(self, channel: Channel) -> None:
        """Whether a contact of the pair finds this channel: decided by its `status` attribute alone."""
        if not (channel.flow_sid and channel.customer and channel.number):
            return
        here = self.active.setdefault((channel.flow_sid, channel.customer, channel.number), {})
        if channel.active and self.store.channels.get(channel.sid) is channel:
            here.setdefault(channel.sid)
        else:
            here.pop(channel.sid, None)

    def index_session(self, session: Session) -> None:
        """Only open sessions hold their number pairs."""
        is_open = (
            session.status in ("open", "in-progress") and self.store.sessions.get(session.sid) is session
        )
        for _, one in self.store.participants.under(session.sid).forward():
            if not one.proxy_identifier:
                continue
            pair = (one.identifier, one.proxy_identifier)
            if is_open and one.deleted is None:
                self.pairs[pair] = session.sid
            elif self.pairs.get(pair) == session.sid:
                del self.pairs[pair]

    def holds_pair(self, conversation: Conversation) -> bool:
        """Whether its number pairs belong to it: not those of a closed one."""
        return conversation.open

    def index_conversation(self, conversation: Conversation) -> None:
        for _, member in self.store.members.under(conversation.sid).forward():
            self._bind(member, self.holds_pair(conversation))

    def index_member(self, member: Member, *, present: bool = True) -> None:
        for who in (member.address, member.identity):
            here = self.people.setdefault(who, {}) if who else {}
            if present:
                here.setdefault(member.sid)
            else:
                here.pop(member.sid, None)
        conversation = self.store.conversations.get(member.parent)
        self._bind(member, present and conversation is not None and self.holds_pair(conversation))

    def _bind(self, member: Member, holds: bool) -> None:
        if not (member.address and member.proxy_address):
            return
        pair = (member.address, member.proxy_address)
        if holds:
            self.bound[pair] = member.parent
        elif self.bound.get(pair) == member.parent:
            del self.bound[pair]

    def index_task(self, task: Task, *, present: bool = True) -> None:
        for sid in (task.channel_sid, task.conversation_sid):
            here = self.channel_tasks.setdefault(sid, {}) if sid else {}
            if present:
                here.setdefault(task.sid)
            else:
                here.pop(task.sid, None)

    def count_task(self, task: Task, *, present: bool = True) -> None:
        """In its group, behind those that were in there before."""
        group = (task.channel_name, task.status, task.priority) if present else None
        before = self._group_of.get(task.sid)
        if before == group:
            return
        if before:
            del self._group_of[task.sid], self.task_groups[before][task.sid]
        if group:
            self._group_of[task.sid] = group
            self.task_groups.setdefault(group, {})[task.sid] = None

    def index_flex_channel(self, channel: FlexChannel) -> None:
        self.flex_channels.setdefault(channel.conversation_sid, {}).setdefault(channel.sid)
