"""RETSUM: the portal's own sums of what is saved, with a checksum of each section and of all."""

import json
from typing import Any

from sandbox.gst_portal.portal import Filing, Portal, Rows, checksum

TAXES = {"ttl_igst": "iamt", "ttl_cgst": "camt", "ttl_sgst": "samt", "ttl_cess": "csamt"}


def summary(portal: Portal, filing: Filing, *, gstin: str, period: str) -> bytes:
    """As JSON; the same rows give the same bytes."""
    sections = [
        *(_section(name, rows) for name, rows in sorted(_by_name(filing).items()) if rows),
        *([_issued(filing)] if "doc_issue" in filing.sections else []),
    ]
    if sections and portal.switches.extra:
        sections[0]["ttl_tax"] += portal.switches.extra
    body = {"gstin": gstin, "ret_period": period, "sec_sum": sections}
    return json.dumps({**body, "chksum": checksum(json.dumps(body, sort_keys=True).encode())}).encode()


def _by_name(filing: Filing) -> dict[str, list[Rows]]:
    found: dict[str, list[Rows]] = {}
    for section, rows in filing.sections.items():
        for row in rows.values():
            if section == "b2b":
                found.setdefault(_table_of(row), []).append(row)
            elif section in ("b2cl", "b2cs", "cdnr", "cdnur", "exp"):
                found.setdefault(section.upper(), []).append(row)
    return found


def _table_of(row: Rows) -> str:
    if row["inv_typ"] == "R":
        return "B2B_4B" if row["rchrg"] == "Y" else "B2B_4A"
    return {"SEWP": "B2B_SEZWP", "SEWOP": "B2B_SEZWOP", "DE": "B2B_6C", "CBW": "B2B_4A"}[row["inv_typ"]]


def _section(name: str, rows: list[Rows]) -> dict[str, Any]:
    sums = dict.fromkeys(("ttl_val", "ttl_tax", *TAXES), 0.0)
    for row in rows:
        sign = -1 if row.get("ntty") == "C" else 1
        sums["ttl_val"] += row.get("val", 0) * sign
        for item in (item.get("itm_det", item) for item in row.get("itms", [row])):
            sums["ttl_tax"] += item["txval"] * sign
            for total, key in TAXES.items():
                sums[total] += item.get(key, 0) * sign
    shown = {key: round(value, 2) for key, value in sums.items()}
    digest = checksum(json.dumps(sorted(rows, key=repr), sort_keys=True).encode())
    return {"sec_nm": name, "chksum": digest, "ttl_rec": len(rows), **shown}


def _issued(filing: Filing) -> dict[str, Any]:
    found = filing.sections["doc_issue"][""]
    docs = [each for kind in found["doc_det"] for each in kind["docs"]]
    return {
        "sec_nm": "DOC_ISSUE",
        "chksum": checksum(json.dumps(found, sort_keys=True).encode()),
        "ttl_doc_issued": sum(each["totnum"] for each in docs),
        "ttl_doc_cancelled": sum(each["cancel"] for each in docs),
        "net_doc_issued": sum(each["net_issue"] for each in docs),
    }
