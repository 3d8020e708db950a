"""What the parts of every such file have in common: no key they do not know, and names of known forms."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

NAME_PATTERN: Final = r"^[a-z][a-z0-9_]{0,62}$"
GIVEN_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,62}$"
COLUMN_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_$]{0,62}$"
TABLE_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_$]{0,62}\.[A-Za-z_][A-Za-z0-9_$]{0,62}$"

NAMES: Final = {
    NAME_PATTERN: "a name in small letters, digits and _",
    GIVEN_PATTERN: "a name in letters, digits and _, not a path",
    COLUMN_PATTERN: "a name in letters, digits and _",
    TABLE_PATTERN: "schema.table, in letters, digits and _",
}
"""What a message calls the patterns."""


class Part(BaseModel):
    """Every part of a file: no key it does not know, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
