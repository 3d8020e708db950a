"""The numbers of vouchers: a type gives them itself, takes what is sent, or takes it once."""

from typing import Any

from sandbox.tally.company import VOUCHER, Company, Thing


class Taken(Exception):
    """The number belongs to another voucher of the type, which prevents duplicates."""


def numbered(company: Company, fields: dict[str, Any]) -> str:
    """The number of a new voucher. Raises Taken."""
    kind = str(fields.get("VOUCHERTYPENAME") or "")
    sent = str(fields.get("VOUCHERNUMBER") or "")
    if is_automatic(company, kind):
        return _number(company, kind, len(_of_type(company, kind)) + 1)  # what was sent is discarded
    of = company.named("VOUCHERTYPE", kind)
    prevents = of is not None and of.fields.get("PREVENTDUPLICATES") == "Yes"
    if prevents and sent and any(one.fields.get("VOUCHERNUMBER") == sent for one in _of_type(company, kind)):
        raise Taken
    return sent


def is_automatic(company: Company, kind: str) -> bool:
    of = company.named("VOUCHERTYPE", kind)
    return of is not None and of.fields.get("NUMBERINGMETHOD") == "Automatic"


def renumber(company: Company, kind: str) -> None:
    """Numbers follow the dates: a voucher of an earlier day moves all later ones, and no AlterID tells."""
    if not is_automatic(company, kind):
        return
    *before, newest = _of_type(company, kind)
    if all(str(one.fields.get("DATE")) <= str(newest.fields.get("DATE")) for one in before):
        return
    for place, voucher in enumerate(sorted([*before, newest], key=_by_day), start=1):
        voucher.fields["VOUCHERNUMBER"] = _number(company, kind, place)


def _by_day(voucher: Thing) -> tuple[str, int]:
    return str(voucher.fields.get("DATE")), voucher.masterid


def _of_type(company: Company, kind: str) -> list[Thing]:
    return [one for one in company.of(VOUCHER) if str(one.fields.get("VOUCHERTYPENAME")).casefold() == kind.casefold()]


def _number(company: Company, kind: str, place: int) -> str:
    of = company.named("VOUCHERTYPE", kind)
    prefix = str(of.fields.get("PREFIX") or "") if of else ""
    return f"{prefix}{place:05d}"
