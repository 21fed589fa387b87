"""
### Retire quiet channels

A channel is due when its last task ended at least `retention_days` ago. Every day, due channels become short-lived
(`long_lived=false`, `status=INACTIVE`) and their session or interaction is closed. The customer's next text starts a
fresh channel.

#### Tasks

1. `plan` brings the channel states up to now, and finds the channels that are due. It reads the events of a whole
   day once more, because TaskRouter may list one late.
2. `approve` waits for a person if channels are deleted, or if more are due than `approve_over` says. Otherwise it
   goes on at once.
3. `retire` works through the channels in batches, one after the other, because Twilio has rate limits. A channel
   with an open task, or with any news since the scan, is left alone. One that comes alive meanwhile is put back.
4. `report` always runs. Its log says what became of the channels.

Running it twice retires nothing the second time.

#### Before the first real run

Trigger it with `dry_run`. It writes nothing, neither to Twilio nor to the cursor. The log of `report` lists what
would be retired, and when each channel's last task ended.

#### Unanswered texts

If a customer wrote after the last task's end and nobody was told, an agent gets a task and the channel stays. With
`unanswered` set to `report`, the channel is retired and named.

#### Result

The XCom of `report`, and the `extra` of the asset event:

* `scanned`, `due`, `deactivated`, `deleted`
* `skipped_open_task`, `skipped_changed`, `already_gone`
* `skipped_type`, `other_types`: channels that are no SMS, in total and by kind
* `failed`, `failures`: the first 50, each with `channel_sid`, `code` and `message`
* `unanswered`, `unanswered_channels`
* `oldest_ended_at`, `duration_s`, `api_calls`

#### When it is red

Look at the log of the red task. The first error says the cause and what to do. What another try can heal was tried
again already, and the next run takes up the rest.

The [dashboard](flexsms/dashboard#retired) shows 90 days of cleanups.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param

from flexsms.operators.cleanup import FlexCleanupOperator
from flexsms.operators.cleanup_approval import FlexCleanupApprovalOperator
from flexsms.operators.cleanup_plan import FlexCleanupPlanOperator
from flexsms.operators.cleanup_report import FlexCleanupReportOperator
from flexsms.options import (
    channel_types_option,
    cron_option,
    flag_option,
    number_option,
    whole_number_option,
)
from flexsms.params import approve_over_param, choice_param, conn_param, flag_param, form, refuse_unknown
from flexsms.retry_policy import task_defaults

with DAG(
    dag_id="flexsms_cleanup",
    dag_display_name="flexsms: clean up",
    description="Make channels short-lived whose last task ended longer ago than the retention window.",
    doc_md=__doc__,
    # Unpausing starts nothing: without a start date and so, the first run is the next one, never the one before.
    schedule=CronTriggerTimetable(
        cron_option("cleanup_schedule"), timezone="UTC", run_immediately=timedelta()
    ),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(execution_timeout=timedelta(hours=2)),
    tags=["flexsms", "twilio", "cleanup"],
    params=form(
        retention_days=Param(
            number_option("retention_days", low=0.0007, high=3650),
            type="number",
            minimum=0.0007,
            maximum=3650,
            title="Retention",
            description="In days: a channel is due when its last task ended at least this long ago. May be a "
            "fraction: 0.5 is twelve hours.",
        ),
        action=choice_param(
            {
                "deactivate": "make channels short-lived and inactive",
                "delete": "remove channels with their history, for good",
            },
            "Action",
            "How a due channel is retired.",
            from_option="cleanup_action",
        ),
        unanswered=choice_param(
            {
                "task": "an agent gets a task for it, and the channel stays",
                "report": "name the channel in the report, and retire it",
            },
            "Unanswered texts",
            "What to do about a due channel in which the customer wrote after the last task had ended, if no task was "
            "opened for that.",
        ),
        dry_run=flag_param(False, "Dry run", "Write nothing; only say what would be done."),
        limit=Param(
            whole_number_option("cleanup_limit", low=1, high=100000),
            type="integer",
            minimum=1,
            maximum=100000,
            title="Limit",
            description="The maximum number of channels per run, longest-quiet first. The next run takes the rest.",
        ),
        approve_over=approve_over_param(
            "approve_over",
            "If more channels are due, the run waits for a person's approval, for at most 12 hours. A run with action "
            "delete always waits.",
        ),
        channel_types=Param(
            channel_types_option(),
            type="string",
            title="Channel types",
            description="The kinds of channels to retire, separated by commas, as tasks name them in channelType: sms, "
            "whatsapp, web, custom, … Channels of other kinds are left alone and counted.",
        ),
        twilio_conn_id=conn_param(),
    ),
) as dag:
    shared: dict[str, Any] = {
        "action": "{{ params.action }}",
        "unanswered": "{{ params.unanswered }}",
        "preview": "{{ params.dry_run }}",
        "channel_types": "{{ params.channel_types }}",
        "twilio_conn_id": "{{ params.twilio_conn_id }}",
    }
    # One at a time, also where a backfill has many runs at once: they all act on what is there now.
    plan = FlexCleanupPlanOperator(
        task_id="plan",
        doc_md="Finds the due channels. **If it is red**, nothing was retired. Do what the first error in the log "
        "says, then clear this task.",
        pre_execute=refuse_unknown,
        max_active_tis_per_dag=1,
        retention_days="{{ params.retention_days }}",
        limit="{{ params.limit }}",
        **shared,
    )
    # One batch at a time: the client keeps Twilio's rate limits per process.
    retire = FlexCleanupOperator.partial(
        task_id="retire",
        doc_md="Retires one batch. **If it is red**, some of its channels failed; the others are through. The first "
        "error in the log says why, and what to do. The next run takes up the rest, so you need not clear it.",
        map_index_template="{{ task.batch['label'] }}",
        approval_task_id="approve",
        max_active_tis_per_dag=1,
        **shared,
    ).expand(batch=plan.output)
    approve = FlexCleanupApprovalOperator(
        task_id="approve",
        doc_md="Waits for a person if channels are deleted, or if more are due than `approve_over`. Answer under "
        "Required Actions of the run. **If it is red**, nothing was retired: do what the first error in the log "
        "says. Marking it as success approves nothing.",
        plan_task_id="plan",
        approve_over="{{ '' if params.approve_over is none else params.approve_over }}",
        preview="{{ params.dry_run }}",
        second_person=flag_option("second_person"),
    )
    report = FlexCleanupReportOperator(
        task_id="report",
        doc_md="Says what became of the channels, as a warning if some failed. It is green even if the run is red. "
        "**If it is red**, there was no plan: look at `plan`.",
        plan_task_id="plan",
        batch_task_id="retire",
        approval_task_id="approve",
        preview="{{ params.dry_run }}",
    )
    plan >> approve >> retire
    # A teardown runs whatever happened before it, and leaves it to `retire` whether the run has failed.
    [plan, retire] >> report.as_teardown()
