"""One customer that both sides change at once: what the demo shows of a two-way sync."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table

from stack.bring_up import Stack
from stack.demo_syncs import POLL_S, RUN_WITHIN_S, SyncDidNotRun
from stack.demo_systems import Sync, System

SYNC: Final = Sync("erpnext", "customer")
DOCTYPE: Final = "Customer"
FIELDS: Final = {"name": "customer_name", "company_name": "company_name", "tax_number": "tax_id"}
"""What is shown: our column, and ERPNext's field."""

TIED: Final = """
SELECT r.remote_id, t.name, t.company_name, t.tax_number FROM erpflow.erp_entity_sync_records r
JOIN erpflow.erp_sync_configs c ON c.id = r.sync_config_id AND c.entity = 'customer'
JOIN erpflow.erp_connections n ON n.id = c.connection_id AND n.name = %(connection)s
JOIN app.customers t ON t.id::text = r.local_id
WHERE r.status = 'synced' AND (%(remote_id)s::text IS NULL OR r.remote_id = %(remote_id)s)
ORDER BY r.remote_id LIMIT 1
"""
EDIT: Final = """
UPDATE app.customers t SET name = %(name)s, tax_number = %(tax_number)s, updated_at = now()
FROM erpflow.erp_entity_sync_records r
JOIN erpflow.erp_sync_configs c ON c.id = r.sync_config_id AND c.entity = 'customer'
JOIN erpflow.erp_connections n ON n.id = c.connection_id AND n.name = %(connection)s
WHERE t.id::text = r.local_id AND r.remote_id = %(remote_id)s
"""

Values = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Merged:
    """A customer by our columns: before, what either side made of it, and both sides after the sync."""

    remote_id: str
    before: Values
    there: Values
    here: Values
    now_there: Values
    now_here: Values

    def complaints(self) -> Iterator[str]:
        """One sentence for each field that is not what the merge must have made of it."""
        for name, wanted in (self.before | self.there | self.here).items():
            for side, found in (("ERPNext", self.now_there), ("app.customers", self.now_here)):
                if found[name] != wanted:
                    yield (
                        f"{self.remote_id}: after both sides changed it, {name} is {found[name]!r} in {side}, "
                        f"not {wanted!r}."
                    )


def is_shown(systems: Sequence[System]) -> bool:
    """Whether the demo has the system this takes place in."""
    return any(system.name == SYNC.system for system in systems)


def put_back(stack: Stack) -> None:
    """Give the customer of an earlier demo back what it had: the sandbox begins anew with each start."""
    known = _row(stack, None)
    if known is not None:
        remote_id, values = known
        _edit_there(stack, remote_id, values)


def merge(stack: Stack) -> Merged | None:
    """Change one customer on both sides, sync, and look at both. None where no customer is tied yet."""
    known = _row(stack, None)
    if known is None:
        return None
    remote_id, before = known
    mark = time.strftime("%H:%M:%S")
    there: Values = {"company_name": f"Renamed in ERPNext at {mark}", "tax_number": f"ERPNEXT-{mark}"}
    here: Values = {"name": f"Renamed here at {mark}", "tax_number": f"HERE-{mark}"}
    _edit_there(stack, remote_id, there)
    with stack.database.transaction() as database:
        database.execute(EDIT, {**here, "remote_id": remote_id, "connection": SYNC.connection})
    _sync(stack)
    found = _row(stack, remote_id)
    doc = stack.sandbox.side_door("erpnext/doc", query={"doctype": DOCTYPE, "name": remote_id})
    return Merged(
        remote_id=remote_id,
        before=before,
        there=there,
        here=here,
        now_there={name: doc.get(field) for name, field in FIELDS.items()},
        now_here=found[1] if found else dict.fromkeys(FIELDS),
    )


def table_of(merged: Merged) -> Table:
    """The merge as people read it."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("field", "before", "changed in ERPNext", "changed here", "now, on both sides"):
        table.add_column(title)
    for name in FIELDS:
        both = name in merged.there and name in merged.here
        table.add_row(
            name,
            merged.before[name] or "–",
            merged.there.get(name) or "",
            merged.here.get(name) or "",
            f"{merged.now_here[name]}{' (the newer won)' if both else ''}",
        )
    return table


def _row(stack: Stack, remote_id: str | None) -> tuple[str, Values] | None:
    with stack.database.connect(autocommit=True) as database:
        row = database.execute(TIED, {"connection": SYNC.connection, "remote_id": remote_id}).fetchone()
    return None if row is None else (row[0], dict(zip(FIELDS, row[1:], strict=True)))


def _edit_there(stack: Stack, remote_id: str, values: Mapping[str, Any]) -> None:
    changed = {FIELDS[name]: value for name, value in values.items()}
    stack.sandbox.side_door("erpnext/update", body={"doctype": DOCTYPE, "names": [remote_id], "set": changed})


def _sync(stack: Stack) -> None:
    run = stack.api.trigger(SYNC.dag_id, conf={"connection": SYNC.connection}, note="Started by make demo: two changes")
    deadline = time.monotonic() + RUN_WITHIN_S
    while not (run := stack.api.run(run)).ended:
        stack.processes.check()
        if time.monotonic() > deadline:
            raise SyncDidNotRun(f"{SYNC.dag_id} did not end within {RUN_WITHIN_S:.0f} seconds.")
        time.sleep(POLL_S)
