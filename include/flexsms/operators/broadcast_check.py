"""Checks a list of recipients before anybody is texted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, Context, XComArg, conf

from flexsms.arguments import flag, mask, spellings
from flexsms.core.broadcast_schedule import Schedule, foretell, local_time
from flexsms.core.broadcast_totals import many
from flexsms.core.exceptions import InvalidInput
from flexsms.core.list_problems import TOLD
from flexsms.core.message_fields import MessageFields
from flexsms.core.outbound_message import Route
from flexsms.core.phone_numbers import parse_number
from flexsms.core.recipient import check_columns
from flexsms.core.sending_hours import DEFAULT_DAYS, DEFAULT_HOURS
from flexsms.core.zone_groups import in_order
from flexsms.failure_log import tell_failure
from flexsms.hooks.twilio import TwilioHook
from flexsms.operators.broadcast_rules import parse_campaign, parse_rules
from flexsms.operators.broadcast_xcom import PLAN_KEY, BroadcastPlan
from flexsms.operators.newest_try import NewestTry
from flexsms.recipients.folder import CHECK, LEFT_OUT, BroadcastFolder
from flexsms.templates import LiteralRows
from flexsms.twilio.client import clock

if TYPE_CHECKING:
    from flexsms.core.number_digest import NumberDigest
    from flexsms.recipients.check import Checked, Order
    from flexsms.recipients.rows import Row
    from flexsms.recipients.spool import Spool
    from flexsms.recipients.work_list import WorkList
    from flexsms.twilio.broadcast.rules import BroadcastRules


class FlexBroadcastCheckOperator(LiteralRows, BaseOperator):
    """Read a whole list of recipients, say what is wrong with it, and write the texts that are to be sent.

    Map :class:`flexsms.operators.broadcast.FlexBroadcastOperator` over the result::

        check = FlexBroadcastCheckOperator(task_id="check", recipients="s3://…/spring.csv", …)
        send = FlexBroadcastOperator.partial(task_id="send").expand(batch=check.output)

    A list is a CSV or JSON Lines file, a query, or what an upstream task has returned: objects with a value for each
    column. It has the column ``to_number``, and if you like ``to_name``, ``zone`` (an IANA name) and whatever the body
    names in braces. It is read row by row, and takes the same memory whatever its length.

    A row is left out when its number is invalid or gets no texts, when a field of the body has no value, when the text
    is longer than 1600 characters, when nobody knows the recipient's time zone or its zones have no hour in common,
    when the number came before in the list, when it was texted in this campaign, or when it has opted out. So a check
    of a campaign that is over finds nobody, and one of a campaign that was stopped whoever is missing.

    The files of a run are beside the list, in ``<list>.<campaign>/<dag>/<run>/<task>/``, and those of a mapped check in
    a folder of its number below that; of a query and of an upstream task they are below the option ``[flexsms]
    broadcast_path``. ``check.csv`` says of each row what is wrong with it, its segments and encoding, which character
    makes it UCS-2, and from when it may leave. Whole numbers and texts are in ``texts.jsonl`` only. A check that runs
    again replaces all of them.

    :param recipients: the URL of a file that ends with ``.csv`` or ``.jsonl``, and ``.gz`` if it is packed; or objects,
        like the output of an upstream task (templated)
    :param sql: a query, in the place of ``recipients`` (templated)
    :param sql_conn_id: the Airflow connection of the query's database (templated)
    :param from_number: the Twilio number to send from, E.164, or several: a list, or separated by commas. Each
        recipient always gets the same one (templated)
    :param body: the text. ``{first_name}`` is what the list says in the column ``first_name`` (templated)
    :param campaign: nobody is texted twice under this name (templated)
    :param route: ``studio`` or ``agent``, where replies go (templated)
    :param hours: local hours in which texts may leave, like ``08:00-21:00`` (templated)
    :param days: days of the week on which these hours begin, like ``mon-fri`` (templated)
    :param not_before: nothing leaves before, ISO 8601, UTC if it names no offset (templated)
    :param not_after: nothing leaves from then on (templated)
    :param max_per_second: texts a second of each sending number, by which the end is foretold; empty: as many as the
        limits of the account leave room for (templated)
    :param preview: a dry run: check only (templated)
    :param twilio_conn_id: the Airflow connection (templated)
    :return: the batches, each ``{"number", "label", "folder", "start", "end", "texts", "zones", "digest"}``, at most
        1000; one without texts where nobody is texted. Under the key ``plan`` also ``{"campaign", "folder", "rows",
        "texts", "left_out", "segments", "encodings", "cost", "first_at", "last_at", "opted_out", "checked_at",
        "problems", …}``; see :class:`flexsms.operators.broadcast_xcom.BroadcastPlan`
    :raises InvalidInput: when an argument is wrong, or the list cannot be read
    :raises NoConnection: when Airflow has no such connection
    :raises PermanentError: when the account has lost the key by which it knows whom it has texted
    :raises TryReplaced: when a newer try of the task has begun meanwhile
    """

    template_fields: Sequence[str] = (
        "recipients",
        "sql",
        "sql_conn_id",
        "from_number",
        "body",
        "campaign",
        "route",
        "hours",
        "days",
        "not_before",
        "not_after",
        "max_per_second",
        "preview",
        "twilio_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}
    ui_color = "#fdf3e1"

    def __init__(
        self,
        *,
        from_number: str | Sequence[str],
        body: str,
        campaign: str,
        recipients: str | Iterable[Mapping[str, Any]] | XComArg | None = None,
        sql: str | None = None,
        sql_conn_id: str | None = None,
        route: str = Route.STUDIO,
        hours: str = DEFAULT_HOURS,
        days: str = DEFAULT_DAYS,
        not_before: str | None = None,
        not_after: str | None = None,
        max_per_second: float | str | None = None,
        preview: bool | str = False,
        twilio_conn_id: str = TwilioHook.default_conn_name,
        render_template_as_native_obj: bool | None = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(render_template_as_native_obj=render_template_as_native_obj, **kwargs)
        self.recipients: Any = recipients
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.from_number = from_number
        self.body = body
        self.campaign = campaign
        self.route = route
        self.hours = hours
        self.days = days
        self.not_before = not_before
        self.not_after = not_after
        self.max_per_second = max_per_second
        self.preview = preview
        self.twilio_conn_id = twilio_conn_id
        self._given: Iterable[object] | None = None

    def _do_render_template_fields(self, parent: Any, *args: Any, **kwargs: Any) -> None:
        """Keep what is personal out of the rendered fields, which Airflow stores.

        This method and not ``render_template_fields``, which Airflow does not call for a mapped task.
        """
        super()._do_render_template_fields(parent, *args, **kwargs)
        if self.recipients is not None and not isinstance(self.recipients, str):
            self._given, self.recipients = self.recipients, "objects of an upstream task"
        mask({str(self.body), *(found for sender in self._senders() for found in spellings(sender))})

    @tell_failure
    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Ask Twilio who is not texted, read the list, write the files."""
        # Here, because the DAG processor imports this module again and again, and never checks.
        from flexsms.recipients.account_facts import ask
        from flexsms.recipients.source import ListSource
        from flexsms.recipients.spool import Spool
        from flexsms.twilio.broadcast.prices import least_cost

        rules = parse_rules(
            route=self.route,
            hours=self.hours,
            days=self.days,
            not_before=self.not_before,
            not_after=self.not_after,
            max_per_second=self.max_per_second,
            max_open_tasks=None,
            stop_over=None,
        )
        order = self._order(rules)
        source = ListSource.parse(self.recipients, self._given, self.sql, self.sql_conn_id)
        campaign = parse_campaign(self.campaign)
        hook, ti = TwilioHook(self.twilio_conn_id), context["ti"]
        newest = NewestTry(context)
        which = [] if ti.map_index in (None, -1) else [str(ti.map_index)]
        url = source.folder(campaign, [ti.dag_id, ti.run_id, ti.task_id, *which])
        with Spool() as spool:
            facts = hook.run(lambda account: ask(account, order, campaign, rules, spool))
            rows = source.rows(lambda columns: check_columns(columns, order.body))
            # A list that cannot be read gets no folder beside it.
            first = list(islice(rows, 1))
            folder = BroadcastFolder(url)
            # The batches of a newer try may be at work on these files.
            newest.refuse_if_replaced()
            folder.clear()
            checked = _check(chain(first, rows), order, spool, facts.digest, folder)
            found = self._work_list(order, spool, checked, folder)
        cost, unknown = hook.run(lambda account: least_cost(account.client, checked.segments))
        newest.refuse_if_replaced()
        schedule = foretell(
            checked.texts, order.hours, since=order.since, until=order.not_after, per_second=facts.per_second
        )
        is_one_group = len(checked.texts) == 1
        problems = [
            *_late(schedule, facts.per_second),
            *(
                [f"The cost is not known: Twilio lists no price for {', '.join(unknown[:5])}."]
                if unknown
                else ()
            ),
            *checked.problems.sentences(below_header=source.has_header),
        ]
        plan = BroadcastPlan(
            campaign=campaign,
            folder=folder.url,
            rows=checked.rows,
            texts=checked.texts.total(),
            left_out={str(outcome): count for outcome, count in checked.left_out.items()},
            segments=checked.segments.total(),
            encodings=dict(checked.encodings),
            cost=cost.to_json() if cost else None,
            first_at=schedule.first_at.isoformat(timespec="seconds") if schedule.first_at else None,
            last_at=schedule.last_at.isoformat(timespec="seconds") if schedule.last_at else None,
            opted_out=facts.opted_out,
            checked_at=clock.utc_now().isoformat(),
            problems=problems[:TOLD],
            first_local=local_time(schedule.first_at, schedule.first_zones, is_everybodys=is_one_group),
            last_local=local_time(schedule.last_at, schedule.last_zones, is_everybodys=is_one_group),
            hours=f"{self.hours}, {self.days}",
            senders=dict(sorted(checked.senders.items())),
            route=str(rules.route),
            samples=[one.to_json() for one in found.samples],
        )
        ti.xcom_push(PLAN_KEY, plan.to_json())
        for problem in problems:
            self.log.warning("%s", problem)
        self.log.info("%s", plan.sentence(dry_run=flag("dry_run", self.preview)))
        self.log.info("What is said of each row: %s", folder.path(CHECK))
        return [batch.to_json() for batch in found.batches]

    def _order(self, rules: BroadcastRules) -> Order:
        from flexsms.recipients.check import Order

        if isinstance(self.from_number, str) and ";" in self.from_number:
            raise InvalidInput("from_number", "has numbers divided by ';'", "divide them by commas")
        senders = self._senders()
        if not senders:
            raise InvalidInput("from_number", "is empty", "give a number in E.164, like +14155550100")
        now = clock.utc_now()
        since = max(now, rules.not_before or now)
        if rules.not_after and rules.not_after <= since:
            raise InvalidInput("not_after", "is over before the first text may leave", "give a later moment")
        return Order(
            body=MessageFields.parse(self.body),
            # Each once, for a number that is written twice would get more than its share.
            from_numbers=tuple(dict.fromkeys(parse_number("from_number", sender) for sender in senders)),
            hours=rules.hours,
            since=since,
            not_after=rules.not_after,
            dry_run=flag("dry_run", self.preview),
        )

    def _senders(self) -> list[str]:
        given = self.from_number
        return [
            one for one in (given.split(",") if isinstance(given, str) else given or ()) if str(one).strip()
        ]

    def _work_list(self, order: Order, spool: Spool, checked: Checked, folder: BroadcastFolder) -> WorkList:
        from flexsms.recipients.work_list import MOST_BATCHES, WorkList, nothing, write_work_list

        if order.dry_run:
            return WorkList([nothing(folder)], [])
        most = min(MOST_BATCHES, conf.getint("core", "max_map_length"))
        groups = in_order(
            checked.texts,
            order.hours,
            since=order.since,
            until=order.not_after,
            # The other half of the batches is for groups with more texts than one batch has.
            most=max(1, most // 2),
        )
        return write_work_list(folder, spool, checked, groups, most=most)


def _check(
    rows: Iterable[Row], order: Order, spool: Spool, digest: NumberDigest, folder: BroadcastFolder
) -> Checked:
    from flexsms.recipients.check import COLUMNS, ListCheck
    from flexsms.recipients.check_file import write_check

    with folder.write(LEFT_OUT) as left_out, write_check(folder, COLUMNS) as report:
        return ListCheck(order, spool=spool, digest=digest, left_out=left_out, report=report).run(rows)


def _late(schedule: Schedule, per_second: float) -> list[str]:
    if not schedule.late:
        return []
    return [
        f"At {per_second:g} texts a second, some {many(schedule.late)} texts would leave after not_after."
    ]
