"""How far one channel of a batch has come on its way to be retired."""

from __future__ import annotations

from dataclasses import dataclass

from flexsms.core.exceptions import FlexSmsError
from flexsms.twilio.cleanup.outcomes import Outcome
from flexsms.twilio.cleanup.scan import DueChannel


@dataclass(slots=True, eq=False)
class ChannelProgress:
    """What one try of a batch knows of a channel.

    :param outcome: what has become of it so far
    :param error: what went wrong with it
    :param was_found: this try has found it at Twilio
    :param was_active: it was in use until this try suspended it
    :param is_being_retired: it goes on to the next step, because it neither failed nor was put back
    :param retired_by_us: nobody had retired it before us, so it may be put back, whatever became of it
    :param never_suspended: no try has suspended it, so we are not who made it inactive
    :param was_marked: an earlier try has marked it as retired
    :param moved_on: its customer goes on in another one
    :param is_unanswered: a customer wrote in it after the last task's end, and nobody was told
    :param interaction_left: it is closed, and its interaction may be open because no task named it
    """

    channel: DueChannel
    outcome: Outcome | None = None
    error: FlexSmsError | None = None
    was_found: bool = False
    was_active: bool = False
    is_being_retired: bool = False
    retired_by_us: bool = False
    never_suspended: bool = False
    was_marked: bool = False
    moved_on: bool = False
    is_unanswered: bool = False
    interaction_left: bool = False

    @property
    def sid(self) -> str:
        """The channel's SID."""
        return self.channel.channel_sid
