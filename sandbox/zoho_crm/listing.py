"""Lists of records: fields, paging by number and by token, If-Modified-Since; single records, counts, deletions.

Source: docs get-records and get-deleted-records (v7, v8); a page token is bound to all parameters and to the header.
What it points to while others write is not documented: here it is a place in the list, the worst it can be.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.responses import Response

from sandbox.zoho_crm.answers import ZohoError, answer, invalid_data, nothing
from sandbox.zoho_crm.clock import instant_of
from sandbox.zoho_crm.org import Org, PageToken
from sandbox.zoho_crm.render import shown, shown_whole
from sandbox.zoho_crm.schema import Module

MOST_FIELDS: Final = 50
MOST_IDS: Final = 100
LARGEST_PAGE: Final = 200
BY_NUMBER: Final = 2_000  # rows that pages by number reach
BY_TOKEN: Final = 100_000
TOKEN_LIFE_S: Final = 86_400
SORTS: Final = ("id", "Created_Time", "Modified_Time")
MISMATCH: Final = "The page_token given seems to be invalid or input param is added, altered, or deleted"


def list_records(org: Org, module: Module, query: Mapping[str, str], since: str | None) -> Response:
    """`GET /crm/v8/{module}`."""
    fields = _fields(query)
    if "ids" in query:
        return _by_ids(org, module, query["ids"], fields)
    size = _number(query, "per_page", default=LARGEST_PAGE, most=LARGEST_PAGE)
    offset = _offset(org, module, query, since, size)
    ids = _sorted_ids(org, module, query, since)
    if since is not None and not ids:
        return nothing(304)
    chosen = ids[offset : offset + size]
    if not chosen:
        return nothing()
    more = len(ids) > offset + size
    table = org.tables[module.name]
    names = [name for name in fields if name != module.subform]
    return answer(
        {
            "data": [shown(org, module, table.records[record_id], names) for record_id in chosen],
            "info": {
                "per_page": size,
                "count": len(chosen),
                "page": offset // size + 1,
                "sort_by": query.get("sort_by", "id"),
                "sort_order": query.get("sort_order", "desc"),
                "more_records": more,
                **_tokens(org, module, query, since, offset + size, more=more),
            },
        }
    )


def read_record(org: Org, module: Module, record_id: str) -> Response:
    """`GET /crm/v8/{module}/{id}`: every field and the lines; 204 for an unknown id."""
    if not record_id.isdigit():
        raise ZohoError(404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one")
    record = org.tables[module.name].get(record_id)
    if record is None and org.switches.unknown_id_is_400:
        raise invalid_data("the id given seems to be invalid", id=record_id)
    return nothing() if record is None else answer({"data": [shown_whole(org, module, record)]})


def count_records(org: Org, module: Module) -> Response:
    return answer({"count": str(len(org.tables[module.name]))})


def list_deleted(org: Org, module: Module, query: Mapping[str, str], since: str | None) -> Response:
    """`GET /crm/v8/{module}/deleted`, the latest first."""
    kind = query.get("type", "all")
    if kind not in ("all", "recycle", "permanent"):
        raise invalid_data(api_name="type")
    after = _since(since)
    size = _number(query, "per_page", default=LARGEST_PAGE, most=LARGEST_PAGE)
    page = _number(query, "page", default=1, most=10_000)
    rows = [
        row
        for row in reversed(org.trash)
        if row.module == module.name and kind in ("all", row.kind) and (after is None or row.at > after)
    ]
    if not rows and since is not None:
        return nothing(304)
    chosen = rows[(page - 1) * size : page * size]
    if not chosen:
        return nothing()
    data = [
        {
            "deleted_by": _person(org, row.by),
            "id": row.id,
            "display_name": row.name,
            "type": row.kind,
            "created_by": _person(org, row.record.get("Created_By", row.by)),
            "deleted_time": org.clock.text(row.at),
        }
        for row in chosen
    ]
    info = {"per_page": size, "count": len(data), "page": page, "more_records": len(rows) > page * size}
    return answer({"data": data, "info": info})


def _person(org: Org, user: str) -> dict[str, str]:
    return {"name": org.users[user]["name"], "id": user}


def _by_ids(org: Org, module: Module, text: str, fields: Sequence[str]) -> Response:
    ids = text.split(",")
    if len(ids) > MOST_IDS:
        raise ZohoError(400, "LIMIT_EXCEEDED", "maximum number of ids exceeded", param="ids", limit=MOST_IDS)
    if not all(one.isdigit() for one in ids):
        raise invalid_data("the id given seems to be invalid", param_name="ids")
    names = [name for name in fields if name != module.subform or org.switches.lines_by_ids]
    table = org.tables[module.name]
    found = [shown(org, module, record, names) for one in dict.fromkeys(ids) if (record := table.get(one))]
    if not found:
        return nothing()
    info = {"per_page": LARGEST_PAGE, "count": len(found), "page": 1, "more_records": False}
    return answer({"data": found, "info": info | {"next_page_token": None, "previous_page_token": None}})


def _fields(query: Mapping[str, str]) -> list[str]:
    if not query.get("fields"):
        raise ZohoError(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", param_name="fields")
    fields = query["fields"].split(",")
    if len(fields) > MOST_FIELDS:
        raise ZohoError(400, "LIMIT_EXCEEDED", "maximum number of fields exceeded", param="fields", limit=MOST_FIELDS)
    return fields


def _offset(org: Org, module: Module, query: Mapping[str, str], since: str | None, size: int) -> int:
    """Where in the list the page begins. Raises ZohoError for each of the ways to ask wrongly."""
    if "page_token" not in query:
        page = _number(query, "page", default=1, most=1_000_000)
        if page * size > BY_NUMBER:
            raise ZohoError(
                400,
                "DISCRETE_PAGINATION_LIMIT_EXCEEDED",
                "You can only get the first 2000 records without using page_token param",
                limit=BY_NUMBER,
            )
        return (page - 1) * size
    if "page" in query:
        raise ZohoError(
            400, "AMBIGUITY_DURING_PROCESSING", "page and page_token cannot be used together", param_name="page_token"
        )
    token = org.page_tokens.get(query["page_token"])
    if token is None or token.bound_to != _bound_to(module, query, since):
        raise ZohoError(400, "TOKEN_BOUND_DATA_MISMATCH", MISMATCH, param_name="page_token")
    if token.expires <= org.clock.now():
        raise ZohoError(400, "EXPIRED_VALUE", "The given page_token is expired", param_name="page_token")
    if token.offset + size > BY_TOKEN:
        raise ZohoError(400, "PAGINATION_LIMIT_EXCEEDED", "You can only get the first 100000 records", limit=BY_TOKEN)
    return token.offset


def _tokens(
    org: Org, module: Module, query: Mapping[str, str], since: str | None, offset: int, *, more: bool
) -> dict[str, Any]:
    if not more:
        return {"next_page_token": None, "previous_page_token": None, "page_token_expiry": None}
    token, expires = secrets.token_hex(40), org.clock.now() + TOKEN_LIFE_S
    org.page_tokens[token] = PageToken(_bound_to(module, query, since), offset, expires)
    return {"next_page_token": token, "previous_page_token": None, "page_token_expiry": org.clock.text(expires)}


def _bound_to(module: Module, query: Mapping[str, str], since: str | None) -> tuple[str, ...]:
    kept = sorted(f"{name}={value}" for name, value in query.items() if name not in ("page", "page_token"))
    return (module.name, since or "", *kept)


def _sorted_ids(org: Org, module: Module, query: Mapping[str, str], since: str | None) -> list[str]:
    sort_by, order = query.get("sort_by", "id"), query.get("sort_order", "desc")
    if sort_by not in SORTS or order not in ("asc", "desc"):
        raise invalid_data(param_name="sort_by")
    table = org.tables[module.name]
    ids = table.in_order(after=_since(since), inclusive=org.switches.since_is_inclusive)
    if module.name == "Leads" and query.get("converted", "false") != "both":
        wanted = query.get("converted") == "true"
        ids = [one for one in ids if bool(table.records[one].get("Converted__s")) is wanted]
    if sort_by != "Modified_Time":
        key = sort_by
        ids.sort(key=lambda one: (table.records[one][key], one))
    return ids if order == "asc" else ids[::-1]


def _since(text: str | None) -> int | None:
    if text is None:
        return None
    found = instant_of(text)
    if found is None:
        raise invalid_data(header_name="If-Modified-Since")
    return found


def _number(query: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise ZohoError(400, "INVALID_DATA", "invalid data", param_name=name, expected_data_type="integer")
    return int(text)
