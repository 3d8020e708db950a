"""A generated return as it is kept and shown: its totals and problems as plain values."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from erpflow.services.gst.gstr1.amounts import Amounts
from erpflow.services.gst.gstr1.build import Return, generate
from erpflow.services.gst.gstr1.documents import Books, Filer, Problem
from erpflow.services.gst.gstr1.totals import Total
from erpflow.store import gst_returns
from erpflow.store.gst_returns import GstReturn

if TYPE_CHECKING:
    from erpflow.store.pull import Connection as Store
    from erpflow.vocabulary import TenantId

INDIA: Final = timezone(timedelta(hours=5, minutes=30))


def today_in_india(now: datetime | None = None) -> date:
    """The day it is where the portal is."""
    return (now or datetime.now(UTC)).astimezone(INDIA).date()


def made_of(books: Books) -> Return:
    """The return of documents, as of today."""
    return generate(books, today=today_in_india())


def keep(
    store: Store, tenant_id: TenantId, filer: Filer, made: Return, *, by: str, connection_id: str | None
) -> GstReturn:
    """Keep a return, with its problems if it has any."""
    return gst_returns.add(
        store,
        tenant_id,
        gstin=filer.gstin,
        period=str(filer.period),
        payload=made.payload,
        digest=made.digest,
        totals=totals_shown(made),
        problems=[problem_shown(each) for each in made.problems],
        is_blocked=made.is_blocked,
        by=by,
        connection_id=connection_id,
    )


def totals_shown(made: Return) -> dict[str, Any]:
    """The totals of a return, amounts as texts with their paise."""
    return {
        "sections": [{"section": section.value, **_total(total)} for section, total in made.sections.items()],
        "books": _amounts(made.compared.books),
        "declared": _amounts(made.compared.declared),
        "difference": _amounts(made.compared.difference),
        "value": _text(made.compared.value),
        "documents": made.counts,
        "left_out": list(made.left_out),
    }


def problem_shown(problem: Problem) -> dict[str, Any]:
    """A problem as it is kept."""
    shown = asdict(problem)
    return {**shown, "kind": problem.kind.value if problem.kind else None}


def _total(total: Total) -> dict[str, Any]:
    counts = {"documents": total.documents, "rows": total.rows, "value": _text(total.value)}
    return {**counts, **_amounts(total.amounts)}


def _amounts(amounts: Amounts) -> dict[str, str]:
    return {name: _text(getattr(amounts, name)) for name in ("taxable", "igst", "cgst", "sgst", "cess")}


def _text(amount: Decimal) -> str:
    return f"{amount:.2f}"
