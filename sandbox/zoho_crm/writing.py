"""Inserts, updates, upserts and deletes: up to 100 records a request, each with its own outcome."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sandbox.zoho_crm.answers import ZohoError, error_of, invalid_data
from sandbox.zoho_crm.checks import Invalid, check_mandatory, check_unique, cleaned, cleaned_line
from sandbox.zoho_crm.clock import instant_of
from sandbox.zoho_crm.org import Deleted, Org
from sandbox.zoho_crm.schema import DUPLICATE_CHECKS, NAMES, Module
from sandbox.zoho_crm.tables import Record
from sandbox.zoho_crm.watch import notify

MOST: Final = 100
MOST_CHECKS: Final = 10
CENT: Final = Decimal("0.01")

Rows = tuple[int, list[dict[str, Any]]]
"""The status, and the outcome of each record in the order of the request."""


def insert(org: Org, module: Module, body: Any) -> Rows:
    """`POST /{module}`."""
    made: list[str] = []

    def one(given: Mapping[str, Any], path: str) -> dict[str, Any]:
        record = _inserted(org, module, given, path)
        made.append(record["id"])
        return _success(org, record, "record added")

    rows = _each(body, one)
    notify(org, module, "insert", made)
    return _status(rows, good=201), rows


def update(org: Org, module: Module, body: Any, *, unmodified_since: str | None, only: str | None = None) -> Rows:
    """`PUT /{module}`, each record with its `id`, or `PUT /{module}/{id}` with `only` that id."""
    limit = _moment(unmodified_since)
    if limit is not None and org.switches.batch_412:
        for given in _records(body):
            _check_unmodified(org, module, only or str(given.get("id")), limit)
    touched: list[str] = []

    def one(given: Mapping[str, Any], path: str) -> dict[str, Any]:
        record = _known(org, module, only or given.get("id"), path)
        if limit is not None and record["Modified_Time"] > limit:
            raise Invalid(error_of("RECORD_MODIFIED", MODIFIED, id=record["id"]))
        changed = _updated(org, module, record, given, path)
        touched.append(changed["id"])
        return _success(org, changed, "record updated")

    rows = _each(body, one)
    notify(org, module, "update", touched)
    return _status(rows, good=200), rows


def upsert(org: Org, module: Module, body: Any, *, unmodified_since: str | None) -> Rows:
    """`POST /{module}/upsert`: the record that holds the same value of a checked field is updated, else one is made."""
    checks = _checks(module, body)
    limit = _moment(unmodified_since)
    touched: dict[str, list[str]] = {"insert": [], "update": []}

    def one(given: Mapping[str, Any], path: str) -> dict[str, Any]:
        field, found = _match(org, module, given, checks)
        if found is None:
            record, action = _inserted(org, module, given, path), "insert"
        else:
            before = org.tables[module.name].records[found]
            if limit is not None and before["Modified_Time"] > limit:
                raise Invalid(error_of("RECORD_MODIFIED", MODIFIED, id=found))
            record, action = _updated(org, module, before, given, path), "update"
        touched[action].append(record["id"])
        said = "record added" if action == "insert" else "record updated"
        return {**_success(org, record, said), "action": action, "duplicate_field": field}

    rows = _each(body, one)
    for action, ids in touched.items():
        notify(org, module, action, ids)
    return _status(rows, good=200), rows


def delete(org: Org, module: Module, ids: Sequence[str]) -> Rows:
    """`DELETE /{module}?ids=`: into the recycle bin."""
    if len(ids) > MOST:
        raise ZohoError(400, "LIMIT_EXCEEDED", "maximum number of ids exceeded", param="ids", limit=MOST)
    gone: list[str] = []

    def one(record_id: str) -> dict[str, Any]:
        record = _known(org, module, record_id, "$")
        throw_away(org, module, record)
        gone.append(record_id)
        return {"code": "SUCCESS", "details": {"id": record_id}, "message": "record deleted", "status": "success"}

    rows = [_outcome(one, record_id) for record_id in ids]
    notify(org, module, "delete", gone)
    return _status(rows, good=200), rows


def throw_away(org: Org, module: Module, record: Record, *, kind: str = "recycle") -> None:
    """Move a record into the trash."""
    org.tables[module.name].remove(record["id"])
    name = str(record.get(NAMES[module.name]) or "")
    org.trash.append(Deleted(record["id"], module.name, name, kind, org.clock.stamp(), org.owner, record))


def restore(org: Org, record_id: str) -> None:
    """Take a record out of the trash; its row goes from the list of deletions (or stays). Raises ValueError."""
    found = next((row for row in org.trash if row.id == record_id and row.kind == "recycle"), None)
    if found is None:
        raise ValueError(f"There is no {record_id} in the recycle bin.")
    if not org.switches.restored_stay_listed:
        org.trash.remove(found)
    org.tables[found.module].put({**found.record, "Modified_Time": org.clock.stamp()})


MODIFIED: Final = "The record was modified after the time specified"


def _records(body: Any) -> list[Mapping[str, Any]]:
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, list) or not data:
        raise ZohoError(400, "MANDATORY_NOT_FOUND", "required field not found", api_name="data", json_path="$.data")
    if len(data) > MOST:
        raise invalid_data(api_name="data", json_path="$.data", maximum_length=MOST)
    return [given if isinstance(given, dict) else {} for given in data]


def _each(body: Any, one: Callable[[Mapping[str, Any], str], dict[str, Any]]) -> list[dict[str, Any]]:
    return [_outcome(one, given, f"$.data[{place}]") for place, given in enumerate(_records(body))]


def _outcome(one: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    try:
        return one(*given)
    except Invalid as refused:
        return refused.row


def _status(rows: Sequence[Mapping[str, Any]], *, good: int) -> int:
    bad = sum(row["status"] == "error" for row in rows)
    if bad == len(rows):
        return 400
    return 207 if bad else good


def _success(org: Org, record: Record, message: str) -> dict[str, Any]:
    details = {
        "Modified_Time": org.clock.text(record["Modified_Time"]),
        "Modified_By": {"name": org.users[record["Modified_By"]]["name"], "id": record["Modified_By"]},
        "Created_Time": org.clock.text(record["Created_Time"]),
        "id": record["id"],
        "Created_By": {"name": org.users[record["Created_By"]]["name"], "id": record["Created_By"]},
    }
    return {"code": "SUCCESS", "details": details, "message": message, "status": "success"}


def _known(org: Org, module: Module, record_id: Any, path: str) -> Record:
    """Raises Invalid for an id that is none of the module's, and for a locked record."""
    record = org.tables[module.name].get(record_id) if isinstance(record_id, str) else None
    if record is None:
        details = {"api_name": "id", "json_path": f"{path}.id"} if path != "$" else {"id": record_id}
        raise Invalid(error_of("INVALID_DATA", "the id given seems to be invalid", **details))
    if record["id"] in org.switches.locked:
        raise Invalid(error_of("RECORD_LOCKED", "record is locked by another process", id=record["id"]))
    return record


