"""DocTypes: which columns a kind of document has, read from the JSON files in `doctypes/`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "doctypes"

FRONT = ("name", "owner", "creation", "modified", "modified_by", "docstatus", "idx")
BACK = ("parent", "parentfield", "parenttype")
HIDDEN = ("_user_tags",)  # a column of each table that is shown only when it holds something
LAYOUT = frozenset({"Section Break", "Column Break", "Tab Break", "HTML", "Button", "Heading"})
WHOLE = frozenset({"Check", "Int"})
REAL = frozenset({"Float", "Currency", "Percent"})
LONG = frozenset({"Text", "Small Text", "Long Text", "Text Editor", "Code", "HTML Editor", "Markdown Editor", "JSON"})
LINE_LENGTH = 140  # characters of a Data, Link or Select column unless the field says otherwise

Row = list[Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A column or child table of a DocType, with what the vendor checks about it."""

    fieldname: str
    label: str
    fieldtype: str
    options: str = ""
    default: Any = None
    reqd: bool = False
    unique: bool = False
    allow_on_submit: bool = False
    virtual: bool = False
    length: int = 0
    raw: dict[str, Any] | None = None  # as the DocType document shows it

    @property
    def empty(self) -> Any:
        """What the column holds when nobody sets it."""
        if self.default is not None:
            return self.default
        if self.fieldtype in WHOLE:
            return 0
        return 0.0 if self.fieldtype in REAL else None

    @property
    def max_length(self) -> int | None:
        if self.fieldtype in LONG or self.fieldtype in WHOLE or self.fieldtype in REAL:
            return None
        return self.length or LINE_LENGTH


STANDARD = {
    "name": Field("name", "ID", "Data"),
    "owner": Field("owner", "Owner", "Data"),
    "creation": Field("creation", "Created On", "Datetime"),
    "modified": Field("modified", "Last Updated On", "Datetime"),
    "modified_by": Field("modified_by", "Last Updated By", "Data"),
    "docstatus": Field("docstatus", "Document Status", "Int"),
    "idx": Field("idx", "Index", "Int"),
    "parent": Field("parent", "Parent", "Data"),
    "parentfield": Field("parentfield", "Parent Field", "Data"),
    "parenttype": Field("parenttype", "Parent Type", "Data"),
    "_user_tags": Field("_user_tags", "Tags", "Data", virtual=False),
}


class DocType:
    """The columns of one kind of document; rows are lists in the order of `columns`."""

    def __init__(self, definition: dict[str, Any]) -> None:
        self.definition = definition
        self.name: str = definition["name"]
        self.istable = bool(definition.get("istable"))
        self.submittable = bool(definition.get("is_submittable"))
        self.autoname: str = definition.get("autoname", "hash")
        self.tree_field: str | None = definition.get("nsm_parent_field")
        self.fields: dict[str, Field] = {}
        self.tables: dict[str, str] = {}  # child table field -> child DocType
        for raw in definition["fields"]:
            self._declare(raw)
        self.layout()

    def _declare(self, raw: dict[str, Any]) -> None:
        fieldtype = raw["fieldtype"]
        if fieldtype == "Table":
            self.tables[raw["fieldname"]] = raw["options"]
        elif fieldtype not in LAYOUT:
            self.fields[raw["fieldname"]] = field_of(raw)

    def layout(self) -> None:
        """Work out what follows from the fields; again whenever a custom field arrives."""
        back = BACK if self.istable else ()
        stored = (*FRONT, *self.fields, *back)
        self.shown: tuple[str, ...] = stored  # what fields=["*"] means
        self.columns: tuple[str, ...] = (*stored, *HIDDEN)
        self.index = {column: place for place, column in enumerate(self.columns)}
        self.types = {**{name: STANDARD[name] for name in (*FRONT, *back, *HIDDEN)}, **self.fields}
        self.blank: Row = [self.types[column].empty if column in self.fields else None for column in self.columns]
        self.blank[self.index["docstatus"]] = 0
        self.blank[self.index["idx"]] = 0
        self.links = [(f.fieldname, f.fieldtype, f.options) for f in self.fields.values() if "Link" in f.fieldtype]
        self.required = [f for f in self.fields.values() if f.reqd]
        self.uniques = [f for f in self.fields.values() if f.unique]

    def add_field(self, raw: dict[str, Any], *, after: str | None) -> int:
        """Declare a custom field behind `after` (or last) and return the place of its column."""
        names = list(self.fields)
        place = names.index(after) + 1 if after in self.fields else len(names)
        items = list(self.fields.items())
        items.insert(place, (raw["fieldname"], field_of(raw)))
        self.fields = dict(items)
        self.layout()
        return self.index[raw["fieldname"]]


def field_of(raw: dict[str, Any]) -> Field:
    """A field from its definition in a DocType file or a Custom Field document."""
    fieldtype = raw["fieldtype"]
    default = raw.get("default")
    if fieldtype in WHOLE and default not in (None, ""):
        default = int(default)
    return Field(
        fieldname=raw["fieldname"],
        label=raw.get("label") or raw["fieldname"],
        fieldtype=fieldtype,
        options=raw.get("options") or "",
        default=None if default == "" and fieldtype in WHOLE | REAL else default,
        reqd=bool(raw.get("reqd")),
        unique=bool(raw.get("unique")),
        allow_on_submit=bool(raw.get("allow_on_submit")),
        virtual=bool(raw.get("is_virtual")),
        length=int(raw.get("length") or 0),
        raw=raw,
    )


def load_doctypes() -> dict[str, DocType]:
    """All DocTypes the sandbox knows, fresh objects each time: a site may add custom fields to its own."""
    found = [DocType(json.loads(path.read_text("utf-8"))) for path in sorted(FOLDER.glob("*.json"))]
    return {doctype.name: doctype for doctype in found}
