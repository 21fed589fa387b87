"""Sets a Twilio account up for flexsms: Sync service, Event Streams, and a number.

Every step looks before it makes, and adopts what is there. So it may be run as often as one likes, also after a try
that was killed between any two calls, and ends with the same account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flexsms.core.exceptions import InvalidInput, MissingSetting, NotFound
from flexsms.core.phone_numbers import parse_number
from flexsms.core.setup_report import (
    KINESIS,
    STREAM_NAME,
    WEBHOOK,
    WOULD,
    Row,
    RowState,
    Target,
    standing,
    webhook,
)
from flexsms.core.stack_name import StackName
from flexsms.twilio.client.settings import GRACE_IN_TIMEOUTS, TwilioSettings
from flexsms.twilio.setup.event_streams import Patience, StreamSetup
from flexsms.twilio.setup.numbers import NumberSetup, NumberWishes
from flexsms.twilio.setup.provisioner import Provisioner
from flexsms.twilio.setup.sinks import list_sinks

if TYPE_CHECKING:
    from flexsms.twilio.account import Account

SYNC_NAME = "flexsms"
KINESIS_FIELDS = ("arn", "role_arn", "external_id")
NO_INBOX = (
    "The connection has no inbox_path. The Airflow behind the events URL needs one in its connection, or it answers "
    "Twilio's posts with 503."
)
# What the connection has to hold for what was set up; no secrets.
EXTRA_FIELDS = (
    "stack",
    "account_sid",
    "sync_service_sid",
    "workspace_sid",
    "workflow_sid",
    "queue_sid",
    "studio_flow_sid",
    "conversations_service_sid",
    "chat_service_sid",
    "session_service_sid",
    "events_url",
    "kinesis_stream",
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to set up. Fields of the connection count where these are empty.

    A run that names neither ``events_url`` nor ``kinesis`` keeps events on the way that they go, be it a Kinesis sink.

    :param number: the Twilio number, E.164; empty: no number is set up
    :param events_url: where Twilio posts events
    :param kinesis: instead of ``events_url`` ``{"arn", "role_arn", "external_id"}`` of a Kinesis sink
    :param test_id: of the test event, for a sink that has to be validated
    :param stream_name: the description by which our sink is recognised. Each Airflow that shares the account with
        another one needs its own
    :param studio_flow_sid: FW…, what runs when a customer writes
    :param workflow_sid: WW…, ``chat``: what routes the tasks of texts that are sent
    :param long_lived: ``chat``: of both Flex Flows
    :param janitor: ``chat``: of both Flex Flows
    :param overwrite: also change what is there and leads elsewhere
    :param dry_run: change nothing, and say what would be done
    """

    number: str = ""
    events_url: str = ""
    kinesis: Mapping[str, Any] = field(default_factory=dict)
    test_id: str = ""
    stream_name: str = STREAM_NAME
    studio_flow_sid: str = ""
    workflow_sid: str = ""
    long_lived: bool = True
    janitor: bool = True
    overwrite: bool = False
    dry_run: bool = False

    def target(self) -> Target | None:
        """Where this run says that events are to go, None: it does not say.

        :raises InvalidInput: when the configuration of the Kinesis sink is not complete
        """
        if self.kinesis:
            missing = [name for name in KINESIS_FIELDS if not self.kinesis.get(name)]
            unknown = sorted(set(self.kinesis) - set(KINESIS_FIELDS))
            if missing or unknown:
                raise InvalidInput(
                    "kinesis",
                    f"lacks {', '.join(missing)}" if missing else f"has {', '.join(unknown)}",
                    "give arn, role_arn and external_id",
                )
            return Target(KINESIS, dict(self.kinesis))
        return webhook(self.events_url.strip()) if self.events_url.strip() else None


@dataclass(frozen=True, slots=True)
class SetupReport:
    """What was found and done.

    :param extra: what the connection's extra has to hold for it; a field that must not say otherwise is empty
    :param api_calls: requests, repeated ones included
    :param warning: what will not work all the same, empty for nothing
    """

    rows: Sequence[Row]
    extra: Mapping[str, str]
    dry_run: bool
    api_calls: int
    warning: str = ""

    @property
    def waiting(self) -> Sequence[Row]:
        """What somebody has to do before set-up can go on."""
        return [row for row in self.rows if row.state is RowState.WAITS]

    @property
    def would_change(self) -> bool:
        """Whether a run that is no dry run would write something."""
        return any(row.state in WOULD for row in self.rows)

    def lacking(self, settings: TwilioSettings) -> dict[str, str]:
        """What of the extra a connection does not say yet.

        :param settings: the connection's
        """
        return {name: value for name, value in self.extra.items() if str(getattr(settings, name)) != value}

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "dry_run": self.dry_run,
            "rows": [{**asdict(row), "state": str(row.state)} for row in self.rows],
            "connection_extra": dict(self.extra),
            "warning": self.warning,
            "api_calls": self.api_calls,
        }


