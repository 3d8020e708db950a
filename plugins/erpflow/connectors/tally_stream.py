"""Answers of any size, one object at a time: what Tally sends is scrubbed, parsed and forgotten piece by piece.

Tally has no trailer and says that all is well before the first row, so that an answer counts only when it is whole:
the records are kept aside until its last tag was read. Source: vendor sheet "Collection with inline TDL".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from lxml import etree

from erpflow.connectors.tally_records import record_of
from erpflow.connectors.tally_text import legal, shown, unescaped
from erpflow.errors import ProtocolError, VendorUnavailable

MOST_BYTES: Final = 4 * 1024 * 1024 * 1024
LARGEST_OBJECT: Final = 64 * 1024 * 1024
_PIECE: Final = 64 * 1024
_MOST_ERRORS: Final = 100

Made = TypeVar("Made")


class Sink(Protocol):
    """Where the objects of an answer go. `begin` before the first one, and again when the answer is asked for anew."""

    def begin(self) -> None:
        """Forget what came so far."""

    def take(self, record: dict[str, Any]) -> None:
        """One object more."""


class Gathered(Generic[Made]):
    """Keeps what is made of each object; None is left out."""

    def __init__(self, make: Callable[[dict[str, Any]], Made | None]) -> None:
        self._make = make
        self.found: list[Made] = []

    def begin(self) -> None:
        self.found = []

    def take(self, record: dict[str, Any]) -> None:
        made = self._make(record)
        if made is not None:
            self.found.append(made)


@dataclass(slots=True)
class Told:
    """What an answer says besides its objects: whether it went well, and its lines of error, in Tally's words.

    `root` is the outermost tag, `text` what stands in it alone. `counters` of an import by their tags.
    """

    root: str = ""
    text: str = ""
    status: str | None = None
    objects: int = 0
    errors: list[str] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)


COUNTERS: Final = (
    "CREATED",
    "ALTERED",
    "DELETED",
    "LASTVCHID",
    "COMBINED",
    "IGNORED",
    "ERRORS",
    "CANCELLED",
    "EXCEPTIONS",
)
_ROOTS: Final = ("ENVELOPE", "RESPONSE", "EXCEPTION")
_SAID: Final = ("STATUS", "LINEERROR", "EXCEPTION")


def read_answer(pieces: Iterable[bytes], *, tag: str | None = None, sink: Sink | None = None) -> Told:
    """Reads an answer to its end; each object of the tag that is a row of it goes to `sink`.

    Raises VendorUnavailable for half an answer, ProtocolError for what is none of Tally's.
    """
    told, first = Told(), ""
    parser = etree.XMLPullParser(
        events=("end",),
        tag=(*_SAID, *COUNTERS, *((tag,) if tag else ())),
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
    )
    since_last = 0
    try:
        for piece in _small(legal(pieces)):
            first = first or piece[:1200].decode("utf-8", "replace")
            parser.feed(piece)
            before = told.objects
            for _, element in parser.read_events():
                if isinstance(element, etree._Element):
                    _seen(element, told, tag=tag, sink=sink)
            since_last = 0 if told.objects > before else since_last + len(piece)
            if since_last > LARGEST_OBJECT:
                raise ProtocolError(
                    f"Tally's answer holds an object of more than {LARGEST_OBJECT:,} bytes; reading stopped there.",
                    maybe_done=True,
                )
    except etree.XMLSyntaxError as error:
        raise _not_tallys(first, str(error.msg)) from None
    try:
        root = parser.close()
    except etree.XMLSyntaxError as error:
        if not first.lstrip().upper().startswith(("<ENVELOPE", "<RESPONSE", "<?XML")):
            raise _not_tallys(first, str(error.msg)) from None
        raise VendorUnavailable(
            "Tally's answer breaks off in the middle, though it says that all went well. Nothing of it was taken; the "
            "run can be repeated."
        ) from None
    told.root, told.text = str(root.tag), unescaped(root.text or "")
    if told.root not in _ROOTS:
        raise _not_tallys(first, f"it is a {told.root}")
    return told


def _small(pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), _PIECE):
            yield piece[start : start + _PIECE]


def _seen(element: etree._Element, told: Told, *, tag: str | None, sink: Sink | None) -> None:
    parent = element.getparent()
    above = str(parent.tag) if parent is not None else ""
    name = str(element.tag)
    if name == tag:
        # The counters of CMPINFO bear the names of objects too.
        if above in ("COLLECTION", "TALLYMESSAGE") and sink is not None and parent is not None:
            told.objects += 1
            sink.take(record_of(element))
            element.clear()
            while element.getprevious() is not None:
                del parent[0]
    elif name == "STATUS" and above == "HEADER":
        told.status = unescaped(element.text or "")
    elif name in ("LINEERROR", "EXCEPTION"):
        if len(told.errors) < _MOST_ERRORS:
            told.errors.append(unescaped(element.text or ""))
    elif above in ("RESPONSE", "IMPORTRESULT"):
        text = unescaped(element.text or "")
        told.counters[name] = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0


def _not_tallys(first: str, why: str) -> ProtocolError:
    return ProtocolError(
        f"The answer is no XML of Tally's ({why}). Check that the connection's host is Tally's. "
        f"It begins: {shown(first)}",
        maybe_done=True,
    )
