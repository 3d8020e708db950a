"""Imports: masters and vouchers, with the counters, the refusals and the silences of Tally."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.tally.company import MASTERS, VOUCHER, Company, Office, Thing
from sandbox.tally.envelope import Asked, Node, fields_of
from sandbox.tally.exports import entries_of, failure
from sandbox.tally.formula import ErrorBox
from sandbox.tally.numbering import Taken, numbered, renumber
from sandbox.tally.wire import escaped

TITLES = {
    "GROUP": "Group",
    "LEDGER": "Ledger",
    "STOCKGROUP": "Stock Group",
    "STOCKITEM": "Stock Item",
    "UNIT": "Unit",
    "GODOWN": "Godown",
    "VOUCHERTYPE": "Voucher Type",
}
REFERENCES = {  # of masters: the field, and the kind it names
    "GROUP": {"PARENT": "GROUP"},
    "LEDGER": {"PARENT": "GROUP"},
    "STOCKITEM": {"PARENT": "STOCKGROUP", "BASEUNITS": "UNIT"},
    "STOCKGROUP": {"PARENT": "STOCKGROUP"},
    "VOUCHERTYPE": {"PARENT": "VOUCHERTYPE"},
}
COUNTERS = ("CREATED", "ALTERED", "DELETED", "LASTVCHID", "LASTMID", "COMBINED", "IGNORED", "ERRORS", "CANCELLED",
            "EXCEPTIONS")  # fmt: skip


class Refused(Exception):
    """An object is refused with a line of error; `as_error` counts it, otherwise all counters stay at zero."""

    def __init__(self, line: str, *, as_error: bool = True) -> None:
        super().__init__(line)
        self.as_error = as_error


class Excepted(Exception):
    """An object is refused without a word: only EXCEPTIONS counts it."""


@dataclass(slots=True)
class Result:
    counters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTERS, 0))
    lines: list[str] = field(default_factory=list)

    def count(self, name: str) -> None:
        self.counters[name] += 1


def import_objects(office: Office, asked: Asked, *, closed: bool) -> str:
    """Carries out what was sent, object by object, and says what became of all of it together."""
    company = None if closed else office.chosen(asked.company)
    if company is None:
        return failure(f"Could not set 'SVCurrentCompany' to '{asked.company or ''}'")
    if asked.id.lower() not in ("all masters", "vouchers"):
        return failure(f"Could not find Report '{asked.id}'!")
    result = Result()
    for node in asked.objects:
        try:
            _one(office, company, node, result)
        except Refused as refusal:
            result.lines.append(str(refusal))
            if refusal.as_error:
                result.count("ERRORS")
        except (Excepted, Taken):
            result.count("EXCEPTIONS")
    return shown(result, wrapped=office.switches.wrapped)


def shown(result: Result, *, wrapped: bool) -> str:
    """One of the two shapes of an answer, with the lines of error inside."""
    lines = "".join(f"<LINEERROR>{escaped(line)}</LINEERROR>" for line in result.lines)
    counters = "".join(f"<{name}>{count}</{name}>" for name, count in result.counters.items())
    if not wrapped:
        return f"<RESPONSE>{lines}{counters}</RESPONSE>"
    return (
        "<ENVELOPE><HEADER><VERSION>1</VERSION><STATUS>1</STATUS></HEADER><BODY><DATA>"
        f"<IMPORTRESULT>{counters}</IMPORTRESULT>{lines}</DATA><DESC><CMPINFO></CMPINFO></DESC></BODY></ENVELOPE>"
    )


def _one(office: Office, company: Company, node: Node, result: Result) -> None:
    action = node.attributes.get("ACTION", "Create").lower()
    if node.tag == VOUCHER:
        _voucher(office, company, node, action, result)
    elif node.tag in MASTERS:
        _master(office, company, node, action, result)
    else:
        result.count("IGNORED")


# -- masters -----------------------------------------------------------------------------------------------------------


def _master(office: Office, company: Company, node: Node, action: str, result: Result) -> None:
    fields = fields_of(node)
    names = [str(name) for name in fields.pop("NAME.LIST", [])]
    own = fields.pop("NAME", None)
    named = node.attributes.get("NAME", "").strip() or (names[0] if names else str(own or ""))
    known = company.named(node.tag, named)
    if action == "delete":
        _delete_master(office, company, known, result)
        return
    if known is None and action == "alter":
        raise Refused(f"{TITLES[node.tag]} '{named}' does not exist!")
    _check_master(company, node.tag, fields)
    new = names or ([str(own)] if own else [])
    if new:
        fields |= {"NAME": new[0], "NAME.LIST": new[1:]}
    if known is not None:  # creating what is there alters it, in silence
        company.alter(known, fields)
        result.count("ALTERED")
        return
    company.add(node.tag, {"NAME": named, "NAME.LIST": [], "PARENT": "", **fields})
    result.count("CREATED")


def _check_master(company: Company, kind: str, fields: dict[str, Any]) -> None:
    for name, of in REFERENCES.get(kind, {}).items():
        value = str(fields.get(name) or "")
        if value and not value.startswith("\x04") and company.named(of, value) is None:
            raise Refused(f"{TITLES[of]} '{value}' does not exist!")


def _delete_master(office: Office, company: Company, known: Thing | None, result: Result) -> None:
    if known is None:
        if office.switches.crash_on_missing:
            raise ErrorBox("c0000005")
        raise Refused("Item does not exist!")
    if any(_uses(voucher, known) for voucher in company.of(VOUCHER)):
        raise Excepted
    company.drop(known)
    result.count("DELETED")


def _uses(voucher: Thing, master: Thing) -> bool:
    name = master.name.casefold()
    ledgers = {str(entry.get("LEDGERNAME") or "").casefold() for entry in entries_of(voucher)}
    lines = voucher.fields.get("ALLINVENTORYENTRIES.LIST", [])
    items = {str(line.get("STOCKITEMNAME") or "").casefold() for line in lines}
    kind = str(voucher.fields.get("VOUCHERTYPENAME") or "").casefold()
    return name in {"LEDGER": ledgers, "STOCKITEM": items, "VOUCHERTYPE": {kind}}.get(master.kind, set())


# -- vouchers ----------------------------------------------------------------------------------------------------------


def _voucher(office: Office, company: Company, node: Node, action: str, result: Result) -> None:
    fields, attributes = fields_of(node), node.attributes
    remote_id = attributes.get("REMOTEID", "")
    fields.setdefault("VOUCHERTYPENAME", attributes.get("VCHTYPE", ""))
    if "TAGNAME" in attributes:
        _addressed(company, node, fields, action, result)
        return
    if action != "create":
        raise Refused("Cannot delete unnamed object: VOUCHER!" if action == "delete" else "Voucher does not exist!")
    checked(company, fields)
    known = next((one for one in company.of(VOUCHER) if remote_id and one.remote_id == remote_id), None)
    if known is not None and office.switches.same_remote_id_alters:
        _replace(company, known, fields)
        result.count("ALTERED")
        result.counters["LASTVCHID"] = known.masterid
        return
    made = add_voucher(company, fields, remote_id=remote_id)
    result.count("CREATED")
    result.counters["LASTVCHID"] = made.masterid


def add_voucher(company: Company, fields: dict[str, Any], *, remote_id: str = "") -> Thing:
    """A new voucher, numbered as its type wants. Raises Taken."""
    fields = {**fields, "VOUCHERNUMBER": numbered(company, fields)}
    made = company.add(VOUCHER, {"ISCANCELLED": "No", "ISOPTIONAL": "No", **fields}, remote_id=remote_id)
    renumber(company, str(fields["VOUCHERTYPENAME"]))
    return made


def _addressed(company: Company, node: Node, fields: dict[str, Any], action: str, result: Result) -> None:
    """Alter, delete or cancel the voucher that the attributes name."""
    given = node.attributes
    day = parsed_day(given.get("DATE", ""), "%d-%b-%Y")
    by = given.get("TAGNAME", "").replace(" ", "").lower()
    value, kind = given.get("TAGVALUE", "").strip(), given.get("VCHTYPE", "").casefold()
    found = [
        one
        for one in company.of(VOUCHER)
        if (str(one.masterid) if by == "masterid" else str(one.fields.get("VOUCHERNUMBER"))) == value
        and str(one.fields.get("VOUCHERTYPENAME")).casefold() == kind
        and one.fields.get("DATE") == day
    ]
    if not found:
        raise Refused("Voucher does not exist!")
    if not node.children:
        raise Refused("Cannot process 'empty' object: VOUCHER!")
    _act(company, found[0], fields, action, result)
    result.counters["LASTVCHID"] = found[0].masterid


def _act(company: Company, voucher: Thing, fields: dict[str, Any], action: str, result: Result) -> None:
    if action == "delete":
        company.drop(voucher)
        result.count("DELETED")
    elif action == "cancel":  # CANCELLED stays at zero
        gone = {"ISCANCELLED": "Yes", "ALLLEDGERENTRIES.LIST": [], "LEDGERENTRIES.LIST": [],
                "ALLINVENTORYENTRIES.LIST": []}  # fmt: skip
        company.alter(voucher, gone)
        result.count("ALTERED")
    else:
        checked(company, fields)
        _replace(company, voucher, fields)
        result.count("ALTERED")


def _replace(company: Company, voucher: Thing, fields: dict[str, Any]) -> None:
    """All of a voucher is what was sent; only its number stays where the type gives it."""
    kept = {"VOUCHERNUMBER": voucher.fields.get("VOUCHERNUMBER", ""), "ISCANCELLED": "No", "ISOPTIONAL": "No"}
    voucher.fields = {}
    company.alter(voucher, {**kept, **fields})


def checked(company: Company, fields: dict[str, Any]) -> None:
    """What every voucher must have. Raises Refused or Excepted."""
    kind = str(fields.get("VOUCHERTYPENAME") or "")
    if company.named("VOUCHERTYPE", kind) is None:
        raise Refused(f"Voucher Type '{kind}' does not exist!")
    day = parsed_day(str(fields.get("DATE") or ""), "%Y%m%d") or parsed_day(str(fields.get("DATE") or ""), "%d-%b-%Y")
    if day is None:
        raise Refused(f"Voucher date is missing for: '{kind}' voucher {fields.get('VOUCHERNUMBER', '')}. retry Split.")
    fields["DATE"] = day
    thing = Thing(VOUCHER, "", 0, 0, fields)
    lines = fields.get("ALLINVENTORYENTRIES.LIST", [])
    if fields.get("PERSISTEDVIEW") == "Invoice Voucher View" and not lines:
        raise Excepted
    _exist(company, "LEDGER", [*(str(one.get("LEDGERNAME") or "") for one in entries_of(thing)),
                               str(fields.get("PARTYLEDGERNAME") or "")])  # fmt: skip
    _exist(company, "STOCKITEM", [str(line.get("STOCKITEMNAME") or "") for line in lines])
    _balanced(entries_of(thing))
    _without_bills(company, fields)


def _exist(company: Company, kind: str, names: list[str]) -> None:
    for name in names:
        if name and company.named(kind, name) is None:
            raise Refused(f"{TITLES[kind]} '{name}' does not exist!")


def _balanced(entries: list[dict[str, Any]]) -> None:
    try:
        amounts = [Decimal(str(entry.get("AMOUNT") or "0")) for entry in entries]
    except InvalidOperation:
        raise Excepted from None
    if sum(amounts):
        debit, credit = -sum(one for one in amounts if one < 0), sum(one for one in amounts if one > 0)
        raise Refused(f"Voucher Totals do not match! Dr: {debit} Cr: {credit}", as_error=False)


def _without_bills(company: Company, fields: dict[str, Any]) -> None:
    """Allocations to bills of a ledger that keeps none are dropped, and nothing is said."""
    for tag in ("ALLLEDGERENTRIES.LIST", "LEDGERENTRIES.LIST"):
        for entry in fields.get(tag, []):
            ledger = company.named("LEDGER", str(entry.get("LEDGERNAME") or ""))
            if ledger is not None and ledger.fields.get("ISBILLWISEON") != "Yes":
                entry.pop("BILLALLOCATIONS.LIST", None)


def parsed_day(text: str, form: str) -> str | None:
    try:
        return datetime.strptime(text, form).strftime("%Y%m%d")  # noqa: DTZ007
    except ValueError:
        return None
