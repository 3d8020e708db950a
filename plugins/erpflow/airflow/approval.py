"""A step that may have to ask a person before it deletes, by Airflow's own human-in-the-loop.

The task does all it may do, then waits for an answer without a worker (state `awaiting_input`); answered, it goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator

from erpflow.errors import DeletesNeedApproval

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

DELETE, KEEP = "Delete them", "Keep them"
PATIENCE = timedelta(days=1)
"""After it, what was to be deleted is kept; the next run asks again."""

BODY = """
{message}

| | |
|---|---|
| records that would be deleted | **{count:,}** of {total:,} |
| for example | {sample} |

**{delete}**: this run deletes them now. **{keep}**: nothing is deleted; what else changed stays applied.
"""


class AskingOperator(HITLOperator):
    """Base of the steps that apply deletes. A subclass gives `apply(context, deletes)`."""

    template_fields: Sequence[str] = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            subject="A sync asks before it deletes",
            options=[DELETE, KEEP],
            defaults=KEEP,
            response_timeout=PATIENCE,
            **kwargs,
        )

    def execute(self, context: Context) -> Any:
        """Apply; when more would be deleted than allowed, wait for an answer."""
        try:
            return self.apply(context, deletes=None)
        except DeletesNeedApproval as question:
            self.subject = f"Delete {question.count:,} of {question.total:,} records?"
            self.body = BODY.format(
                message=str(question),
                count=question.count,
                total=question.total,
                sample=", ".join(question.sample) or "-",
                delete=DELETE,
                keep=KEEP,
            )
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on with the answer."""
        answer = super().execute_complete(context, event)
        return self.apply(context, deletes=DELETE in answer["chosen_options"])

    def apply(self, context: Context, *, deletes: bool | None) -> Any:
        """Do the step. `deletes`: what a person said, None before anybody was asked. Raises DeletesNeedApproval."""
        raise TypeError(f"{type(self).__name__} does not say what it applies")