def _inserted(org: Org, module: Module, given: Mapping[str, Any], path: str) -> Record:
    values = cleaned(org, module, given, path)
    if module.subform is not None:
        values[module.subform] = _lines(org, module, [], given.get(module.subform) or [], path)
    check_mandatory(module, values, path)
    check_unique(org, module, values, path, own_id=None)
    now, user = org.clock.stamp(), org.owner
    record: Record = dict.fromkeys(module.fields) | {"Owner": user, "Tag": []}
    record |= {"Created_By": user, "Modified_By": user, "Created_Time": now, "Modified_Time": now}
    record |= {"Currency": "EUR", "Exchange_Rate": Decimal(1)}
    record |= values | {"id": org.new_id()}
    return store(org, module, record)


def _updated(org: Org, module: Module, before: Record, given: Mapping[str, Any], path: str) -> Record:
    values = cleaned(org, module, given, path)
    if module.subform is not None and given.get(module.subform) is not None:
        kept = before.get(module.subform) or []
        values[module.subform] = _lines(org, module, kept, given[module.subform], path)
    record = before | values
    check_mandatory(module, record, path)
    check_unique(org, module, values, path, own_id=before["id"])
    return store(org, module, record | {"Modified_Time": org.clock.stamp(), "Modified_By": org.owner})


