"""
### Text a list of people

Each person on the list gets one text, at a decent local hour. Replies reach Flex as any customer's do.

#### Start small

Trigger it with `dry_run`, and read the log of `check`: who is left out and why, what it costs at least, when the first
and the last text leave. `check.csv`, beside the list, says it row by row. Then trigger it without.

#### The list

A CSV or JSON Lines file, or a query. It has a column `to_number`, and if you like `to_name`, `zone` (like
`Europe/Berlin`) and whatever the text names in braces. `Dear {first_name}, …` needs a column `first_name`.

#### Tasks

1. `check` reads the whole list. It leaves out numbers that are wrong, repeated, opted out, or texted before in this
   campaign, and texts that lack a field.
2. `approve` waits for a person when more are texted than `approve_over` says.
3. `send` works through the list in batches, several at a time. Hours and opt-outs are looked at again right before each
   text. Outside the hours, a batch waits without a worker.
4. `delivery` finds out which texts have arrived.
5. `report` always runs. It writes `report.csv`, a line per row of the list, and says the totals in one sentence.

#### Sent once

Nobody gets two texts under one `campaign` within a year, whatever crashes, and whatever you trigger again. Run the same
campaign again, and only those without a text get one. To text the same people anew, give another `campaign`.

#### Pause, resume, cancel

| What you do | Batches that send | Texts not yet sent |
|---|---|---|
| Pause the DAG | go on to their end | of batches that have not begun, wait until you resume |
| Resume it | go on | leave, within their hours |
| Mark the run as failed | stop; a text that has begun leaves or does not, and the ledger knows | do not leave |
| Clear `send` | begin again, and leave out who has a text | leave |

After a run that was marked as failed, run the campaign again: it texts whoever is missing.

#### Result

The XCom of `report`, and the `extra` of the asset event:

* `campaign`, `rows`, `texted`, `segments`, `duration_s`
* `delivered`, `not_delivered`, `sent`: of those that were texted. `sent`: nobody knows yet
* `invalid`, `repeated`, `texted_before`, `suppressed`, `too_late`, `stopped`, `failed`, `unknown`: of the others
* `failed_by_code`, `not_delivered_by_code`: by Twilio's error code

`report.csv` has the last four digits of numbers, and no text. The file with whole numbers and texts, `texts.jsonl`, is
removed once nothing is left to be sent.

#### When it is red

The first error in the log of the red task says the cause and what to do. Then clear the task, or run the campaign
again; both text nobody twice.

The [dashboard](flexsms/dashboard#broadcasts) shows how far a broadcast is.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param

from flexsms.operators.broadcast import FlexBroadcastOperator
from flexsms.operators.broadcast_approval import FlexBroadcastApprovalOperator
from flexsms.operators.broadcast_check import FlexBroadcastCheckOperator
from flexsms.operators.broadcast_report import FlexBroadcastReportOperator
from flexsms.options import flag_option, hours_option, whole_number_option
from flexsms.params import (
    approve_over_param,
    choice_param,
    conn_param,
    flag_param,
    form,
    phone_param,
    refuse_unknown,
    text_param,
)
from flexsms.retry_policy import task_defaults
from flexsms.sensors.broadcast_delivery import FlexBroadcastDeliverySensor

with DAG(
    dag_id="flexsms_broadcast",
    dag_display_name="flexsms: broadcast",
    description="Text a list of people, each once, at a decent local hour.",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args=task_defaults(execution_timeout=timedelta(hours=2)),
    tags=["flexsms", "twilio", "sms"],
    params=form(
        campaign=Param(
            type="string",
            minLength=1,
            maxLength=200,
            title="Campaign",
            description="Nobody is texted twice under this name, whatever the text: like visits-2026-12-01.",
        ),
        recipients=text_param(
            "List",
            "Where the list is: a path or URL that ends with .csv or .jsonl, like s3://aws_default@lists/visits.csv. "
            "Every worker has to reach it. Empty if you give a query.",
        ),
        from_number=phone_param(
            "From",
            "Your Twilio number, E.164, like +14155550100. Several, separated by commas, share the list.",
            from_option="from_number",
            maxLength=2000,
        ),
        body=Param(
            type="string",
            minLength=1,
            title="Text",
            description="{first_name} is what the list says in the column first_name.",
            format="multiline",
        ),
        route=choice_param(
            {
                "studio": "fire-and-forget, a reply runs the Studio flow",
                "agent": "opens a task for an agent with every text",
            },
            "Route",
            "Where replies go.",
        ),
        dry_run=flag_param(False, "Dry run", "Send nothing; only check the list."),
        approve_over=approve_over_param(
            "broadcast_approve_over",
            "If more people are to be texted, the run waits for a person's approval, for at most 12 hours.",
        ),
        sql=text_param(
            "Query",
            "A query with the columns of a list, in the place of a file.",
            format="multiline",
            section="A query in the place of a file",
        ),
        sql_conn_id=text_param(
            "Connection of the query",
            "The Airflow connection of the database.",
            maxLength=200,
            section="A query in the place of a file",
        ),
        hours=Param(
            hours_option(),
            type="string",
            title="Hours",
            description="Texts leave between these hours of the recipient's local time, like 08:00-21:00.",
            section="When",
        ),
        days=Param(
            "mon-sun",
            type="string",
            title="Days",
            description="The days on which these hours begin, like mon-fri or mon-thu,sat.",
            section="When",
        ),
        not_before=text_param(
            "Not before",
            "No text leaves before, like 2026-12-01T16:00:00Z.",
            format="date-time",
            section="When",
        ),
        not_after=text_param(
            "Not after",
            "No text leaves from then on; those that are left are too late.",
            format="date-time",
            section="When",
        ),
        max_per_second=Param(
            1,
            type="number",
            exclusiveMinimum=0,
            maximum=1000,
            title="Max per second",
            description="Texts a second from each sending number, over all workers. What your number may send depends "
            "on its kind and its registration.",
            section="How fast",
        ),
        max_open_tasks=Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Max open tasks",
            description="While the workspace has more open tasks, sending waits, so that agents keep up with replies. "
            "Empty: any number.",
            section="How fast",
        ),
        stop_over=Param(
            0.2,
            type="number",
            minimum=0,
            # Not a plain maximum: of 20 Airflow's form would make 1 without a word, and that is never.
            allOf=[{"maximum": 1}],
            title="Stop over",
            description="If a larger share of the texts fails, nothing more is sent. 0.2 is a fifth; it counts from 50 "
            "texts on.",
            section="How fast",
        ),
        delivery_minutes=Param(
            60,
            type="integer",
            minimum=0,
            maximum=10080,
            title="Wait for delivery",
            description="For so many minutes the run waits for texts of which nobody knows whether they have arrived. "
            "0: not at all.",
            section="Delivery and connection",
        ),
        twilio_conn_id=conn_param(
            "The Airflow connection of type twilio to send with.", section="Delivery and connection"
        ),
    ),
) as dag:
    # Straight from the form: a template would make numbers of texts like +14155550100.
    filled: dict[str, Any] = {name: dag.param(name) for name in dag.params}
    # What is mapped takes templates only.
    templates = {name: f"{{{{ '' if params.{name} is none else params.{name} }}}}" for name in dag.params}
    rules = (
        "campaign",
        "route",
        "hours",
        "days",
        "not_before",
        "not_after",
        "max_per_second",
        "twilio_conn_id",
    )
    rows = ("recipients", "sql", "sql_conn_id", "from_number", "body")
    check = FlexBroadcastCheckOperator(
        task_id="check",
        doc_md="Reads the list, and writes what is to be sent. **If it is red**, nobody was texted. Do what the first "
        "error in the log says, then clear this task, or trigger a new run.",
        pre_execute=refuse_unknown,
        preview=filled["dry_run"],
        **{name: filled[name] for name in (*rows, *rules)},
    )
    approve = FlexBroadcastApprovalOperator(
        task_id="approve",
        doc_md="Waits for a person if more are texted than `approve_over`. Answer under Required Actions of the run. "
        "**If it is red**, nobody was texted: do what the first error in the log says. Marking it as success approves "
        "nothing.",
        plan_task_id="check",
        approve_over=filled["approve_over"],
        preview=filled["dry_run"],
        second_person=flag_option("second_person"),
    )
    send = FlexBroadcastOperator.partial(
        task_id="send",
        doc_md="Sends one batch. **If it is red**, some of its texts did not leave; the others have. The first error "
        "in the log says why, and what to do. Then clear it, or run the campaign again: nobody is texted twice.",
        map_index_template="{{ task.batch['label'] }}",
        preview="{{ params.dry_run }}",
        plan_task_id="check",
        approval_task_id="approve",
        execution_timeout=timedelta(hours=12),
        max_active_tis_per_dagrun=whole_number_option("broadcast_workers", low=1, high=64),
        **{name: templates[name] for name in ("max_open_tasks", "stop_over", *rules)},
    ).expand(batch=check.output)
    delivery = FlexBroadcastDeliverySensor(
        task_id="delivery",
        doc_md="Finds out which texts have arrived. Those that have not do not make it red: see `report`. **If it is "
        "red**, do what the first error in the log says, and clear it: it never sends. **If it is skipped**, nothing "
        "was sent, or nobody has reported.",
        plan_task_id="check",
        minutes=filled["delivery_minutes"],
        preview=filled["dry_run"],
        twilio_conn_id=filled["twilio_conn_id"],
    )
    report = FlexBroadcastReportOperator(
        task_id="report",
        doc_md="Says what became of everybody, as a warning if some got no text. It is green even if the run is red. "
        "**If it is red**, there was no plan: look at `check`.",
        plan_task_id="check",
        approval_task_id="approve",
        preview=filled["dry_run"],
    )
    check >> approve >> send >> delivery.as_teardown()
    # Teardowns run whatever happened before them, and leave it to `send` whether the run has failed.
    [check, send, delivery] >> report.as_teardown()
