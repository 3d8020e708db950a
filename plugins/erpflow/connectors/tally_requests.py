"""What is asked of Tally: a handful of fixed templates.

A request that Tally does not understand may open a dialogue on its screen, and then it answers nobody until a person
clicks. So nothing but numbers, GUIDs and names of plain letters ever stands in a formula; whatever else has to be
compared is compared here. Source: vendor sheet "Collection with inline TDL" and "Import".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from erpflow.connectors.tally_text import escaped

MARKS: Final = ("NAME", "GUID", "BOOKSFROM", "ALTMSTID", "ALTVCHID")
MASTERS: Final = "All Masters"
VOUCHERS: Final = "Vouchers"
_PLAIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./_-]{0,98}")
_GUID: Final = re.compile(r"[0-9A-Fa-f]{1,8}(?:-[0-9A-Fa-f]{1,12}){1,8}")
_MOST_NAMES: Final = 60


def collection(kind: str, *, fetch: Sequence[str], company: str | None, where: str = "") -> str:
    """Asks for the objects of a kind that fulfil a formula. The company is None only for the list of companies."""
    name = f"erpflow{kind}"
    chosen = f"<SVCURRENTCOMPANY>{escaped(company)}</SVCURRENTCOMPANY>" if company is not None else ""
    narrowed = "<FILTER>erpflowWanted</FILTER>" if where else ""
    formula = f'<SYSTEM TYPE="Formulae" NAME="erpflowWanted">{escaped(where)}</SYSTEM>' if where else ""
    return (
        "<ENVELOPE><HEADER><VERSION>1</VERSION><TALLYREQUEST>Export</TALLYREQUEST><TYPE>Collection</TYPE>"
        f"<ID>{name}</ID></HEADER><BODY><DESC><STATICVARIABLES><SVEXPORTFORMAT>$$SysName:XML</SVEXPORTFORMAT>{chosen}"
        f'</STATICVARIABLES><TDL><TDLMESSAGE><COLLECTION NAME="{name}" ISMODIFY="No"><TYPE>{kind}</TYPE>'
        f"<FETCH>{','.join(fetch)}</FETCH>{narrowed}</COLLECTION>{formula}</TDLMESSAGE></TDL></DESC></BODY></ENVELOPE>"
    )


def imported(what: str, *, company: str, objects: str) -> str:
    """Sends objects to a company: `what` is MASTERS or VOUCHERS."""
    return (
        f"<ENVELOPE><HEADER><VERSION>1</VERSION><TALLYREQUEST>Import</TALLYREQUEST><TYPE>Data</TYPE><ID>{what}</ID>"
        f"</HEADER><BODY><DESC><STATICVARIABLES><SVCURRENTCOMPANY>{escaped(company)}</SVCURRENTCOMPANY>"
        f'</STATICVARIABLES></DESC><DATA><TALLYMESSAGE xmlns:UDF="TallyUDF">{objects}</TALLYMESSAGE></DATA></BODY>'
        "</ENVELOPE>"
    )


# -- formulas ----------------------------------------------------------------------------------------------------------


def altered(low: int, high: int) -> str:
    """Objects whose AlterID is from `low` to `high`, both of them among them."""
    return f"$ALTERID >= {low} AND $ALTERID <= {high}"


def any_guid(guids: Iterable[str]) -> str:
    """Objects with one of these GUIDs. Comparing them as text in a formula: UNVERIFIED, so what comes is checked."""
    return " OR ".join(f'$GUID = "{guid}"' for guid in guids if is_guid(guid))


def is_guid(text: str) -> bool:
    """Whether Tally may have such an object at all; anything else is never sent."""
    return _GUID.fullmatch(text) is not None


def any_name(field: str, names: Iterable[str]) -> str:
    """Objects whose field holds one of these names; empty (no condition) when a name may not stand in a formula."""
    wanted = sorted(names)
    if not wanted or len(wanted) > _MOST_NAMES or not all(_PLAIN.fullmatch(name) for name in wanted):
        return ""
    return " OR ".join(f'${field} = "{name}"' for name in wanted)


def both(first: str, second: str) -> str:
    """Objects that fulfil two formulas; an empty one holds for all."""
    return f"({first}) AND ({second})" if first and second else first or second
