"""Exports: collections that a request defines itself. There are no others here, and no reports."""

from collections.abc import Callable, Iterable
from typing import Any

from sandbox.tally.company import VOUCHER, Company, Office, Thing
from sandbox.tally.envelope import Asked, Collection
from sandbox.tally.formula import ErrorBox, compiled
from sandbox.tally.wire import element, escaped, listed

_ALWAYS = ("GUID",)
_NUMBERS = {"ALTERID": "alterid", "MASTERID": "masterid"}
ENTRIES, GOODS = "ALLLEDGERENTRIES", "ALLINVENTORYENTRIES"


def export(office: Office, asked: Asked, *, closed: bool) -> str:
    """The answer. Raises ErrorBox for what Tally answers with a dialogue on its screen.

    `closed`: the company was closed just before this request.
    """
    if asked.type == "data":
        return failure(f"Could not find Report '{asked.id}'!")
    collection = asked.collections.get(asked.id.upper())
    if asked.type != "collection" or collection is None:
        raise ErrorBox(f"Error in TDL. 'Collection:{asked.id}' Could not find description!")
    tests = [compiled(_formula(asked, name)) for name in collection.filters]
    if collection.type.upper() == "COMPANY":
        return _envelope(None, "".join(_company(one, collection.fetch) for one in office.open()))
    company = None if closed else office.chosen(asked.company)
    kind = collection.type.upper().replace(" ", "")
    if kind not in Company("", "").things:
        raise ErrorBox(f"Error in TDL. 'Collection:{asked.id}' incorrect object type")
    if company is None:  # a company that is not open reads as an empty one
        return _envelope(None, "")
    rows = [thing for thing in company.of(kind) if all(test(methods(thing)) for test in tests)]
    return _envelope(company, "".join(_row(thing, collection, company) for thing in rows))


def failure(line: str) -> str:
    return (
        "<ENVELOPE><HEADER><VERSION>1</VERSION><STATUS>0</STATUS></HEADER><BODY><DATA>"
        f"<LINEERROR>{escaped(line)}</LINEERROR></DATA></BODY></ENVELOPE>"
    )


def methods(thing: Thing) -> Callable[[str], Any]:
    """The values a formula may ask of an object."""

    def method(name: str) -> Any:
        if name in _NUMBERS:
            return getattr(thing, _NUMBERS[name])
        if name == "GUID":
            return thing.guid
        value = thing.fields.get(name, "")
        if name.startswith("IS"):
            return str(value) == "Yes"
        return value

    return method


def whole(thing: Thing) -> dict[str, Any]:
    """Everything an object has, by tag, as fetching it all would give."""
    found: dict[str, Any] = {"GUID": thing.guid, "MASTERID": str(thing.masterid), "ALTERID": str(thing.alterid)}
    fields = {tag: value for tag, value in thing.fields.items() if tag not in ("NAME.LIST", "LEDGERENTRIES.LIST")}
    if thing.kind == VOUCHER:
        fields[f"{ENTRIES}.LIST"] = entries_of(thing)
    else:
        names = [thing.name, *thing.aliases]
        found["LANGUAGENAME.LIST"] = [{"NAME.LIST": names, "LANGUAGEID": "1033"}]
    return found | fields


def entries_of(thing: Thing) -> list[dict[str, Any]]:
    """All ledger entries of a voucher; in the invoice view those that come with the goods are among them."""
    own = thing.fields.get(f"{ENTRIES}.LIST") or thing.fields.get("LEDGERENTRIES.LIST") or []
    brought = [
        {tag: allocation[tag] for tag in ("LEDGERNAME", "ISDEEMEDPOSITIVE", "AMOUNT") if tag in allocation}
        for line in thing.fields.get(f"{GOODS}.LIST", [])
        for allocation in line.get("ACCOUNTINGALLOCATIONS.LIST", [])
    ]
    return [*own, *brought]


def _formula(asked: Asked, name: str) -> str:
    try:
        return asked.formulas[name.upper()]
    except KeyError:
        raise ErrorBox(f"No such formula: {name}") from None


def _company(company: Company, fetch: Iterable[str]) -> str:
    known = {
        "NAME": company.name,
        "GUID": company.guid,
        "BOOKSFROM": company.books_from,
        "STARTINGFROM": company.books_from,
        "ALTMSTID": str(company.altmst),
        "ALTVCHID": str(company.altvch),
    }
    fields = "".join(element(tag, known[tag]) for tag in fetch if tag in known)
    return f'<COMPANY NAME="{escaped(company.name)}" RESERVEDNAME="">{fields}</COMPANY>'


def _row(thing: Thing, collection: Collection, company: Company) -> str:
    fields = whole(thing)
    wanted = dict.fromkeys([*_ALWAYS, *collection.fetch])
    parts = [text for tag in wanted if (text := _fetched(fields, tag)) is not None]
    if "*" in wanted:
        parts = [
            element(tag, value) for tag, value in fields.items() if tag.removesuffix(".LIST") not in (ENTRIES, GOODS)
        ]
        parts += [text for tag in wanted if tag != "*" and tag.endswith(".*") and (text := _fetched(fields, tag))]
    if thing.kind == VOUCHER:
        remote = escaped(thing.remote_id or thing.guid)
        head = f'REMOTEID="{remote}" VCHKEY="{thing.guid[:36]}-0000b1c4:{thing.masterid:08x}"'
        kind = escaped(str(fields.get("VOUCHERTYPENAME") or ""))
        return f'<VOUCHER {head} VCHTYPE="{kind}">{"".join(parts)}</VOUCHER>'
    if "LANGUAGENAME.LIST" not in wanted and "*" not in wanted:  # unasked, as Tally sends it
        parts.append(element("LANGUAGENAME.LIST", fields["LANGUAGENAME.LIST"]))
    return f'<{thing.kind} NAME="{escaped(thing.name)}" RESERVEDNAME="">{"".join(parts)}</{thing.kind}>'


def _fetched(fields: dict[str, Any], wanted: str) -> str | None:
    """One fetched method: a field, a list, one field of the entries of a list, or (with a star) all that is below."""
    if wanted in fields:
        return element(wanted, fields[wanted])
    first, _, rest = wanted.partition(".")
    entries = fields.get(f"{first}.LIST")
    if not isinstance(entries, list) or not rest:
        return None
    if rest == "*":
        return listed(f"{first}.LIST", entries)
    if "." in rest:
        return None  # one step, and no deeper
    return listed(
        f"{first}.LIST", [{rest: entry[rest]} for entry in entries if isinstance(entry, dict) and rest in entry]
    )


def _envelope(company: Company | None, rows: str) -> str:
    counts = "".join(
        f"<{kind}>{0 if kind == VOUCHER else min(len(things), 4)}</{kind}>"
        for kind, things in (company.things.items() if company else ())
    )
    return (
        "<ENVELOPE><HEADER><VERSION>1</VERSION><STATUS>1</STATUS></HEADER><BODY>"
        f"<DESC><CMPINFO><COMPANY>0</COMPANY>{counts}</CMPINFO></DESC>"
        f'<DATA><COLLECTION ISMSTDEPTYPE="Yes" MSTDEPTYPE="8">{rows}</COLLECTION></DATA></BODY></ENVELOPE>'
    )
