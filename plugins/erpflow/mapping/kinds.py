"""The closed sets of words that mappings and templates are made of."""

from __future__ import annotations

from enum import StrEnum


class FieldType(StrEnum):
    """What a local column holds, and so how a remote value is read."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    DATETIME = "datetime"
    BOOLEAN = "boolean"
    LOOKUP = "lookup"
    PICKLIST = "picklist"
    JSON = "json"


class Only(StrEnum):
    """The one direction in which a field takes part."""

    PULL = "pull"
    PUSH = "push"


class OnMissing(StrEnum):
    """What becomes of a record whose lookup finds nothing: it is rejected, or the column stays null."""

    REJECT = "reject"
    NULL = "null"


class Level(StrEnum):
    """What a template works on: the value of a field, the values of a record, or the rows of a chunk."""

    FIELD = "field"
    RECORD = "record"
    BATCH = "batch"
