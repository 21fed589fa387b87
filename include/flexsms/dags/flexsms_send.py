"""
### Text a customer from Flex

Starts a conversation by SMS, or continues the one that the customer already has. Agents see the text in its history.

| Route | What happens |
|---|---|
| `agent` | Opens a task for an agent. The text may be left out: the agent then writes first |
| `studio` | Fire-and-forget. The customer's reply runs the number's Studio flow |

#### Trigger it

Use the form, or Airflow's REST API with the same names as `conf`:

```json
{
  "from_number": "+14155550100",
  "to_number": "+14155550199",
  "body": "Your order has left.",
  "route": "agent"
}
```

A name that is no param fails the run before anything is done.

#### Delivered?

Twilio accepts a text long before anybody knows whether it reached the handset. The task `delivery` waits for that
without a worker, at most a quarter of an hour. The first sentence of its log is the outcome:

* `Delivered`: green.
* `Not delivered`, with the cause and what to do: red.
* `Not known yet`: skipped, because nobody has reported in time.

Clearing `delivery` only looks again; it never sends. With `wait_for_delivery` off, nobody waits.

#### Sent once

Under one `idempotency_key` a text leaves once, however often and by whomever it is triggered. Without a key every
run is its own. A run that is tried again or cleared does not send again. To send the same text anew, trigger a new
run.

If a run was deleted and triggered again under its old ID, it is the same run: `send` is skipped, and its log says
when the text left.

#### Result

* The XCom of `send`: `channel_sid`, `task_sid`, `session_sid`, `interaction_sid`, `message_sid`, `reused_channel`,
  `duplicate`, `sent_by`, `sent_at`. It has no number and no text.
* The XCom of `delivery`: `status`, `error_code`, `sms_sid`.
* The link to the channel in the Twilio Console is on the page of the task `send`, under Details.

#### Who sees what

Numbers, name and text are masked in logs and rendered fields. Airflow leaves a name or text of less than five
characters as it is. The `conf` of a run stays readable for everyone who may see its runs.

#### When it is red

The first error in the log of the red task names the field or the cause, and says what to do. What another try can
heal is tried again by itself, later every time. A text whose fate is unknown is looked up first and never sent
blindly.

The [dashboard](flexsms/dashboard#texts) shows how many texts arrived.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param

from flexsms.operators.send import FlexSendOperator
from flexsms.params import choice_param, conn_param, flag_param, form, phone_param, refuse_unknown, text_param
from flexsms.retry_policy import task_defaults
from flexsms.sensors.delivery import FlexDeliverySensor

with DAG(
    dag_id="flexsms_send",
    dag_display_name="flexsms: send",
    description="Start or continue a Flex conversation by SMS.",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args=task_defaults("send", execution_timeout=timedelta(minutes=10)),
    tags=["flexsms", "twilio", "sms"],
    params=form(
        from_number=phone_param(
            "From",
            "Your Twilio number, E.164, like +14155550100.",
            from_option="from_number",
        ),
        to_number=phone_param("To", "The customer's number, E.164, like +14155550199."),
        to_name=text_param(
            "Customer's name", "What agents see. Empty: the number's last four digits.", maxLength=200
        ),
        body=text_param(
            "Text",
            "At most 1600 characters. With route agent it may be empty: the agent then writes first.",
            format="multiline",
        ),
        route=choice_param(
            {
                "agent": "opens a task for an agent",
                "studio": "fire-and-forget, the reply runs the Studio flow",
            },
            "Route",
            "Where the customer's reply goes.",
        ),
        wait_for_delivery=flag_param(
            True,
            "Wait for delivery",
            "The run says whether the text has reached the customer's handset, and is red if it has not. Off: the run "
            "ends when Twilio has accepted the text.",
        ),
        target_worker_sid=text_param(
            "Agent",
            "WK… of the agent who should get the task: your workflow prefers them by targetWorkerSid. Only with "
            "route agent.",
            section="Routing",
        ),
        worker_only=flag_param(
            False,
            "This agent only",
            "The task goes past the workflow, to the agent of target_worker_sid alone. If the agent declines, the "
            "task is canceled and nobody else is asked. Only on the stack conversations, and only if the connection "
            "has queue_sid.",
            section="Routing",
        ),
        source_channel_sid=text_param(
            "Earlier conversation",
            "CH… of a conversation that the task refers to.",
            section="Routing",
        ),
        task_attributes=Param(
            {},
            type="object",
            title="Task attributes",
            description='More attributes for routing and for agents, like {"language": "de"}. No personal data: '
            "they show in rendered fields.",
            section="Routing",
        ),
        idempotency_key=text_param(
            "Idempotency key",
            "A text is sent once per key, like order-4711-shipped. Empty: once per run.",
            maxLength=256,
            section="Key and connection",
        ),
        twilio_conn_id=conn_param(
            "The Airflow connection of type twilio to send with.", section="Key and connection"
        ),
    ),
) as dag:
    # Straight from the form: a template would make numbers of texts like +14155550100.
    filled: dict[str, Any] = {name: dag.param(name) for name in dag.params}
    wanted = filled.pop("wait_for_delivery")
    sent = FlexSendOperator(
        task_id="send",
        doc_md="Sends the text, once. **If it is red**, correct the field that the first error in the log names, and "
        "trigger a new run. If the cause was at Twilio, clear this task: it looks before it sends.",
        pre_execute=refuse_unknown,
        **filled,
    ).output
    FlexDeliverySensor(
        task_id="delivery",
        doc_md="Waits until it is known whether the text arrived. **If it is red**, it did not: the first error in the "
        "log says why, and what to do. **If it is skipped**, nobody has reported. Clearing it never sends again.",
        sent=sent,
        wanted=wanted,
        twilio_conn_id=filled["twilio_conn_id"],
        poke_interval=timedelta(seconds=10),
        timeout=timedelta(minutes=15),
        # Some carriers report nothing: that is no failure.
        soft_fail=True,
        # Waiting in the triggerer does not count; on a worker, with deferrable=False, it would.
        execution_timeout=timedelta(minutes=20),
    )
