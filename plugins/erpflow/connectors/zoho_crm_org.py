"""An organisation as the modules of its connector see it: its fields, lists, records by their ids, and COQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from erpflow.connectors.answer import Answer, Judge
from erpflow.connectors.transport import Retries, Transport
from erpflow.connectors.zoho_crm_errors import judge, judge_single, says_missing
from erpflow.connectors.zoho_crm_modules import Module
from erpflow.connectors.zoho_crm_wire import COUNT, PARTS, UNREADABLE, decode, encode, is_empty, rows_of
from erpflow.errors import ProtocolError

T = TypeVar("T")
API: Final = "/crm/v8"
BULK: Final = "/crm/bulk/v8/read"
MOST_FIELDS: Final = 50  # of one request
MOST_IDS: Final = 100  # of one request; UNVERIFIED
MOST_ROWS: Final = 2_000  # of one COQL; UNVERIFIED for v8
RECORDS_A_CREDIT: Final = 10
_JSON: Final = {"Content-Type": "application/json"}
_IN_NO_LIST: Final = frozenset(
    {"subform", "jsonarray", "fileupload", "imageupload", "profileimage", "multiselectlookup", "multi_module_lookup"}
)
"""Types of custom fields that are in single reads only, or that Bulk Read does not have."""


class FieldMeta(msgspec.Struct):
    """One field as the organisation describes it."""

    api_name: str
    data_type: str = "text"
    custom_field: bool = False


class _Fields(msgspec.Struct):
    fields: list[FieldMeta]


class _Id(msgspec.Struct, gc=False):
    id: str


class _Found(msgspec.Struct):
    data: list[dict[str, Any]]


_FIELDS: Final = msgspec.json.Decoder(_Fields)
_ID: Final = msgspec.json.Decoder(_Id)
_FOUND: Final = msgspec.json.Decoder(_Found)


@dataclass(frozen=True, slots=True)
class Readable:
    """The fields of a module that are read, with their types; `parts` of at most 50, as requests ask for them."""

    types: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.types)

    def parts(self, *, lines: str | None = None) -> list[tuple[str, ...]]:
        """The lines, if any, are in the first one."""
        names = (*filter(None, (lines,)), *self.types)
        return [names[start : start + MOST_FIELDS] for start in range(0, len(names), MOST_FIELDS)]


class Organisation:
    """One organisation over its transport."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._readable: dict[str, Readable] = {}
        self._lines_one_by_one: set[str] = set()

    def ask(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        retries: Retries | None = None,
    ) -> Answer:
        """A question."""
        return self.transport.request("GET", path, query=query, headers=headers, judge=judge, retries=retries)

    def tell(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        records: int = 1,
        cost: float | None = None,
        judge: Judge = judge,
    ) -> Answer:
        """A command: sent again only when it cannot have been carried out."""
        return self.transport.request(
            method,
            path,
            query=query,
            body=body,
            headers={**(_JSON if body is not None else {}), **(headers or {})},
            judge=judge,
            idempotent=False,
            cost=cost if cost is not None else float(-(-records // RECORDS_A_CREDIT)),
        )

    def readable(self, module: Module) -> Readable:
        """What is read of a module: the fields of our table that this edition has, and the custom ones."""
        if module.name not in self._readable:
            answer = self.ask(f"{API}/settings/fields", {"module": module.name})
            described = {field.api_name: field for field in decode(answer, _FIELDS).fields}
            known = {name: described[name].data_type for name in module.fields if name in described}
            custom = {
                name: field.data_type
                for name, field in described.items()
                if field.custom_field and field.data_type not in _IN_NO_LIST and name not in known
            }
            if "Modified_Time" not in known:
                raise ProtocolError(
                    f"Zoho's {module.name} has no Modified_Time that this user may see, so changes cannot be told. "
                    "Let the connected user's profile see that field."
                )
            self._readable[module.name] = Readable({**known, **custom})
        return self._readable[module.name]

    def count(self, module: Module) -> int:
        """How many records a module has, those in the recycle bin not among them."""
        answer = self.ask(f"{API}/{module.name}/actions/count")
        return 0 if is_empty(answer) else int(decode(answer, COUNT).count)

    # -- by ids ------------------------------------------------------------------------------------------------------

    def by_ids(self, module: Module, ids: Sequence[str], parts: Sequence[Sequence[str]]) -> dict[str, bytes]:
        """These records by their ids, each with all fields of `parts`; what does not exist is left out."""
        found: dict[str, bytes] = {}
        for start in range(0, len(ids), MOST_IDS):
            chosen = ids[start : start + MOST_IDS]
            pieces = [self._by_ids(module, chosen, part) for part in parts]
            whole = [one for one in chosen if all(one in piece for piece in pieces)]
            found |= {one: joined([piece[one] for piece in pieces]) for one in whole}
        return found

    def documents(self, module: Module, ids: Sequence[str]) -> dict[str, bytes]:
        """These records with all that is read of them, and their lines.

        Lists hold no lines. A list by ids does where the module gives them (UNVERIFIED for each module); where it does
        not, the documents are read one by one.
        """
        parts = self.readable(module).parts(lines=module.lines)
        if module.lines is None or module.name not in self._lines_one_by_one:
            found = self.by_ids(module, ids, parts)
            if module.lines is None or all(module.lines in PARTS.decode(record) for record in found.values()):
                return found
            self._lines_one_by_one.add(module.name)
        wanted = {"id", *(name for part in parts for name in part)}
        singles = {one: self.single(module, one) for one in ids}
        return {one: _only(record, wanted) for one, record in singles.items() if record is not None}

    def single(self, module: Module, record_id: str) -> bytes | None:
        """One record from its own address, with every field there is; None when it does not exist."""
        answer = self.record(module, record_id)
        rows = rows_of(answer) if answer is not None else []
        return rows[0] if rows else None

    def record(self, module: Module, record_id: str) -> Answer | None:
        """What the address of one record answers; None when there is no such record."""
        path = f"{API}/{module.name}/{record_id}"
        answer = self.transport.request("GET", path, judge=judge_single)
        return None if is_empty(answer) or says_missing(answer) else answer

    def _by_ids(self, module: Module, ids: Sequence[str], fields: Sequence[str]) -> dict[str, bytes]:
        query = {"ids": ",".join(ids), "fields": ",".join(fields), **module.query}
        rows = {id_of(row): row for row in rows_of(self.ask(f"{API}/{module.name}", query))}
        strange = next((one for one in rows if one not in ids), None)
        if strange is not None:
            raise ProtocolError(f"Zoho sent the {module.name} {strange}, which was not asked for: it heeds no ids.")
        return rows

    # -- COQL --------------------------------------------------------------------------------------------------------

    def select(self, query: str) -> list[dict[str, Any]]:
        """The rows of a COQL query. Unlike a search it sees what was written a moment ago."""
        answer = self.transport.request(
            "POST",
            f"{API}/coql",
            body=encode({"select_query": query}),
            headers=_JSON,
            judge=judge,
            idempotent=True,
        )
        return [] if is_empty(answer) else decode(answer, _FOUND).data

    def ids_modified_at(self, module: Module, moment: str) -> Iterator[str]:
        """The ids of all records modified in one second, in their order."""
        after = "0"
        while True:
            where = f"(Modified_Time = '{moment}' and id > '{after}') order by id asc limit 0, {MOST_ROWS}"
            rows = self.select(f"select id from {module.name} where {where}")  # noqa: S608  (COQL)
            ids = [str(row.get("id", "")) for row in rows]
            yield from ids
            if len(ids) < MOST_ROWS:
                return
            if int(ids[-1]) <= int(after):
                raise ProtocolError(f"Zoho's COQL gave {module.name} not in the order of their ids.")
            after = ids[-1]


def id_of(record: bytes) -> str:
    """Raises ProtocolError for a record without an id."""
    try:
        return _ID.decode(record).id
    except UNREADABLE:
        raise ProtocolError(f"A record of Zoho has no id: {record[:200].decode('utf-8', 'replace')}") from None


def joined(pieces: Sequence[bytes]) -> bytes:
    """One record out of the parts that were asked for one after the other."""
    if len(pieces) == 1:
        return pieces[0]
    whole: dict[str, msgspec.Raw] = {}
    for piece in pieces:
        whole |= PARTS.decode(piece)
    return encode(whole)


def _only(record: bytes, wanted: set[str]) -> bytes:
    return encode({name: value for name, value in PARTS.decode(record).items() if name in wanted})
