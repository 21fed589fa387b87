"""Waits until it is known whether a text reached the customer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue
from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

from flexsms.arguments import flag
from flexsms.assets import TEXT, text_key
from flexsms.core.delivery_status import Delivery, DeliveryStatus
from flexsms.core.exceptions import FlexSmsError, InvalidInput, NotDelivered
from flexsms.core.opt_out import OPTED_OUT
from flexsms.failure_log import tell_failure
from flexsms.hooks.twilio import TwilioHook
from flexsms.telemetry import Metric, count
from flexsms.templates import LiteralRows
from flexsms.triggers.delivery import FlexDeliveryTrigger
from flexsms.triggers.polling import TIMEOUT, TRIGGERER_GRACE, check

TOLD = "told"  # the key of what the metrics and the asset know already
# What tells which text it is, and how each of these begins.
SIDS = {"channel_sid": "CH", "session_sid": "KC", "message_sid": "IM"}


class FlexDeliverySensor(LiteralRows, BaseSensorOperator):
    """Wait for the receipt of a text that :class:`flexsms.operators.send.FlexSendOperator` sent.

    It only reads, so it may be tried again and cleared as often as you like: no second text leaves, and the metrics and
    the asset hear of an outcome once, as long as Airflow keeps the task's state.

    That Twilio did not deliver because the customer has opted out is remembered, so that the next send does not try.

    A text that was not delivered fails the task at once, also with ``soft_fail``, which skips it only when no receipt
    came in time.

    Deferrable unless you say otherwise, whatever ``[operators] default_deferrable`` is: a receipt takes seconds or
    many minutes, with nothing to do in between that would be worth a worker. Without a triggerer give
    ``deferrable=False``, and with it ``mode`` as for any sensor.

    :param sent: the XCom of FlexSendOperator, an object or its JSON (templated)
    :param wanted: whether to wait at all; otherwise the task succeeds at once (templated)
    :param twilio_conn_id: the Airflow connection that the text was sent with (templated)
    :param deferrable: wait in the triggerer instead of on a worker
    :param sensor: of BaseSensorOperator, among them ``timeout`` and ``poke_interval`` in seconds, and ``soft_fail``
    :return: ``{"status", "error_code", "sms_sid"}``: no number and no text; None where nobody wants to wait, or no text
        was sent
    :raises NotDelivered: when the text did not reach the handset
    :raises AirflowSensorTimeout: when nobody knows in time
    :raises InvalidInput: when an argument is wrong
    """

    template_fields: Sequence[str] = ("sent", "wanted", "twilio_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"sent": "json"}
    ui_color = "#e8f4ea"

    def __init__(
        self,
        *,
        sent: Any,
        wanted: bool | str = True,
        twilio_conn_id: str = TwilioHook.default_conn_name,
        deferrable: bool = True,
        **sensor: Any,
    ) -> None:
        super().__init__(**{"outlets": [TEXT], **sensor})
        self.sent = sent
        self.wanted = wanted
        self.twilio_conn_id = twilio_conn_id
        self.deferrable = deferrable
        self._known: Delivery | None = None

    @tell_failure
    def execute(self, context: Context) -> Any:
        """Look once; if nobody knows yet, wait."""
        if not flag("wanted", self.wanted):
            return self._nothing(
                "Nobody asked to wait for the delivery: whether the text arrived is not known."
            )
        if self._text()["message_sid"] is None:
            return self._nothing("No text was sent, so none can be delivered: the agent writes first.")
        if not self.deferrable:
            return self._wait_here(context)
        seen = self.poke(context)
        if seen.is_done:
            return seen.xcom_value
        return self.defer(
            trigger=FlexDeliveryTrigger(
                **self._text(),
                twilio_conn_id=self.twilio_conn_id,
                poll_interval_s=self.poke_interval,
                timeout_s=self.timeout,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout) + TRIGGERER_GRACE,
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once."""
        text = self._text()
        found = TwilioHook(self.twilio_conn_id).run(
            lambda account: account.deliveries(text["session_sid"]).delivery(**text)
        )
        if found is not None:
            self._known = found if self._known is None else self._known.merge(found)
        if self._known is None or not self._known.status.is_final:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._outcome(self._known, context))

    @tell_failure
    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:
        """Go on with what the trigger found out."""
        event = check(event)
        if event["status"] != TIMEOUT:
            return self._outcome(Delivery.from_json(event), context)
        if event["so_far"] is not None:
            self._known = Delivery.from_json(event["so_far"])
        raise AirflowSensorTimeout(self._too_late())

    def _wait_here(self, context: Context) -> Any:
        try:
            return super().execute(context)
        except (AirflowSensorTimeout, AirflowSkipException) as error:
            if self.never_fail:  # Airflow then skips whatever it was, not only what came too late
                raise
            raise type(error)(self._too_late()) from error

    def _outcome(self, delivery: Delivery, context: Context) -> dict[str, Any]:
        is_news = self._is_news(delivery, context)
        if is_news:
            _count(str(delivery.status), delivery.error_code)
        if delivery.status is not DeliveryStatus.DELIVERED:
            if is_news:
                self._remember_opt_out(delivery)
            raise NotDelivered(delivery.sentence())
        self.log.info(delivery.sentence())
        if not is_news:
            self._emit_nothing()
            return delivery.to_json()
        # Airflow emits no event of a task that fails, so a text that did not arrive has none.
        context["outlet_events"][TEXT].extra = {
            "kind": "send",
            "of": "delivery",
            "text": text_key(self._text()["message_sid"]),
            "outcome": str(delivery.status),
            "code": None,
        }
        return delivery.to_json()

    def _remember_opt_out(self, delivery: Delivery) -> None:
        """The conversation takes a text to a number that has opted out; only what became of it tells."""
        sms_sid = delivery.sms_sid
        if delivery.error_code != OPTED_OUT or not sms_sid:
            return
        try:
            hook = TwilioHook(self.twilio_conn_id)
            hook.run(lambda account: account.suppressions().learn_from_text(sms_sid))
        except FlexSmsError as error:
            self.log.warning("That the recipient has opted out could not be stored: %s", error)

    def _nothing(self, why: str) -> None:
        """There is nothing to wait for, and nothing that an asset event could tell."""
        self.log.info(why)
        self._emit_nothing()

    def _is_news(self, delivery: Delivery, context: Context) -> bool:
        """Whether the task finds out for the first time, however often it is cleared."""
        told = f"{self._text()['message_sid']} {delivery.status}"
        if context["task_state_store"].get(TOLD) == told:
            return False
        context["task_state_store"].set(TOLD, told)
        return True

    def _emit_nothing(self) -> None:
        self.outlets = [outlet for outlet in self.outlets if outlet != TEXT]

    def _text(self) -> dict[str, Any]:
        """Which text it is: the SIDs of its channel, its session and itself."""
        sent = self.sent
        remedy = "give the XCom of FlexSendOperator: its output, or in a template with | tojson"
        if isinstance(sent, str):
            try:
                sent = json.loads(sent)
            except ValueError:
                raise InvalidInput("sent", "is not JSON", remedy) from None
        if not isinstance(sent, Mapping) or not {"channel_sid", "message_sid"} <= sent.keys():
            raise InvalidInput("sent", "names no channel and no text", remedy)
        text = {name: sent.get(name) for name in SIDS}
        for name, value in text.items():
            if value is None and name != "channel_sid":
                continue
            if not isinstance(value, str) or not re.fullmatch(SIDS[name] + "[0-9a-fA-F]{32}", value):
                raise InvalidInput("sent", f"has a {name} that is no SID of that kind", remedy)
        return text

    def _too_late(self) -> str:
        """Count the text, and say in the log how far it came in time: soft_fail has words of its own."""
        _count("unknown")
        sentence = f"Not known yet: {self._how_far(f'within {self.timeout:g} s')}."
        (self.log.warning if self.soft_fail else self.log.error)("%s", sentence)
        return sentence

    def _how_far(self, within: str) -> str:
        if self._known is None:
            text = self._text()
            return (
                f"no SMS left {within}, although the text is in the conversation. The conversation, or on stack chat "
                "its Proxy session, was probably closed under it; look at the conversation in the Twilio Console, then "
                f"send again under another idempotency_key ({text['message_sid']} in {text['channel_sid']})"
            )
        sms = f" ({self._known.sms_sid})" if self._known.sms_sid else ""
        if self._known.status is DeliveryStatus.QUEUED:
            return (
                f"the SMS did not leave Twilio {within}; look at it in the Console before you send again{sms}"
            )
        return (
            f"the carrier has the text, and no receipt came {within}; that is normal for some carriers{sms}"
        )


def _count(status: str, error_code: int | None = None) -> None:
    count(Metric.DELIVERY, status=status, error_code=str(error_code or 0))
