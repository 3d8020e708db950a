"""How keys and values are written in the URLs and filters of a Service Layer."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from erpflow.connectors.sap_b1_time import parts_of
from erpflow.errors import ConfigError, ProtocolError

if TYPE_CHECKING:
    from erpflow.connectors.sap_b1_records import Head

_LARGEST: Final = 2**31 - 1  # Edm.Int32


@dataclass(frozen=True, slots=True)
class Key:
    """The key of an entity set; `number` when the vendor counts its records."""

    name: str
    number: bool = False

    def fits(self, text: str) -> bool:
        """Whether a record could have this key."""
        return bool(text) and (not self.number or (text.isascii() and text.isdigit() and int(text) <= _LARGEST))

    def literal(self, text: str) -> str:
        return text if self.number else literal(text)

    def of(self, head: Head) -> str:
        """The key of a row. Raises ProtocolError for one that has none."""
        if head.key is None or head.key == "":
            raise ProtocolError(f"SAP Business One sent a row without {self.name}; reading cannot go on behind it.")
        return str(head.key)


def literal(value: Any) -> str:
    """A value as a filter has it. Raises ConfigError for a list or an object."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "'tYES'" if value else "'tNO'"
    if isinstance(value, int | Decimal):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    if not isinstance(value, str):
        raise ConfigError(f"SAP Business One finds records by texts and numbers, not by {type(value).__name__}.")
    return "'" + value.replace("'", "''") + "'"


def equals(field: str, value: Any) -> str:
    return f"{field} eq {literal(value)}"


def same_time(stamp: str) -> str:
    day, at = parts_of(stamp)
    return f"{equals('UpdateDate', day)} and {equals('UpdateTime', at)}"


def resource(collection: str, key: Key, remote_id: str) -> str:
    """The path of one record below the service root, whatever is in its key."""
    return f"{collection}({quote(key.literal(remote_id), safe='')})"


def query_of(**options: str) -> str:
    """A query with the options that are not empty; spaces as %20, for a plus sign stays one at this vendor."""
    return "&".join(f"${name}={quote(value, safe='')}" for name, value in options.items() if value)
