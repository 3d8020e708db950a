"""What a request asks: the envelope of today and the one of ERP 9, tags and verbs in any case."""

from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from sandbox.tally.wire import PLACEHOLDER, parseable


@dataclass(frozen=True, slots=True)
class Node:
    """An element with its tag and attributes in capitals."""

    tag: str
    attributes: dict[str, str]
    text: str
    children: list["Node"]

    def at(self, path: str) -> "Node | None":
        """The first element at a path of tags."""
        first, _, rest = path.partition("/")
        for child in self.children:
            if child.tag == first:
                return child.at(rest) if rest else child
        return None

    def said(self, path: str) -> str:
        found = self.at(path)
        return found.text.strip() if found else ""

    def every(self, tag: str) -> list["Node"]:
        """All elements of a tag, at any depth."""
        return [node for child in self.children for node in ([child] if child.tag == tag else child.every(tag))]


@dataclass(slots=True)
class Collection:
    """A collection that a request defines."""

    type: str
    fetch: list[str] = field(default_factory=list)
    filters: list[str] = field(default_factory=list)
    child_of: str | None = None


@dataclass(slots=True)
class Asked:
    """A request, read."""

    verb: str
    type: str
    id: str
    company: str | None
    collections: dict[str, Collection] = field(default_factory=dict)
    formulas: dict[str, str] = field(default_factory=dict)
    objects: list[Node] = field(default_factory=list)


def read_request(text: str) -> Asked | None:
    """The request; None for one that Tally cannot process."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        element = etree.fromstring(parseable(text).encode(), parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    root = node_of(element)
    verb = root.said("HEADER/TALLYREQUEST").lower()
    if root.tag != "ENVELOPE" or verb not in ("export", "import", "import data", "export data"):
        return None
    if verb.endswith(" data"):
        return _of_erp9(root, verb.removesuffix(" data"))
    variables = root.at("BODY/DESC/STATICVARIABLES")
    asked = Asked(verb, root.said("HEADER/TYPE").lower(), root.said("HEADER/ID"), _company(variables))
    _define(asked, root.at("BODY/DESC/TDL/TDLMESSAGE"))
    data = root.at("BODY/DATA")  # what sits in DESC is not seen
    asked.objects = [node for message in (data.every("TALLYMESSAGE") if data else []) for node in message.children]
    return asked


def node_of(element: Any) -> Node:
    children = [node_of(child) for child in element.iterchildren(tag="*")]
    text = (element.text or "").replace(PLACEHOLDER, "\x04")
    attributes = {name.upper(): value.replace(PLACEHOLDER, "\x04") for name, value in element.items()}
    return Node(etree.QName(element).localname.upper(), attributes, text, children)


def fields_of(node: Node) -> dict[str, Any]:
    """The fields of an object that is sent."""
    found: dict[str, Any] = {}
    for child in node.children:
        if child.tag.endswith(".LIST"):
            entries = found.setdefault(child.tag, [])
            inner = child.tag.removesuffix(".LIST")
            if child.children and all(part.tag == inner and not part.children for part in child.children):
                entries += [part.text.strip() for part in child.children]
            elif child.children:
                entries.append(fields_of(child))
        else:
            found[child.tag] = child.text.strip()
    return found


def _of_erp9(root: Node, verb: str) -> Asked:
    described = root.at(f"BODY/{verb.upper()}DATA/REQUESTDESC")
    name = described.said("REPORTNAME") if described else ""
    asked = Asked(verb, "data", name, _company(described.at("STATICVARIABLES") if described else None))
    data = root.at(f"BODY/{verb.upper()}DATA/REQUESTDATA")
    asked.objects = [node for message in (data.every("TALLYMESSAGE") if data else []) for node in message.children]
    return asked


def _company(variables: Node | None) -> str | None:
    return variables.said("SVCURRENTCOMPANY") or None if variables else None


def _define(asked: Asked, message: Node | None) -> None:
    for node in message.children if message else []:
        name = node.attributes.get("NAME", "")
        if node.tag == "COLLECTION":
            fetch = [part.strip().upper() for tag in ("FETCH", "NATIVEMETHOD") for one in node.every(tag)
                     for part in one.text.split(",")]  # fmt: skip
            filters = [one.text.strip() for tag in ("FILTER", "FILTERS") for one in node.every(tag)]
            child_of = node.said("CHILDOF") or None
            asked.collections[name.upper()] = Collection(node.said("TYPE"), fetch, filters, child_of)
        elif node.tag == "SYSTEM":
            asked.formulas[name.upper()] = node.text.strip()
