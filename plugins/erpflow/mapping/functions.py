"""The functions of record and batch templates, which users write in `include/transforms/*.py`.

from erpflow.mapping.transforms import batch_transform, record_transform

def joined(values: dict) -> dict:
    return {"full_name": f"{values['first_name']} {values['last_name']}"}

@record_transform(reverse=joined)
def split_name(values: dict) -> dict:
    first, _, last = (values["full_name"] or "").rpartition(" ")
    return {"first_name": first, "last_name": last}

@batch_transform
def without_tests(frame):
    return frame[frame["name"] != "Test"]
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload

from erpflow.errors import ConfigError
from erpflow.mapping.registry import REGISTRY, Source, source_being_read

if TYPE_CHECKING:
    import pandas as pd

Values = dict[str, Any]
OfRecord = Callable[[Values], Mapping[str, Any]]
OfBatch = Callable[["pd.DataFrame"], "pd.DataFrame"]
Record = TypeVar("Record", bound=OfRecord)
Batch = TypeVar("Batch", bound=OfBatch)


@dataclass(frozen=True, slots=True)
class RecordFunction:
    """A registered function from the values a record template reads to those it gives, and its way back."""

    what: ClassVar[str] = "record function"
    name: str
    apply: OfRecord
    reverse: OfRecord | None
    source: Source | None


@dataclass(frozen=True, slots=True)
class BatchFunction:
    """A registered function from the rows of a chunk to what becomes of them."""

    what: ClassVar[str] = "batch function"
    name: str
    apply: OfBatch
    source: Source | None


@overload
def record_transform(function: Record) -> Record: ...


@overload
def record_transform(*, reverse: OfRecord | None = None) -> Callable[[Record], Record]: ...


def record_transform(
    function: Record | None = None, *, reverse: OfRecord | None = None
) -> Record | Callable[[Record], Record]:
    """Register a function for record templates under its own name.

    It takes a dict of the values a template reads, keys as in the template's `reads` (a value that is not there is
    None), and returns a dict with exactly the keys of `gives`. `reverse` does the same the other way, for a push. What
    either raises is the reason of that record's reject.
    """

    def register(made: Record) -> Record:
        for one in (made, reverse):
            if one is not None:
                _takes_one_value(one, what="record function", value="the dict of what its template reads")
        REGISTRY.add(RecordFunction(made.__name__, made, reverse, source_being_read()))
        return made

    return register if function is None else register(function)


def batch_transform(function: Batch) -> Batch:
    """Register a function for batch templates under its own name.

    It takes a pandas DataFrame, a column for each local column and the number of the record as the index, and returns
    one with the same columns. Rows that it leaves out are dropped. What it raises rejects all rows of that chunk.
    """
    _takes_one_value(function, what="batch function", value="the DataFrame of a chunk")
    REGISTRY.add(BatchFunction(function.__name__, function, source_being_read()))
    return function


def _takes_one_value(function: Callable[..., Any], *, what: str, value: str) -> None:
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        name = getattr(function, "__name__", repr(function))
        raise ConfigError(f"The {what} {name} must take one value, {value}: {error}.") from error
