"""Creating, changing, voiding and deleting records as the vendor does: versions, sparse bodies, checks."""

from collections.abc import Mapping
from typing import Any

from sandbox.quickbooks import faults, sales
from sandbox.quickbooks.company import Company, Row, Values
from sandbox.quickbooks.entities import ENTITIES, EVERYWHERE, SALES, SHARE_NAMES, Entity

ODD_IN_NAMES = ":\t\n"


def save(company: Company, entity: str, body: Mapping[str, Any]) -> Row:
    """Create, or update when the body names an Id. Raises Refused."""
    if body.get("Id") in (None, ""):
        return create(company, entity, body)
    return update(company, entity, body)


def create(company: Company, entity: str, body: Mapping[str, Any]) -> Row:
    values = _writable(entity, body)
    return _stored(company, entity, {**values, "Id": company.next_id(entity)}, None)


def update(company: Company, entity: str, body: Mapping[str, Any]) -> Row:
    """A sparse body changes what it holds, and null in it nothing; any other clears what it does not hold."""
    before = current(company, entity, body)
    sent = _writable(entity, body)
    if body.get("sparse") is True:
        kept: Values = dict(before.values)
    else:
        kept = {name: before.values[name] for name in _kept(entity) if name in before.values}
    return _stored(company, entity, {**kept, **sent, "Id": before.values["Id"]}, before)


def current(company: Company, entity: str, body: Mapping[str, Any]) -> Row:
    """The record a body names, if its SyncToken is the last one. Raises Refused."""
    row = company.find(entity, body.get("Id"))
    if row is None:
        raise faults.not_found(f"Something you're trying to use ({entity} {body.get('Id')})")
    if body.get("SyncToken") in (None, ""):
        raise faults.required("SyncToken")
    if str(body["SyncToken"]) != row.values["SyncToken"]:
        raise faults.stale()
    return row


def delete(company: Company, entity: str, body: Mapping[str, Any]) -> Values:
    """A stub of what is gone. Names are never deleted. Raises Refused."""
    if ENTITIES[entity].is_list:
        raise faults.business(f"{entity} cannot be deleted; set Active to false instead.")
    row = current(company, entity, body)
    sales.unlink(company, entity, row)
    company.drop(entity, row.values["Id"])
    return {"domain": "QBO", "status": "Deleted", "Id": row.values["Id"]}


def void(company: Company, entity: str, body: Mapping[str, Any]) -> Row:
    """The record stays, worth nothing. Raises Refused."""
    row = current(company, entity, body)
    sales.unlink(company, entity, row)
    return _saved(company, entity, sales.voided(entity, row.values))


def _stored(company: Company, entity: str, values: Values, before: Row | None) -> Row:
    definition = ENTITIES[entity]
    values = {name: value for name, value in values.items() if value != ""}  # an empty text is none
    _check_shape(definition, values)
    _check_references(company, definition, values)
    if definition.is_list:
        values = _as_list(company, entity, values, before)
    if entity in SALES:
        values = sales.completed(company, entity, values, before)
    if entity == "Payment":
        values = sales.applied(company, values, before)
    return _saved(company, entity, values)


def _saved(company: Company, entity: str, values: Values) -> Row:
    row = company.store(entity, values)
    sales.balance(company, entity, row)
    return row


def _writable(entity: str, body: Mapping[str, Any]) -> Values:
    """What of a body counts. Raises Refused for a property the entity does not have."""
    definition = ENTITIES[entity]
    for name in body:
        if name not in definition.fields and name not in EVERYWHERE:
            raise faults.unsupported(name)
    ignored = EVERYWHERE | definition.computed
    return {name: value for name, value in body.items() if name not in ignored and value is not None}


def _kept(entity: str) -> frozenset[str]:
    """What a full update does not clear: what nobody can send."""
    return ENTITIES[entity].computed | {"Active", "CurrencyRef", "LinkedTxn"}


def _check_shape(definition: Entity, values: Values) -> None:
    for name in definition.required:
        if values.get(name) in (None, "", []):
            raise faults.required(name)
    for name, most in definition.longest.items():
        if len(str(values.get(name, ""))) > most:
            raise faults.business(f"String length is either shorter or longer than supported by {name}: {most}", name)
    for name, value in values.items():
        if name.endswith("Ref") and not isinstance(value, Mapping):
            raise faults.unsupported(name)


def _check_references(company: Company, definition: Entity, values: Values) -> None:
    for name, entity in definition.refers.items():
        if name in values:
            values[name] = referred(company, entity, name, values[name])


def referred(company: Company, entity: str, name: str, reference: Mapping[str, Any]) -> Values:
    """A reference with the name of what it leads to. Raises Refused where it leads nowhere."""
    target = company.find(entity, reference.get("value"))
    if target is None:
        raise faults.invalid_reference(name, reference.get("value"))
    if not target.is_active:
        raise faults.not_found(f"Another element ({entity} {reference.get('value')}) that this uses")
    title = target.values.get("DisplayName") or target.values.get("Name")
    return {"value": target.values["Id"], "name": title}


def _as_list(company: Company, entity: str, values: Values, before: Row | None) -> Values:
    field = "DisplayName" if "DisplayName" in values else "Name"
    if any(character in str(values[field]) for character in ODD_IN_NAMES):
        raise faults.business(f"{field} must not hold a colon, a tab or a new line.", field)
    values.setdefault("Active", True)
    was_active = before is None or before.is_active
    if was_active and not values["Active"]:
        values[field] = f"{values[field]} (deleted)"
    elif not was_active and values["Active"]:
        values[field] = str(values[field]).removesuffix(" (deleted)")
    _check_name(company, entity, field, values)
    if entity in ("Customer", "Item"):
        values["FullyQualifiedName"] = values[field]
    if entity == "Customer":
        values.setdefault("PrintOnCheckName", values[field])
        values.setdefault("Balance", 0)
    if entity == "Item":
        values.setdefault("Type", "Service")
        if "IncomeAccountRef" not in values and values["Type"] != "Category":
            raise faults.required("IncomeAccountRef")
    return values


def _check_name(company: Company, entity: str, field: str, values: Values) -> None:
    """One name for customers, vendors and employees together; an item's among the items of its parent."""
    wanted = str(values[field]).casefold()
    parent = (values.get("ParentRef") or {}).get("value")
    for other in SHARE_NAMES if entity in SHARE_NAMES else (entity,):
        for row in company.tables[other].values():
            is_itself = other == entity and row.values["Id"] == values["Id"]
            same_parent = entity != "Item" or (row.values.get("ParentRef") or {}).get("value") == parent
            name = row.values.get("DisplayName") or row.values.get("Name")
            if not is_itself and same_parent and str(name).casefold() == wanted:
                raise faults.duplicate_name(row.values["Id"])
