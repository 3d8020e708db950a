"""What the portal checks of rows that are saved, and where it keeps them: replaced by their key, deleted by a flag."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from sandbox.gst_portal.portal import Filing, Portal, Rows

LISTS = {"b2b": ("ctin", "inv", "inum"), "b2cl": ("pos", "inv", "inum"), "cdnr": ("ctin", "nt", "nt_num"),
         "exp": ("exp_typ", "inv", "inum")}  # fmt: skip
FLAT = {"b2cs": ("sply_ty", "typ", "pos", "rt"), "cdnur": ("typ", "nt_num"), "at": ("pos", "sply_ty"),
        "txpd": ("pos", "sply_ty")}  # fmt: skip
WHOLE = ("nil", "hsn", "doc_issue", "supeco")
STATES = {f"{code:02}" for code in range(1, 39)} - {"25", "28"} | {"96", "97"}
GSTIN = re.compile(r"[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z][Z1-9ABD-J][0-9A-Z]")
NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9/-]{0,15}")
SIGNS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ALWAYS = {0, 0.1, 0.25, 1, 1.5, 3, 5, 6, 7.5, 18}
TOLERANCE = 1.0
LISTED = """
BAG BAL BDL BKL BOU BOX BTL BUN CAN CBM CCM CMS CTN DOZ DRM GGK GMS GRS GYD KGS KLR KME LTR MLT MTR MTS NOS OTH PAC PCS
PRS QTL ROL SET SQF SQM SQY TBS TGM THD TON TUB UGS UNT YDS NA
"""
UNITS = set(LISTED.split())

Wrong = tuple[str, str]


def save(portal: Portal, filing: Filing, payload: dict[str, Any], period: str) -> dict[str, Any]:
    """Keep every good row; what is wrong with the others, in the shape of the payload."""
    report: dict[str, Any] = {}
    for section, found in payload.items():
        if section in LISTS:
            errors = list(_nested(portal, filing, section, found, period))
        elif section in FLAT:
            errors = list(_flat(filing, section, found, period))
        elif section in WHOLE:
            errors = _whole(portal, filing, section, found, period)
        else:
            continue
        if errors:
            report[section] = errors
    filing.is_ready = False
    return report


def _nested(portal: Portal, filing: Filing, section: str, groups: Any, period: str) -> Iterator[Rows]:
    outer, inner, number = LISTS[section]
    kept = filing.sections.setdefault(section, {})
    for group in groups:
        for row in group[inner]:
            key = (group[outer], str(row[number]).upper())
            if row.get("flag") == "D":
                kept.pop(key, None)
                continue
            wrong = (
                _of_group(section, group)
                or _elsewhere(portal, filing, section, key)
                or _of_row(section, group, row, period)
            )
            if wrong:
                yield {outer: group[outer], "error_cd": wrong[0], "error_msg": wrong[1], inner: [row]}
            else:
                kept[key] = {outer: group[outer], **row}


def _flat(filing: Filing, section: str, rows: Any, period: str) -> Iterator[Rows]:
    kept = filing.sections.setdefault(section, {})
    for row in rows:
        key = tuple(str(row.get(name, "")).upper() for name in FLAT[section])
        if row.get("flag") == "D":
            kept.pop(key, None)
            continue
        wrong = _of_row(section, {}, row, period)
        if wrong:
            yield {**row, "error_cd": wrong[0], "error_msg": wrong[1]}
        else:
            kept[key] = row


def _whole(portal: Portal, filing: Filing, section: str, found: Any, period: str) -> list[Rows]:
    wrong = list(_of_hsn(portal, found, period)) if section == "hsn" else []
    if not wrong:
        filing.sections[section] = {"": found}
    return wrong


def _of_group(section: str, group: Rows) -> Wrong | None:
    if "ctin" in group and not _is_gstin(group["ctin"]):
        return "RET191113", "The GSTIN of the counterparty is invalid"
    if section == "b2cl" and group["pos"] not in STATES:
        return "RET191114", "The place of supply is invalid"
    return None


def _elsewhere(portal: Portal, filing: Filing, section: str, key: tuple[str, str]) -> Wrong | None:
    """Whether the document was filed in another period already."""
    if any(
        other.arn and other is not filing and key in other.sections.get(section, {})
        for other in portal.returns.values()
    ):
        return "RET191134", "The document was filed in another period"
    return None


def _of_row(section: str, group: Rows, row: Rows, period: str) -> Wrong | None:
    number = row.get("inum", row.get("nt_num"))
    if number is not None and not NUMBER.fullmatch(str(number)):
        return "RET191112", "The number of the document is invalid"
    day = _day(row.get("idt", row.get("nt_dt")))
    if number is not None and (day is None or (day.year, day.month) > (int(period[2:]), int(period[:2]))):
        return "RET191114", "The date is not within the period"
    if row.get("pos", "96") not in STATES:
        return "RET191114", "The place of supply is invalid"
    day = day or date(int(period[2:]), int(period[:2]), 1)
    large = 250_000 if day <= date(2024, 7, 31) else 100_000
    if section == "b2cl" and row["val"] <= large:
        return "RET191144", "The value of the invoice is not above the threshold"
    details = [item.get("itm_det", item) for item in row.get("itms", [row])]
    return next((wrong for detail in details if (wrong := _of_item(detail, day))), None)


def _of_item(item: Rows, day: date) -> Wrong | None:
    rate, taxable = item["rt"], item.get("txval", item.get("ad_amt", 0))
    if not _is_rate(rate, day):
        return "RET191175", "Rate is not in the allowed list"
    wanted = taxable * rate / 100
    if item.get("iamt") and abs(item["iamt"] - wanted) >= TOLERANCE:
        return "RET191133", "The tax is not that of the rate"
    if item.get("camt", 0) != item.get("samt", 0):
        return "RET191133", "CGST and SGST are not equal"
    if item.get("camt") and abs(item["camt"] - wanted / 2) >= TOLERANCE:
        return "RET191133", "The tax is not that of the rate"
    return None


def _of_hsn(portal: Portal, found: Any, period: str) -> Iterator[Rows]:
    is_split = (int(period[2:]), int(period[:2])) >= (2025, 5)
    tabs = {"hsn_b2b", "hsn_b2c"} if is_split else {"data"}
    if set(found) - tabs - {"flag"}:
        yield {"error_cd": "RET191106", "error_msg": "The JSON structure is not that of the period"}
        return
    for row in (row for tab in sorted(tabs) for row in found.get(tab, [])):
        code = str(row["hsn_sc"])
        if len(code) < (4 if portal.switches.small else 6) or not code.isdigit():
            yield {**row, "error_cd": "RET191350", "error_msg": "The HSN is not valid for the turnover"}
        elif row["uqc"] not in UNITS or (code.startswith("99") != (row["uqc"] == "NA")):
            yield {**row, "error_cd": "RET191353", "error_msg": "The UQC is not valid"}
        elif code.startswith("99") and row["qty"] != 0:
            yield {**row, "error_cd": "RET191355", "error_msg": "The quantity of a service is 0"}


def _is_rate(rate: Any, day: date) -> bool:
    if rate == 12:
        return day < date(2025, 9, 22)
    if rate == 28:
        return day < date(2026, 2, 1)
    if rate == 40:
        return day >= date(2025, 9, 22)
    return rate in ALWAYS


def _is_gstin(text: Any) -> bool:
    if not isinstance(text, str) or not GSTIN.fullmatch(text) or text[:2] not in STATES:
        return False
    total = 0
    for place, sign in enumerate(text[:14]):
        quotient, rest = divmod(SIGNS.index(sign) * (2 if place % 2 else 1), 36)
        total += quotient + rest
    return SIGNS[(36 - total % 36) % 36] == text[14]


def _day(text: Any) -> date | None:
    matched = re.fullmatch(r"(\d{2})-(\d{2})-(\d{4})", str(text))
    try:
        return date(int(matched[3]), int(matched[2]), int(matched[1])) if matched else None
    except ValueError:
        return None
