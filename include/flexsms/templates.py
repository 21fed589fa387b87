"""What is a template in an operator's arguments, and what is data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context
from airflow.sdk.bases.operator import BaseOperator

if TYPE_CHECKING:
    import jinja2


class LiteralRows(BaseOperator):
    """Leaves alone what an upstream task has returned for ``expand_kwargs(…)``: only the DAG's own texts are templates.

    Airflow renders such rows once more. A customer's name like ``{{ conn.twilio_default.password }}`` would become what
    it names. Whatever else gives an argument a value of another task (``expand``, an XComArg, ``{{ params.body }}``)
    leaves braces as they are.

    Source: https://github.com/apache/airflow/issues/38745
    """

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """Render the arguments that the DAG's author has written.

        This method and not ``render_template_fields``, which Airflow does not call for a mapped task.
        """
        rows = {id(value) for value in self._from_rows(template_fields, context)}
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids | rows)

    def _from_rows(self, template_fields: Iterable[str], context: Context) -> Iterable[Any]:
        """The arguments of a mapped task that a row of data holds."""
        dag = self.get_dag()
        mapped: Any = dag.task_dict.get(self.task_id) if dag and self.task_id else None
        rows = getattr(getattr(mapped, "expand_input", None), "value", None)
        if rows is None or isinstance(rows, Mapping):
            return  # not mapped, or by expand(), for which Airflow sees to it
        if isinstance(rows, Sized) and isinstance(rows[context["ti"].map_index], Mapping):  # type: ignore[index]
            return  # a row that stands in the DAG itself
        group = self.task_group
        written = (
            mapped.partial_kwargs,
            dag.default_args if dag else {},
            group.default_args if group else {},
        )
        for name in template_fields:
            value = getattr(self, name, None)
            if not any(name in arguments and arguments[name] is value for arguments in written):
                yield value
