"""Sets a Twilio account up for flexsms, as often as one likes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import urlsplit

from airflow.sdk import BaseAsyncOperator, Context, conf

from flexsms.arguments import flag, mask, spellings
from flexsms.core.exceptions import InvalidInput, PermanentError
from flexsms.core.setup_report import STREAM_NAME, table
from flexsms.core.validation import parse_sid
from flexsms.failure_log import tell_failure
from flexsms.hooks.twilio import TwilioHook
from flexsms.templates import LiteralRows
from flexsms.twilio.client.settings import TwilioSettings
from flexsms.twilio.setup.run import Wishes, set_up


class FlexSetupOperator(LiteralRows, BaseAsyncOperator):
    """Make what flexsms needs in a Twilio account and is missing, and leave what is there.

    A Sync service, an Event Streams sink with its subscription, and per stack the Flex Flows or the address
    configuration of a number. Run again, also after it was killed, it makes nothing a second time.

    :param number: the Twilio number to set up, E.164; empty: none (templated)
    :param events_url: where Twilio posts events: the connection's, or a URL on the host of Airflow's
        ``[api] base_url``, with https. Any other is for the command line, ``flexsms setup``: who may trigger a DAG must
        not send customers' events wherever they like. Without it and ``kinesis`` they stay on their way, else go to the
        connection's (templated)
    :param kinesis: instead, ``{"arn", "role_arn", "external_id"}`` of a Kinesis sink, as a mapping or JSON; the ARN has
        to be the connection's ``kinesis_stream`` (templated)
    :param test_id: of the sink's test event, for a sink that has to be validated (templated)
    :param stream_name: the description by which our sink is known; every Airflow that shares the account needs its own
        (templated)
    :param studio_flow_sid: FW…, what runs when a customer writes; empty: the connection's (templated)
    :param workflow_sid: WW…, stack ``chat``: what routes tasks; empty: the connection's (templated)
    :param long_lived: stack ``chat``: of the Flex Flows (templated)
    :param janitor: stack ``chat``: of the Flex Flows (templated)
    :param overwrite: also change what is there and leads elsewhere (templated)
    :param preview: a dry run: change nothing (templated)
    :param twilio_conn_id: the Airflow connection (templated)
    :return: ``{"dry_run", "rows": [{"what", "state", "sid", "note"}], "connection_extra", "warning", "api_calls"}``
    :raises InvalidInput: when an argument is wrong
    :raises MissingSetting: when the connection lacks what has to be known
    :raises PermanentError: when set-up goes on only after a person has done something; what it left is in XCom all the
        same
    """

    template_fields: Sequence[str] = (
        "number",
        "events_url",
        "kinesis",
        "test_id",
        "stream_name",
        "studio_flow_sid",
        "workflow_sid",
        "long_lived",
        "janitor",
        "overwrite",
        "preview",
        "twilio_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"kinesis": "json"}
    ui_color = "#efe8f8"
    execute = tell_failure(BaseAsyncOperator.execute)

    def __init__(
        self,
        *,
        number: str | None = None,
        events_url: str | None = None,
        kinesis: Mapping[str, Any] | str | None = None,
        test_id: str | None = None,
        stream_name: str = STREAM_NAME,
        studio_flow_sid: str | None = None,
        workflow_sid: str | None = None,
        long_lived: bool | str = True,
        janitor: bool | str = True,
        overwrite: bool | str = False,
        preview: bool | str = False,
        twilio_conn_id: str = TwilioHook.default_conn_name,
        render_template_as_native_obj: bool | None = False,
        **kwargs: Any,
    ) -> None:
        # A number is a text, whatever the DAG renders.
        super().__init__(render_template_as_native_obj=render_template_as_native_obj, **kwargs)
        self.number = number
        self.events_url = events_url
        self.kinesis = kinesis
        self.test_id = test_id
        self.stream_name = stream_name
        self.studio_flow_sid = studio_flow_sid
        self.workflow_sid = workflow_sid
        self.long_lived = long_lived
        self.janitor = janitor
        self.overwrite = overwrite
        self.preview = preview
        self.twilio_conn_id = twilio_conn_id

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        """Mask the number before Airflow stores the rendered fields. See :class:`FlexSendOperator`."""
        super()._do_render_template_fields(parent, *args, **kwargs)
        mask(spellings(self.number))

    async def aexecute(self, context: Context) -> dict[str, Any]:
        """Check everything, then make what is missing."""
        wishes = Wishes(
            number=self.number or "",
            events_url=self.events_url or "",
            kinesis=_kinesis(self.kinesis),
            test_id=self.test_id or "",
            stream_name=self.stream_name,
            studio_flow_sid=parse_sid("studio_flow_sid", "FW", self.studio_flow_sid) or "",
            workflow_sid=parse_sid("workflow_sid", "WW", self.workflow_sid) or "",
            long_lived=flag("long_lived", self.long_lived),
            janitor=flag("janitor", self.janitor),
            overwrite=flag("overwrite", self.overwrite),
            dry_run=flag("dry_run", self.preview),
        )
        async with TwilioHook(self.twilio_conn_id).account() as account:
            _check_destination(wishes, account.settings)
            report = await set_up(account, wishes)
            lacking = report.lacking(account.settings)
        self.log.info(
            "%s\n%s", "Dry run, nothing was changed:" if report.dry_run else "Set up:", table(report.rows)
        )
        if lacking:
            self.log.info(
                "Add this to the extra of the connection '%s':\n%s",
                self.twilio_conn_id,
                json.dumps(lacking, indent=2),
            )
        else:
            self.log.info("The connection '%s' has all of it.", self.twilio_conn_id)
        if report.warning:
            self.log.warning("%s", report.warning)
        result = report.to_json()
        if report.waiting and not report.dry_run:
            context["ti"].xcom_push("return_value", result)
            raise PermanentError(" ".join(f"{row.what} {row.sid}: {row.note}." for row in report.waiting))
        return result


def _kinesis(value: Mapping[str, Any] | str | None) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except ValueError:
            value = "not JSON"
    if value is not None and not isinstance(value, Mapping):
        raise InvalidInput("kinesis", "is not an object", "give arn, role_arn and external_id as JSON")
    return value or {}


def _check_destination(wishes: Wishes, settings: TwilioSettings) -> None:
    """Events name customers: they go where an administrator has said, or to this Airflow.

    :raises InvalidInput: for any other place
    """
    remedy = "write it into the Airflow connection, or run flexsms setup on the command line"
    arn = wishes.kinesis.get("arn")
    if arn and arn != settings.kinesis_stream:
        raise InvalidInput("kinesis", "has an ARN that is not the connection's kinesis_stream", remedy)
    url = wishes.events_url.strip()
    if url and url != settings.events_url and not _is_here(url, for_sandbox=bool(settings.base_url)):
        raise InvalidInput(
            "events_url",
            "is neither the connection's nor with https on the host of Airflow's [api] base_url",
            remedy,
        )


def _is_here(url: str, *, for_sandbox: bool) -> bool:
    """Whether a URL leads to this Airflow, without anybody reading along.

    :param for_sandbox: whether the account is one of a sandbox, which posts to the machine that it runs on
    """
    try:
        there, here = urlsplit(url), urlsplit(conf.get("api", "base_url", fallback=""))
        ports = {"http": 80, "https": 443}
        if there.port == 0 or (there.hostname, there.port or ports.get(there.scheme)) != (
            here.hostname,
            here.port or ports.get(here.scheme),
        ):
            return False
    except ValueError:  # a host or port that is none
        return False
    return there.scheme == "https" or (
        for_sandbox and there.scheme == "http" and there.hostname in ("127.0.0.1", "localhost", "::1")
    )
