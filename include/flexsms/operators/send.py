"""Starts or continues a Flex conversation by SMS."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar, NoReturn

from airflow.sdk import BaseAsyncOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

from flexsms.arguments import flag, mask, spellings
from flexsms.assets import TEXT, text_key
from flexsms.core.exceptions import ChannelInSetup, InvalidInput, PermanentError, ServiceUnavailable
from flexsms.core.outbound_message import OutboundMessage, Route
from flexsms.core.redaction import mask_number, redact
from flexsms.failure_log import tell_failure
from flexsms.hooks.twilio import TwilioHook
from flexsms.lineage import Lineage, WithLineage
from flexsms.links import ChannelLink
from flexsms.telemetry import Metric, count, span
from flexsms.templates import LiteralRows
from flexsms.triggers.interaction_channel import FlexChannelTrigger
from flexsms.triggers.polling import TIMEOUT, TRIGGERER_GRACE, check
from flexsms.twilio.sending.progress import SendResult

LONGEST_SETUP_S = 300
LOOK_EVERY_S = 2


class FlexSendOperator(WithLineage, LiteralRows, BaseAsyncOperator):
    """Text a customer, so that agents see the text in the conversation's history.

    A text is sent once: a task that was killed and is tried again finds out from the ledger in Sync whether the text
    left, and so does any other task with the same ``idempotency_key``. Numbers, name and text are masked in logs
    and rendered fields (except a name or text of less than five characters, which Airflow's masker leaves alone).

    On the stack ``conversations`` Flex first sets up an interaction, in a second or two. The task waits for that in
    the triggerer, without a worker, and then goes on where it was: the text leaves on a worker, never in a trigger.

    Only what the DAG itself says is a template. What an upstream task returns is texted as it is, be it with braces,
    also by ``expand_kwargs``, whose rows Airflow would render (see
    :class:`flexsms.templates.LiteralRows`). Do not put data into a template by other means: in an f-string of
    the DAG, it is part of the DAG.

    Templates of this operator always give texts, also in a DAG with ``render_template_as_native_obj``: there,
    ``+14155550100`` would become a number. For an object, write ``{{ params.task_attributes | tojson }}``.

    :param from_number: the Twilio number to send from, E.164 (templated)
    :param to_number: the customer's number, E.164 (templated)
    :param body: the text, at most 1600 characters; may be empty with route ``agent`` (templated)
    :param route: ``agent`` opens a task for an agent, ``studio`` is fire-and-forget and the reply runs the Studio
        flow (templated)
    :param to_name: what agents see as the customer's name (templated)
    :param target_worker_sid: WK…, the agent who should get the task. It is an attribute, ``targetWorkerSid``, by which
        your workflow prefers the agent; whoever it falls back on gets the task of one who declines (templated)
    :param worker_only: stack ``conversations``: nobody else may get the task, past the workflow; one who declines has
        canceled it (templated)
    :param source_channel_sid: CH…, an earlier conversation to refer to (templated)
    :param task_attributes: further attributes of the task, an object or its JSON (templated)
    :param idempotency_key: a text is sent once per key; empty means once per task instance, however often it is
        tried or cleared. Of a mapped task it means once per row and run, and a row is its two numbers and its text: it
        may move in the list, but the same text twice to the same number is sent once (templated)
    :param twilio_conn_id: the Airflow connection (templated)
    :return: ``{"channel_sid", "task_sid", "session_sid", "interaction_sid", "message_sid", "reused_channel",
        "duplicate", "sent_by", "sent_at"}``: SIDs and flags, no number and no text; ``sent_by`` only of a duplicate
    :raises AirflowSkipException: when, without an ``idempotency_key``, the text was sent under the name of this task
        before it ever ran here: by another Airflow with the same account, or in a run that was deleted
    :raises InvalidInput: when an argument is wrong
    :raises OptedOut: when the recipient of a text has opted out
    :raises SendInProgress: while another task sends under the same key
    :raises InteractionFailed: when Flex could not set up the interaction; nothing was sent
    :raises UndecidedSend: when a text may have left and nobody can tell any more
    """

    template_fields: Sequence[str] = (
        "from_number",
        "to_number",
        "body",
        "route",
        "to_name",
        "target_worker_sid",
        "worker_only",
        "source_channel_sid",
        "task_attributes",
        "idempotency_key",
        "twilio_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"task_attributes": "json"}
    operator_extra_links = (ChannelLink(),)
    ui_color = "#e8f4ea"
    execute = tell_failure(BaseAsyncOperator.execute, lambda task: {"to": mask_number(str(task.to_number))})

    def __init__(
        self,
        *,
        from_number: str,
        to_number: str,
        body: str | None = None,
        route: str = Route.AGENT,
        to_name: str | None = None,
        target_worker_sid: str | None = None,
        worker_only: bool | str = False,
        source_channel_sid: str | None = None,
        task_attributes: Mapping[str, Any] | str | None = None,
        idempotency_key: str | None = None,
        twilio_conn_id: str = TwilioHook.default_conn_name,
        render_template_as_native_obj: bool | None = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            render_template_as_native_obj=render_template_as_native_obj, **{"outlets": [TEXT], **kwargs}
        )
        self.from_number = from_number
        self.to_number = to_number
        self.body = body
        self.route = route
        self.to_name = to_name
        self.target_worker_sid = target_worker_sid
        self.worker_only = worker_only
        self.source_channel_sid = source_channel_sid
        self.task_attributes = task_attributes
        self.idempotency_key = idempotency_key
        self.twilio_conn_id = twilio_conn_id
        self.console_url = ""
        self._refusal: PermanentError | None = None

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        """Mask what is personal before Airflow stores the rendered fields.

        This method and not ``render_template_fields``, which Airflow does not call for a mapped task.
        """
        super()._do_render_template_fields(parent, *args, **kwargs)
        mask(self._personal())

    async def aexecute(self, context: Context) -> dict[str, Any]:
        """Check everything, then send."""
        message = OutboundMessage.parse(
            from_number=self.from_number,
            to_number=self.to_number,
            body=self.body,
            route=self.route,
            to_name=self.to_name,
            target_worker_sid=self.target_worker_sid,
            worker_only=flag("worker_only", self.worker_only),
            source_channel_sid=self.source_channel_sid,
            task_attributes=_attributes(self.task_attributes),
        )
        for remark in message.remarks():
            self.log.warning(remark)
        ti = context["ti"]
        # Not the try number: a retry has to be recognised as the same task.
        owner = f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}"
        key, earlier_key = self.idempotency_key or owner, None
        if not self.idempotency_key and ti.map_index is not None and ti.map_index >= 0:
            key = message.row_key(owner.rpartition("/")[0])
            # Under which flexsms 0.1 sent.
            earlier_key = owner if ti.try_number > 1 else None
        try:
            async with TwilioHook(self.twilio_conn_id).account() as account:
                sender = account.sender()
                with span("send"):
                    result = await sender.send(
                        message, key=key, owner=owner, earlier_key=earlier_key, refusal=self._refusal
                    )
                self.console_url = sender.console_url(result)
                figures = _figures(message, result)
                is_sent = figures["outcome"] == "sent"
                self.lineage = Lineage(account.settings.account_sid, "", "flex/texts", int(is_sent))
                figures |= {
                    "console_url": self.console_url,
                    "stack": str(account.settings.stack),
                    "calls": account.transport.calls_by_host(),
                }
        except ChannelInSetup as setup:
            self.log.info(
                "Flex is setting up interaction channel %s; waiting.", setup.interaction_channel_sid
            )
            self._wait_for(setup)
        count(Metric.SENT, 1, **{name: str(figures[name]) for name in ("route", "stack", "outcome")})
        told = _sentence(message, result)
        is_own = result.sent_by == owner
        if is_own and ti.try_number == 1 and not self.idempotency_key:
            ti.xcom_push("return_value", result.to_json())
            raise AirflowSkipException(
                f"{told} That was before this task ever ran here: in another Airflow with the same account, or in a "
                "run that was deleted. To send the text again, trigger a run of another name."
            )
        tell = self.log.warning if result.duplicate and not is_own else self.log.info
        tell(told)
        context["outlet_events"][TEXT].extra = figures
        return result.to_json()

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Go on when the interaction is set up, or has failed: sending finds out and says so.

        Also where looking was refused, for sending holds the key, and gives it back before it fails.
        """
        try:
            if check(event)["status"] == TIMEOUT:
                raise ServiceUnavailable(
                    f"Flex has been setting up the interaction for {LONGEST_SETUP_S} s; nothing was sent yet, and "
                    "the next try goes on waiting."
                )
        except PermanentError as refusal:
            self._refusal = refusal
        return self.execute(context)

    def _wait_for(self, setup: ChannelInSetup) -> NoReturn:
        self.defer(
            trigger=FlexChannelTrigger(
                interaction_sid=setup.interaction_sid,
                interaction_channel_sid=setup.interaction_channel_sid,
                twilio_conn_id=self.twilio_conn_id,
                poll_interval_s=LOOK_EVERY_S,
                timeout_s=LONGEST_SETUP_S,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=LONGEST_SETUP_S) + TRIGGERER_GRACE,
        )

    def _personal(self) -> set[str]:
        """What nobody may read in a log or a rendered field, in every spelling that could turn up.

        As it was given, which is what Airflow renders, and as it is sent, which is what Twilio may quote.
        """
        given = [str(value) for value in (self.body, self.to_name) if value]
        found = {spelling for text in given for spelling in (text, text.strip())}
        for number in (self.from_number, self.to_number):
            found |= spellings(number)
        attributes: list[Any] = [self.task_attributes]
        with suppress(InvalidInput):  # the task says so when it runs
            attributes.append(_attributes(self.task_attributes))
        found |= {text for text in _texts(attributes) if redact(text) != text}
        return found


def _attributes(value: object) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else None
    except ValueError:
        raise InvalidInput("task_attributes", "is not JSON", 'write an object like {"vip": true}') from None


def _texts(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []


def _figures(message: OutboundMessage, result: SendResult) -> dict[str, Any]:
    """What the asset event says of a text: of its recipient the last four digits, and no text."""
    has_left = not result.duplicate and result.message_sid is not None
    return {
        "kind": "send",
        "text": text_key(result.message_sid) if result.message_sid else None,
        "outcome": "duplicate" if result.duplicate else "sent" if has_left else "no_text",
        "code": None,
        "to": mask_number(message.to_number),
        "route": str(message.route),
        "segments": message.segments.count if has_left else 0,
        "new_channel": not result.reused_channel,
    }


def _sentence(message: OutboundMessage, result: SendResult) -> str:
    """What became of the text, for a person; SIDs come last."""
    channel = f"{'reused' if result.reused_channel else 'new'} channel {result.channel_sid}"
    if result.duplicate:
        sent = f"message {result.message_sid}" if result.message_sid else "a task without a text"
        return f"Nothing sent: {result.sent_by} was first, at {result.sent_at}: {sent}, {channel}."
    recipient = mask_number(message.to_number)
    if result.message_sid is None:
        return f"No text sent to {recipient}: the agent writes first, in {channel}."
    parts = message.segments
    unit = "segment" if parts.count == 1 else "segments"
    return f"Sent to {recipient}, {parts.count} {unit} ({parts.encoding}), {channel}, message {result.message_sid}."
