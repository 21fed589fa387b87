"""Channels whose Sync documents hold no state: what is learnt of them waits until the documents are mended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from flexsms.core.channel_state import ChannelState
from flexsms.core.exceptions import InvalidInput, UnreadableState
from flexsms.twilio.sync.channel_states import DOCUMENT_PREFIX

# A few hundred bytes each as a rule. More such documents have one cause, which a person has to see first.
MAX_PARKED = 50


class Memory(Protocol):
    """Keeps one JSON value from one run to the next."""

    def get(self) -> Any:
        """The value, None when there is none."""
        ...

    def set(self, value: Any) -> None:
        """Replace the value."""
        ...


class ParkedStates:
    """Keeps what events tell of channels whose documents hold no state.

    States merge in any order and any number of times. So nothing has to be read again once a document is repaired or
    deleted: what was kept is merged into it. A run asks for each document once, however many events it has.

    :param memory: where the states are kept; None: nowhere, so the first such document ends the run
    :ivar news: the channels that were parked since this was made, with what is wrong with their documents
    :raises InvalidInput: when the memory holds something else
    """

    def __init__(self, memory: Memory | None) -> None:
        self._memory = memory
        self._states = self._read()
        self._asked_for: set[str] = set()
        self._added: dict[str, ChannelState] = {}
        self._stored: dict[str, ChannelState] = {}
        self.news: dict[str, UnreadableState] = {}

    @property
    def channels(self) -> list[str]:
        """The channels that are parked now."""
        return sorted(self._states)

    def due(self) -> list[ChannelState]:
        """The states whose documents were not asked for since this was made."""
        return [state for sid, state in self._states.items() if sid not in self._asked_for]

    def is_unreadable(self, channel_sid: str) -> bool:
        """Whether it is known without a call that the document holds no state."""
        return channel_sid in self._states and channel_sid in self._asked_for

    def park(self, learnt: ChannelState, error: UnreadableState) -> None:
        """The document of a channel was asked for, and holds no state.

        :raises InvalidInput: when as many channels are parked as can be. Others may not be written then, so it is no
            UnreadableState, behind which everything else is up to now
        """
        sid = learnt.channel_sid
        if sid not in self._states:
            count = len(self._states)
            if self._memory is None or count >= MAX_PARKED:
                others = f", like {count} others" if count else ""
                raise InvalidInput(
                    f"document {DOCUMENT_PREFIX}{sid}",
                    f"holds no channel state{others} ({error})",
                    "delete or repair what the log names; until then nothing more is read",
                )
            self.news[sid] = error
        self._asked_for.add(sid)
        self.add(learnt)

    def add(self, learnt: ChannelState) -> None:
        """Keep more of a channel that is parked."""
        sid = learnt.channel_sid
        known = self._states.get(sid)
        self._states[sid] = self._added[sid] = learnt if known is None else known.merge(learnt)

    def release(self, stored: ChannelState) -> None:
        """A document has taken all that is known of a channel."""
        if self._states.pop(stored.channel_sid, None) is not None:
            self._stored[stored.channel_sid] = stored

    def save(self) -> None:
        """Keep the states for the next run, and those that another run has added meanwhile."""
        if self._memory is None or not (self._added or self._stored):
            return
        before = self._read()
        states = dict(before)
        for sid, added in self._added.items():
            states[sid] = states[sid].merge(added) if sid in states else added
        for sid, stored in self._stored.items():
            if sid in states and stored.merge(states[sid]) == stored:
                del states[sid]
        if states != before:
            self._memory.set({sid: state.to_json() for sid, state in states.items()})
        self._states = states
        self._added.clear()
        self._stored.clear()

    def _read(self) -> dict[str, ChannelState]:
        value: Mapping[str, Any] = (self._memory.get() if self._memory else None) or {}
        try:
            return {str(sid): ChannelState.from_json(data) for sid, data in value.items()}
        except (UnreadableState, AttributeError):
            raise InvalidInput(
                "parked",
                "is no list of channel states",
                "clear it, and read again what it has lost by `since`",
            ) from None