async def set_up(account: Account, wishes: Wishes, *, patience: Patience | None = None) -> SetupReport:
    """Make whatever is missing.

    :raises InvalidInput: when a wish is wrong
    :raises MissingSetting: when the connection lacks what has to be known
    """
    given = {
        name: value
        for name in ("events_url", "studio_flow_sid", "workflow_sid")
        if (value := getattr(wishes, name))
    }
    if wishes.kinesis.get("arn"):
        given["kinesis_stream"] = wishes.kinesis["arn"]
    settings = account.settings.changed(**given)
    number = parse_number("number", wishes.number) if wishes.number else ""
    target, stream_name = wishes.target(), wishes.stream_name.strip()
    if not stream_name:
        raise InvalidInput("stream_name", "is empty", "give the text by which flexsms knows its own sink")
    provisioner = Provisioner(
        dry_run=wishes.dry_run, grace=timedelta(seconds=settings.timeout_s) * GRACE_IN_TIMEOUTS
    )
    sync_service_sid = await _sync_service(account, provisioner, settings)
    if target is None and (settings.events_url or settings.kinesis_stream or wishes.test_id):
        sinks = await list_sinks(account.client)
        target = standing(sinks, stream_name, url=settings.events_url, stream=settings.kinesis_stream)
    is_only_way = False
    if target is None:
        note = "give events_url or kinesis to get events at once; without, flexsms_track asks on its schedule"
        if settings.inbox_path:
            note = "give events_url; without it nothing is taken in to inbox_path"
        provisioner.note("Sink", RowState.SKIPPED, note=note)
    else:
        is_only_way = await StreamSetup(
            account.client,
            provisioner,
            name=stream_name,
            target=target,
            test_id=wishes.test_id,
            patience=patience or Patience(),
        ).run()
    if not number:
        provisioner.note("Number", RowState.SKIPPED, note="give a number to set it up")
    else:
        of_number = NumberWishes(number, wishes.long_lived, wishes.janitor, wishes.overwrite)
        setup = NumberSetup(account.client, provisioner, settings=settings, wishes=of_number)
        await (setup.flex_flows() if settings.stack is StackName.CHAT else setup.address_configuration())
    found = replace(settings, sync_service_sid=sync_service_sid)
    extra = {name: str(value) for name in EXTRA_FIELDS if (value := getattr(found, name))}
    if target:
        extra |= _way(target, settings, is_only=is_only_way)
    has_no_inbox = target is not None and target.kind == WEBHOOK and not settings.inbox_path
    warning = NO_INBOX if has_no_inbox else ""
    return SetupReport(provisioner.rows, extra, wishes.dry_run, account.transport.total_calls, warning)


def _way(target: Target, settings: TwilioSettings, *, is_only: bool) -> dict[str, str]:
    """What the extra has to say of the way that events go.

    :param is_only: whether nothing is left of another one. As long as the old webhook delivers, its posts are checked
        by ``events_url``
    """
    here, other = (
        ("kinesis_stream", "events_url") if target.kind == KINESIS else ("events_url", "kinesis_stream")
    )
    way = {here: getattr(settings, here) or target.address}
    if target.named and is_only and getattr(settings, other):
        way[other] = ""
    return way


async def _sync_service(account: Account, provisioner: Provisioner, settings: TwilioSettings) -> str:
    """The service that the connection names, or one of our own. Returns its SID, in a dry run perhaps none."""
    services = account.client.sync.v1.services
    if settings.sync_service_sid:
        try:
            await services(settings.sync_service_sid).fetch_async()
        except NotFound as error:
            raise MissingSetting(
                "sync_service_sid",
                "names no Sync service of this account",
                "correct it, or leave it empty for set-up to make one",
            ) from error
        provisioner.note("Sync service", RowState.EXISTS, settings.sync_service_sid)
        return settings.sync_service_sid

    async def find() -> Any:
        ours = [one for one in await services.list_async(page_size=100) if one.friendly_name == SYNC_NAME]
        return min(ours, key=lambda one: (str(one.date_created), str(one.sid)), default=None)

    found, is_new = await provisioner.ensure(
        "Sync service", find, services.create_async, lambda: {"friendly_name": SYNC_NAME}, SYNC_NAME
    )
    if found and not is_new:
        provisioner.note("Sync service", RowState.EXISTS, str(found.sid), SYNC_NAME)
    return str(found.sid) if found else ""
