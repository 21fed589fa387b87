"""Text one customer when an order has left, and wait for the delivery."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from flexsms import FlexDeliverySensor, FlexSendOperator, task_defaults

with DAG(
    "order_has_left",
    schedule=None,
    default_args=task_defaults(),
    params={
        "order": Param(type="string"),
        "customer_number": Param(type="string"),
        "from_number": Param("+14155550100", type="string"),
    },
) as dag:
    send = FlexSendOperator(
        task_id="send",
        from_number="{{ params.from_number }}",
        to_number="{{ params.customer_number }}",
        body="Your order {{ params.order }} has left.",
        # However often this DAG is triggered for an order, the customer gets one text.
        idempotency_key="order-{{ params.order }}-left",
    )
    FlexDeliverySensor(task_id="delivery", sent=send.output, poke_interval=10, timeout=900)
