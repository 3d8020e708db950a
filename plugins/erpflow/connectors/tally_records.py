"""Tally's objects as JSON records and back: the same object is always the same bytes.

`<X.LIST>` becomes `X_LIST`, a list of objects (or of texts, where it only holds `<X>`): a dot is a step of a path.
Everything else is a text without blanks around it; an empty amount, quantity, rate, number or date is null. U+0004,
which Tally puts before reserved values ("\\x04 Primary"), stays: it tells them from what a person typed.
Source: vendor sheet "Encoding" and "Reading".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec

from erpflow.connectors.tally_text import escaped, unescaped
from erpflow.errors import FieldProblem, RecordRejected

if TYPE_CHECKING:
    from lxml import etree

_ABSENT_WHEN_EMPTY: Final = frozenset({"Amount", "Quantity", "Rate", "Number", "Date", "Due Date"})
_LIST: Final = ".LIST"
_NOT_DATA: Final = frozenset({"TYPE", "ACTION"})
_ISO_DATE: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_TAG: Final = re.compile(r"[A-Z][A-Z0-9_.]*")
_ENCODER: Final = msgspec.json.Encoder(order="deterministic", decimal_format="number")


def encoded_record(record: Mapping[str, Any]) -> bytes:
    """A record as it lands, its keys in order."""
    return _ENCODER.encode(record)


def record_of(element: etree._Element) -> dict[str, Any]:
    """One object as a record. Attributes are fields too; where an element has the same name, it counts."""
    attributes = {str(name): unescaped(str(value)) for name, value in element.items()}
    record: dict[str, Any] = {name: value for name, value in attributes.items() if name not in _NOT_DATA}
    record.update(_fields(element))
    return record


def _fields(element: etree._Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for child in element.iterchildren(tag="*"):
        tag = str(child.tag)
        if tag.endswith(_LIST):
            found.setdefault(named(tag), []).extend(_entries(child, tag.removesuffix(_LIST)))
        else:
            _add(found, tag.replace(".", "_"), _fields(child) if len(child) else _scalar(child))
    return found


def _entries(listed: etree._Element, name: str) -> list[Any]:
    """What one `<X.LIST>` adds: the texts of its `<X>`, or itself as an object. White space alone is nothing."""
    children = list(listed.iterchildren(tag="*"))
    if not children:
        text = _scalar(listed)
        return [text] if text else []
    if all(child.tag == name and not len(child) for child in children):
        return [_scalar(child) for child in children]
    return [_fields(listed)]


def _add(found: dict[str, Any], name: str, value: Any) -> None:
    """A field; one that comes several times is a list."""
    if name not in found:
        found[name] = value
    elif isinstance(found[name], list):
        found[name].append(value)
    else:
        found[name] = [found[name], value]


def _scalar(element: etree._Element) -> str | None:
    text = unescaped(element.text or "")
    return None if not text and element.get("TYPE") in _ABSENT_WHEN_EMPTY else text


def named(tag: str) -> str:
    """The key of a tag in a record."""
    return tag.replace(".", "_")


# -- and back ----------------------------------------------------------------------------------------------------------


def fields_xml(values: Mapping[str, Any]) -> str:
    """Fields as elements, in their order. Raises RecordRejected for what Tally could not read."""
    return "".join(_element(name, value, path=name) for name, value in values.items())


def _element(name: str, value: Any, *, path: str) -> str:
    if not _TAG.fullmatch(name):
        raise _refused(path, "field", f"{name[:60]!r} is no name of a field of Tally", value)
    if name.endswith("_LIST"):
        return "".join(_listed(name.removesuffix("_LIST"), value, path=path))
    if isinstance(value, Mapping):
        inner = "".join(_element(key, part, path=f"{path}.{key}") for key, part in value.items())
        return f"<{name}>{inner}</{name}>"
    return f"<{name}>{text_of(value, path=path)}</{name}>"


def _listed(name: str, value: Any, *, path: str) -> Iterator[str]:
    entries = value if isinstance(value, list) else [] if value is None else [value]
    if not entries:
        yield f"<{name}.LIST></{name}.LIST>"
    elif all(not isinstance(entry, Mapping) for entry in entries):
        texts = "".join(f"<{name}>{text_of(entry, path=path)}</{name}>" for entry in entries)
        yield f'<{name}.LIST TYPE="String">{texts}</{name}.LIST>'
    else:
        for place, entry in enumerate(entries):
            if not isinstance(entry, Mapping):
                raise _refused(path, "shape", "A list holds either objects or texts, not both", entry)
            inner = "".join(_element(key, part, path=f"{path}.{place}.{key}") for key, part in entry.items())
            yield f"<{name}.LIST>{inner}</{name}.LIST>"


def text_of(value: Any, *, path: str) -> str:
    """One value as the content of an element, or of an attribute.

    A date in ISO form is written as Tally wants it: it would misread the other silently.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if not isinstance(value, str | int):
        raise _refused(path, "type", f"A value of type {type(value).__name__} cannot be sent to Tally", value)
    text = str(value)
    date = _ISO_DATE.fullmatch(text) if path.endswith(("DATE", "APPLICABLEFROM")) else None
    try:
        return "".join(date.groups()) if date else escaped(text)
    except ValueError as error:
        raise _refused(path, "characters", f"The value cannot be sent: {error}", value) from None


def _refused(path: str, rule: str, message: str, value: Any) -> RecordRejected:
    return RecordRejected([FieldProblem(path, rule, f"{message}.", ascii(value)[:80])])
