"""
### Set up a Twilio account

Creates what flexsms needs and is missing, and leaves what is there. Run it as often as you like, also after a run
that was killed: it creates nothing twice.

#### Start with a dry run

`dry_run` is on in the form, because the last step decides where customers' texts lead. Look at the table in the log
of `setup`. Then trigger it again with `dry_run` off.

#### What it creates

1. Sync service: the one that the connection names, or a new one named `flexsms`.
2. Event Streams: a sink that posts task events to `events_url`, or puts them into a Kinesis stream; and one
   subscription with all task events that count, at a fixed schema version. For a changed URL it creates a new sink,
   and removes the old one when the new one is subscribed. So no event is lost. If you give neither a URL nor a
   stream, it keeps the sink that is there.
3. Number, on stack `chat`: its two Flex Flows, `studio` for texts that customers write and `task` for texts that
   flexsms sends. On stack `conversations`: its address configuration, which runs the Studio flow.

#### What it leaves

Sinks of another name, and flows and address configurations that lead elsewhere than the connection says. The table
names them. With `overwrite`, it changes flows and address configurations of the number, too.

#### Who may trigger it

Whoever may trigger it decides where customers' texts and events lead: give that right to administrators only. Events
go to the connection's URL or stream, or to this Airflow. For any other place, use `flexsms setup` on the command
line.

#### Result

The XCom of `setup`:

* `rows`, each with `what`, `state`, `sid` and `note`
* `connection_extra`: what the extra of the connection has to hold now. `flexsms setup --write` stores it
* `dry_run`, `api_calls`

#### When it is red and waits for you

A Kinesis sink works only after its test event was read. Take the value of `data.test_id` from the stream, and
trigger the DAG again with it as `test_id`.

The [dashboard](flexsms/dashboard) shows whether all is well since then.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param

from flexsms.core.setup_report import STREAM_NAME
from flexsms.operators.setup import FlexSetupOperator
from flexsms.params import conn_param, flag_param, form, phone_param, refuse_unknown, text_param
from flexsms.retry_policy import task_defaults

with DAG(
    dag_id="flexsms_setup",
    dag_display_name="flexsms: set up",
    description="Make what flexsms needs in a Twilio account: Sync service, Event Streams, a number.",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(minutes=10)),
    tags=["flexsms", "twilio", "setup"],
    params=form(
        dry_run=flag_param(True, "Dry run", "Change nothing; only say what would be done."),
        number=phone_param(
            "Your Twilio number",
            "The number to set up, E.164, like +14155550100. Empty: no number is set up.",
            default=None,
            type=["null", "string"],
            section="Number",
        ),
        studio_flow_sid=text_param(
            "Studio flow",
            "FW… of the flow that runs when a customer writes. Empty: the connection's.",
            section="Number",
        ),
        workflow_sid=text_param(
            "Workflow",
            "Stack chat: WW… of the workflow that routes the tasks of texts that flexsms sends. Empty: the "
            "connection's.",
            section="Number",
        ),
        long_lived=flag_param(
            True,
            "Long-lived channels",
            "Stack chat: channels stay open after their task, until flexsms_cleanup retires them.",
            section="Number",
        ),
        janitor=flag_param(
            True,
            "Janitor",
            "Stack chat: Flex closes the session of a task that was deleted outside the Flex UI.",
            section="Number",
        ),
        overwrite=flag_param(
            False,
            "Overwrite",
            "Also change flows and address configurations of the number that lead elsewhere.",
            section="Number",
        ),
        events_url=text_param(
            "Events URL",
            "Where Twilio posts events, like https://airflow.example.com/flexsms/events: the connection's URL, or one "
            "of this Airflow. Empty: set-up keeps the current sink, or uses the connection's URL. If there is neither, "
            "it does not set up Event Streams.",
            section="Event Streams",
        ),
        kinesis=Param(
            None,
            type=["null", "object"],
            title="Kinesis sink",
            description='Instead of events_url: {"arn": "…", "role_arn": "…", "external_id": "…"} of the connection\'s '
            "kinesis_stream. null: no Kinesis sink.",
            section="Event Streams",
        ),
        test_id=text_param(
            "Test event of the Kinesis sink",
            "Only if the run before was red and asked for it: the value of data.test_id in the test event that Twilio "
            "has put into the Kinesis stream.",
            section="Event Streams",
        ),
        stream_name=Param(
            STREAM_NAME,
            type="string",
            title="Name of the sink",
            description="The description of the sink at Twilio. flexsms recognises its own sink by it. Airflows that "
            "share an account need different ones.",
            section="Event Streams",
        ),
        twilio_conn_id=conn_param(),
    ),
) as dag:
    # Straight from the form: a template would make numbers of texts like +14155550100.
    filled: dict[str, Any] = {name: dag.param(name) for name in dag.params}
    preview = filled.pop("dry_run")
    FlexSetupOperator(
        task_id="setup",
        doc_md="Creates what is missing. The table in the log says what it found and did. **If it is red**, do what "
        "the first error in the log says, and trigger it again: it creates nothing twice.",
        pre_execute=refuse_unknown,
        preview=preview,
        **filled,
    )
