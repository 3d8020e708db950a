"""Finding records by the values of their fields, with COQL: the search index lags by seconds to minutes.

Source: docs/api/v8/Get-Records-through-COQL-Query. The caps of v8, and a backslash before quotes, are UNVERIFIED.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from erpflow.connectors.zoho_crm_modules import Module
from erpflow.connectors.zoho_crm_org import MOST_ROWS, Organisation
from erpflow.errors import ConfigError
from erpflow.vocabulary import RemoteId, VendorRecord

_NOT_ONE: Final = 2
_VALUES_AT_ONCE: Final = 50


def find_all(org: Organisation, module: Module, keys: Sequence[VendorRecord]) -> list[list[RemoteId]]:
    """For each key the ids of at most two records; keys of one and the same text field in one request."""
    field = next(iter(keys[0]), "") if keys else ""
    if len(keys) < _NOT_ONE or any(list(key) != [field] or not isinstance(key[field], str) for key in keys):
        return [_find(org, module, key) for key in keys]
    found: dict[str, list[RemoteId]] = {key[field].casefold(): [] for key in keys}
    values = list({key[field].casefold(): key[field] for key in keys}.values())
    for start in range(0, len(values), _VALUES_AT_ONCE):
        wanted = ", ".join(_literal(value) for value in values[start : start + _VALUES_AT_ONCE])
        rows = org.select(_query(module, [field], f"{_column(module, field)} in ({wanted})", most=MOST_ROWS))
        for row in rows:
            ids = found.get(str(_at(row, field)).casefold())  # Zoho compares without case
            if ids is not None and len(ids) < _NOT_ONE:
                ids.append(RemoteId(str(row.get("id"))))
        if len(rows) == MOST_ROWS:  # some value is held by very many: each on its own
            return [_find(org, module, key) for key in keys]
    return [found[key[field].casefold()] for key in keys]


def _find(org: Organisation, module: Module, key: VendorRecord) -> list[RemoteId]:
    if not key:
        raise ConfigError(
            f"Zoho finds {module.name} by fields, and none was named. Name some in the mapping's match_on."
        )
    condition = ""
    for field, value in key.items():
        column = _column(module, field)
        criterion = f"{column} is null" if value is None else f"{column} = {_literal(value)}"
        condition = f"({condition} and {criterion})" if condition else criterion  # a criterion has two sides
    rows = org.select(_query(module, list(key), condition, most=_NOT_ONE))
    return [RemoteId(str(row.get("id"))) for row in rows if _holds(row, key)]


def _query(module: Module, fields: Sequence[str], condition: str, *, most: int) -> str:
    columns = ", ".join(dict.fromkeys(("id", *(_column(module, field) for field in fields))))
    return f"select {columns} from {module.name} where {condition} order by id asc limit 0, {most}"  # noqa: S608  (COQL)


def _column(module: Module, path: str) -> str:
    """The column of a path: a look-up is compared by its id. Raises ConfigError for what COQL cannot look into."""
    name = path.removesuffix(".id")
    if not name.replace("_", "").isalnum() or not name.isascii():
        raise ConfigError(
            f"Zoho finds {module.name} by fields of their own or by the id of a look-up, not by {path!r}. "
            "Name such fields in the mapping's match_on."
        )
    return name


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return format(value, "f") if isinstance(value, Decimal) else str(value)
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _holds(row: VendorRecord, key: VendorRecord) -> bool:
    """Whether a row has what was asked for: a filter that is not heeded would let any record be taken."""
    return all(_same(_at(row, field), value) for field, value in key.items())


def _same(found: Any, wanted: Any) -> bool:
    if wanted is None:
        return found in (None, "")
    if isinstance(wanted, str):
        return str(found).casefold() == wanted.casefold()
    if isinstance(wanted, bool) or not isinstance(wanted, int | Decimal):
        return bool(found == wanted)
    return found is not None and Decimal(str(found)) == Decimal(wanted)


def _at(row: VendorRecord, path: str) -> Any:
    value = row.get(path.removesuffix(".id"))
    return value.get("id") if isinstance(value, dict) else value
