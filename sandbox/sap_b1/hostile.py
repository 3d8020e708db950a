"""Records that break careless clients: markup, quotes, long names, right-to-left text, 1970 and 9999, nothing at all.

Most are to be stored as they are. A few cannot be stored by a strict client, and have to be rejected.
"""

from decimal import Decimal

from sandbox.sap_b1 import documents, masters
from sandbox.sap_b1.company import Company, Values

STAMP = {"UpdateDate": "2025-06-15", "UpdateTime": "12:00:00"}
PARTNERS: dict[str, Values] = {
    "HOSTILE-HTML": {"CardName": "<b>Bold</b> & <script>alert(1)</script> GmbH"},
    "HOSTILE-QUOTE'": {"CardName": 'O\'Brien "Quotes" \\ Backslash'},
    "HOSTILE-LONG": {"CardName": "L" * 100, "FreeText": "x" * 10_000},
    "HOSTILE-RTL": {"CardName": "חברה \u202eright to left\u202c בע״מ", "Notes": "مرحبا"},
    "HOSTILE-EMOJI": {"CardName": "Żółć 🎈👩‍👩‍👧 \U0001d54f Sp. z o.o."},
    "HOSTILE/A B&C": {"CardName": "Slash & ampersand #1 100%"},
    "HOSTILE-BLANK": {"CardName": "  padded  ", "EmailAddress": "", "Phone1": "   "},
}
BROKEN_PARTNERS: dict[str, Values] = {
    "HOSTILE-NUL": {"CardName": "nul \x00 inside"},
    "HOSTILE-NONAME": {"CardName": None},
}
ITEMS: dict[str, Values] = {
    "HOSTILE <i>": {"ItemName": "Item <i>in italics</i> & more"},
    "HOSTILE'QUOTE": {"ItemName": "5\" pipe, 3' long"},
    "HOSTILE-HEBREW": {"ItemName": "פריט מימין לשמאל"},
}
BROKEN_ITEMS: dict[str, Values] = {"HOSTILE-NONAME": {"ItemName": "  "}}


def add(company: Company) -> dict[str, dict[str, int]]:
    """Add them all; how many of each entity a strict client rejects, by rule."""
    for code, values in {**PARTNERS, **BROKEN_PARTNERS}.items():
        contacts = [{"Name": f"Contact of {code}"[:50], "FirstName": "<i>Zoë</i>", "LastName": "D'Arc & Söhne"}]
        given = {"CardCode": code, "ContactEmployees": contacts, **values}
        row = masters.create(company, "BusinessPartners", "CardCode", given)
        row.values.update(STAMP, CreateDate="1970-01-01", CreateTime="00:00:00", CardName=values["CardName"])
    for code, values in {**ITEMS, **BROKEN_ITEMS}.items():
        row = masters.create(company, "Items", "ItemCode", {"ItemCode": code, **values})
        row.values.update(STAMP, CreateDate="1970-01-01", CreateTime="00:00:00")
    rejects = {"customer": {"characters": 1, "required": 1}, "product": {"required": 1}}
    if not any(key.startswith("C") for key in company.tables["BusinessPartners"]):
        return rejects
    order(company, "HOSTILE-DATES", {"DocDueDate": "9999-12-31"})
    order(company, "HOSTILE-HTML", {"Comments": "<p>Deliver to <b>gate 3</b> &amp; ring</p>"})
    order(company, "HOSTILE-SERVICE", {"DocType": "dDocument_Service"}, code=None)
    order(company, "HOSTILE-HUGE", {}, quantity=Decimal(10) ** 14)
    return {**rejects, "order": {"max": 1}}


def order(
    company: Company,
    number: str,
    values: Values,
    *,
    code: str | None = "HOSTILE'QUOTE",
    quantity: Decimal = Decimal(2),
) -> None:
    """One order of a hostile customer; lines of a service have no item."""
    line: Values = {
        "ItemDescription": "Consulting <b>flat rate</b>",
        "Quantity": quantity,
        "UnitPrice": Decimal("10.50"),
    }
    given: Values = {
        "CardCode": "HOSTILE-HTML",
        "DocDate": "2025-06-15",
        "TaxDate": "2025-06-15",
        "DocDueDate": "2025-07-01",
        "NumAtCard": number,
        "DocumentLines": [{**line, **({"ItemCode": code} if code else {})}],
        **values,
    }
    documents.create(company, "Orders", given).values.update(STAMP, CreationDate="2025-06-15")
