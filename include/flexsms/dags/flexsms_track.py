"""
### Keep track of every channel's tasks

Reads task events and keeps one Twilio Sync document per channel, `flexsms.<channel sid>`. It says which of the
channel's tasks are open, and when the last one ended. `flexsms_cleanup` decides by these documents.

#### Sources

* `taskrouter`: TaskRouter's own list, every ten minutes.
* `inbox`: what Event Streams posts to `/flexsms/events`. Posts start a run, at most once a minute.
* `http`: any collector.
* `kinesis`: the stream that Event Streams writes to.

Whatever a source misses or repeats, the states come out the same. A run that reads a stream also asks TaskRouter if
nobody has for three hours, so an outage of the stream leaves no gap.

#### Where a run starts

The first run reads back the 30 days that TaskRouter keeps. Every later one starts where the one before stopped, less
`lookback_minutes`, because events may come late. Posts of the inbox move to `done/` once they are stored, and to
`rejected/` if something cannot be read, with the reason beside them.

#### Result

The XCom of `track`, and the `extra` of the asset event. A run without changes emits no event.

* `events`, `channels`, `created`, `updated`, `unchanged`
* `ignored` (no messaging channel), `ignored_by` (the reasons), `foreign` (by workspace or account)
* `placed`: ends without a channel that met their task
* `rejected`, `rejects`: unreadable events, the first ones by name
* `parked`, `cursor`, `read_up_to`, `api_calls`, `duration_s`

#### Parked channels

Their documents hold no channel state. The run that meets such a document first fails and names it; later ones list
it. Repair or delete the document. What is learnt of the channel meanwhile waits in the state of the asset.

#### When it is red

Nothing is lost: the cursor moves only after everything before it is stored, so the next run reads the same again.

* To fill a gap that you know of, give `since` and `until`. The cursor stays where it is.
* To read 30 days anew, delete `cursor.taskrouter.<workspace SID>` from the state of the asset
  `flexsms_channel_state`.

The [dashboard](flexsms/dashboard#behind) shows how far tracking is behind.
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
        doc_md="Reads events and stores what changed. Its log says up to which moment events are read. **If it is "
        "red**, nothing is lost: do what the first error in the log says. The next run reads the same again.",
        pre_execute=refuse_unknown,
        source="{{ 'inbox' if dag_run.run_type == 'asset_triggered' else params.source }}",
        fallback="{{ params.source }}",
        lookback_minutes="{{ params.lookback_minutes }}",
        since="{{ params.since or '' }}",
        until="{{ params.until or '' }}",
        twilio_conn_id="{{ params.twilio_conn_id }}",
    )
