"""The types of the company's entity sets, read from SAP's own metadata (`metadata.xml`): names, properties, enums."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from functools import cache
from pathlib import Path

METADATA = Path(__file__).with_name("metadata.xml")
NAMESPACE = "{http://schemas.microsoft.com/ado/2009/11/edm}"
PREFIX = "SAPB1."
# Marketing documents and master data have ETags since 10.0 FP 2102; payments have none.
TAGGED = ("BusinessPartners", "Items", "Orders", "Invoices", "Drafts")


@dataclass(frozen=True, slots=True)
class Property:
    """One property: an Edm type, the name of an enum, or of a complex type; `many` for a list of those."""

    name: str
    type: str
    many: bool


@dataclass(frozen=True, slots=True)
class Type:
    """An entity or complex type with its properties in their order."""

    name: str
    properties: dict[str, Property]


@dataclass(frozen=True, slots=True)
class EntitySet:
    """A collection: its name, the type of its rows and the name of their key."""

    name: str
    type: Type
    key: str

    @property
    def tagged(self) -> bool:
        return self.name in TAGGED


@dataclass(frozen=True, slots=True)
class Schema:
    """Everything the metadata declares."""

    types: dict[str, Type]
    enums: dict[str, dict[str, str]]
    sets: dict[str, EntitySet]


@cache
def schema() -> Schema:
    """The metadata, read once."""
    root = ElementTree.parse(METADATA).getroot()  # noqa: S314  (our own file)
    declared = [*root.iter(f"{NAMESPACE}ComplexType"), *root.iter(f"{NAMESPACE}EntityType")]
    types = {node.attrib["Name"]: read_type(node) for node in declared}
    keys = {
        node.attrib["Name"]: node.find(f"{NAMESPACE}Key/{NAMESPACE}PropertyRef").attrib["Name"]  # type: ignore[union-attr]
        for node in root.iter(f"{NAMESPACE}EntityType")
    }
    enums = {
        node.attrib["Name"]: {member.attrib["Name"]: member.attrib["Value"] for member in node}
        for node in root.iter(f"{NAMESPACE}EnumType")
    }
    sets = {}
    for node in root.iter(f"{NAMESPACE}EntitySet"):
        type_name = node.attrib["EntityType"].removeprefix(PREFIX)
        sets[node.attrib["Name"]] = EntitySet(node.attrib["Name"], types[type_name], keys[type_name])
    return Schema(types, enums, sets)


def read_type(node: ElementTree.Element) -> Type:
    properties = {}
    for child in node.iter(f"{NAMESPACE}Property"):
        declared = child.attrib["Type"]
        many = declared.startswith("Collection(")
        inner = declared.removeprefix("Collection(").removesuffix(")").removeprefix(PREFIX)
        properties[child.attrib["Name"]] = Property(child.attrib["Name"], inner, many)
    return Type(node.attrib["Name"], properties)