def store(org: Org, module: Module, record: Record) -> Record:
    """Keep a record, with what Zoho computes of it."""
    if "Full_Name" in module.fields:
        record["Full_Name"] = " ".join(filter(None, (record.get("First_Name"), record.get("Last_Name"))))
    number = next((name for name, field in module.fields.items() if field.data_type == "autonumber"), None)
    if number is not None:
        record[number] = record.get(number) or org.next_number(module.name)
    if module.subform is not None:
        _add_up(record, record[module.subform])
    org.tables[module.name].put(record)
    return record


def _lines(org: Org, module: Module, kept: Sequence[Record], given: Any, path: str) -> list[Record]:
    """The lines after a request: those with an id are changed or taken away, those without are new, others stay."""
    if not isinstance(given, list):
        details = {"api_name": module.subform, "json_path": f"{path}.{module.subform}"}
        raise Invalid(error_of("INVALID_DATA", "invalid data", expected_data_type="jsonarray", **details))
    lines = {line["id"]: line for line in kept}
    for place, row in enumerate(given):
        where = f"{path}.{module.subform}[{place}]"
        values = cleaned_line(org, row, where)
        line_id = row.get("id")
        if line_id is not None and line_id not in lines:
            details = {"api_name": "id", "json_path": f"{where}.id"}
            raise Invalid(error_of("INVALID_DATA", "the subform row id given seems to be invalid", **details))
        if "_delete" in row:
            lines.pop(line_id, None)
            continue
        line = lines.get(line_id, {"id": line_id or org.new_id(), "Discount": Decimal(0), "Line_Tax": []}) | values
        for name in ("Product_Name", "Quantity"):
            if line.get(name) is None:
                details = {"api_name": name, "json_path": f"{where}.{name}"}
                raise Invalid(error_of("MANDATORY_NOT_FOUND", "required field not found", **details))
        lines[line["id"]] = line
    return list(lines.values())


def _add_up(record: Record, lines: Sequence[Record]) -> None:
    """The totals of a document: a line's tax is part of its net total, the document's own comes on top."""
    for line in lines:
        line["Total"] = ((line.get("List_Price") or Decimal(0)) * line["Quantity"]).quantize(CENT)
        line["Total_After_Discount"] = line["Total"] - (line.get("Discount") or Decimal(0))
        shares = sum(Decimal(str(tax.get("percentage", 0))) for tax in line.get("Line_Tax") or [])
        line["Tax"] = (line["Total_After_Discount"] * shares / 100).quantize(CENT)
        line["Net_Total"] = line["Total_After_Discount"] + line["Tax"]
    record["Sub_Total"] = sum((line["Net_Total"] for line in lines), Decimal(0))
    extra = (record.get("Tax") or Decimal(0)) + (record.get("Adjustment") or Decimal(0))
    record["Grand_Total"] = record["Sub_Total"] - (record.get("Discount") or Decimal(0)) + extra


def _checks(module: Module, body: Any) -> list[str]:
    named = body.get("duplicate_check_fields") if isinstance(body, dict) else None
    if named is None:
        return list(dict.fromkeys((DUPLICATE_CHECKS[module.name], *module.unique)))
    if not isinstance(named, list) or not 1 <= len(named) <= MOST_CHECKS:
        raise invalid_data(api_name="duplicate_check_fields", json_path="$.duplicate_check_fields")
    allowed = {DUPLICATE_CHECKS[module.name], *module.unique}
    for place, name in enumerate(named):
        if name not in allowed:
            raise invalid_data(api_name="duplicate_check_fields", json_path=f"$.duplicate_check_fields[{place}]")
    return [str(name) for name in named]


def _match(org: Org, module: Module, given: Mapping[str, Any], checks: Sequence[str]) -> tuple[str | None, str | None]:
    table = org.tables[module.name]
    if isinstance(given.get("id"), str) and given["id"] in table.records:
        return None, given["id"]
    for name in checks:
        if given.get(name) not in (None, ""):
            found = table.by_value(name, given[name])
            if found is not None:
                return name, found
    return None, None


def _check_unmodified(org: Org, module: Module, record_id: str, limit: int) -> None:
    record = org.tables[module.name].get(record_id)
    if record is not None and record["Modified_Time"] > limit:
        raise ZohoError(412, "RECORD_MODIFIED", MODIFIED, id=record_id)


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    found = instant_of(text)
    if found is None:
        raise invalid_data(header_name="If-Unmodified-Since")
    return found
