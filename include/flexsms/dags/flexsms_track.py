"""
### Keep track of every channel's tasks

Pulls the task events and keeps one Twilio Sync document per channel, `flexsms.<channel sid>`: which of its tasks are
open, and when the last one ended. `flexsms_cleanup` decides by these.

Every ten minutes it asks **TaskRouter**. Where Event Streams posts to `/flexsms/events`, it also runs when something
has arrived in the **inbox**, at most once a minute; and it can pull from any collector over **HTTP**, or from the
**Kinesis** stream that Event Streams writes to. Whatever one of them misses or repeats, the states come out the same.
A run that reads a stream asks TaskRouter as well when that was last asked over three hours ago, so an outage of the
stream leaves no gap.

The first run reads back the 30 days that TaskRouter keeps. Every later one starts where the one before stopped, less
*Look back*, because events may come late. Order and repetition do not matter. Posts in the inbox are moved to `done/`
once everything in them is stored, and to `rejected/`, with the reason beside them, where something cannot be read.

**Result** (XCom of `track`, and `extra` of the asset event, which a run without changes does not emit): `events`,
`ignored` (no messaging channel) and `ignored_by` (the reasons), `foreign` (by workspace or account), `placed` (ends
without a channel that met their task), `rejected` and `rejects` (unreadable, the first ones by name), `channels`,
`created`, `updated`, `unchanged`, `parked`, `cursor`, `api_calls`, `duration_s`.

**Parked** are channels whose documents hold no channel state. The run that meets such a document first fails, and names
it; later ones list it. What is learnt of the channel waits in the state of the asset, and goes into the document once
you have repaired or deleted that.

**When it fails** nothing is lost: the cursor moves only after everything before it is stored, so the next run reads the
same again. To fill a gap that you know of, give *Read again from* and *until*; the cursor stays where it is. To read 30
days anew, delete `cursor.taskrouter.<workspace SID>` from the state of the asset `flexsms_channel_state`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param

from flexsms.assets import INBOX
from flexsms.operators.track import FlexTrackOperator
from flexsms.options import cron_option
from flexsms.params import choice_param, conn_param, form, refuse_unknown, text_param
from flexsms.retry_policy import task_defaults

with DAG(
    dag_id="flexsms_track",
    dag_display_name="flexsms: track",
    description="Pull task events and keep one Sync document per channel.",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable(cron_option("track_schedule"), timezone="UTC"), assets=INBOX
    ),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(hours=2)),
    tags=["flexsms", "twilio", "sync"],
    params=form(
        source=choice_param(
            {
                "taskrouter": "TaskRouter's own list of events",
                "inbox": "what Event Streams has posted",
                "http": "any collector, through a connection of type http",
                "kinesis": "the stream that Event Streams writes to (needs the extra [kinesis])",
            },
            "Source",
            "Where task events are read from. Runs that the inbox starts read the inbox.",
            from_option="track_source",
        ),
        lookback_minutes=Param(
            15,
            type="number",
            minimum=0,
            maximum=43200,
            title="Look back",
            description="In minutes: how far before the end of the last run reading starts, because events may come "
            "late.",
        ),
        since=text_param(
            "Read again from",
            "Only to fill a gap, with source taskrouter: reads from here on, whatever was read before. At most 30 "
            "days ago.",
            format="date-time",
        ),
        until=text_param("Read again until", "The end of the gap. Empty: now.", format="date-time"),
        twilio_conn_id=conn_param(),
    ),
) as dag:
    FlexTrackOperator(
        task_id="track",
        pre_execute=refuse_unknown,
        source="{{ 'inbox' if dag_run.run_type == 'asset_triggered' else params.source }}",
        fallback="{{ params.source }}",
        lookback_minutes="{{ params.lookback_minutes }}",
        since="{{ params.since or '' }}",
        until="{{ params.until or '' }}",
        twilio_conn_id="{{ params.twilio_conn_id }}",
    )
