"""What requests and answers have in common: names in both spellings, lists in pages."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Item = TypeVar("Item")


class Body(BaseModel):
    """A request's body: snake_case, or the camelCase that existing clients send. What is not known is refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", str_max_length=65_536)


class Answer(BaseModel):
    """An answer's body, in snake_case."""


class Page(Answer, Generic[Item]):
    """One page of a list, the newest first. `next` goes into `after` for the next page; null: this was the last."""

    items: list[Item]
    next: str | None = None


Limit = Annotated[int, Query(ge=1, le=200, description="Rows at most")]
After = Annotated[str | None, Query(max_length=2000, description="`next` of the page before")]


def page_of(found: tuple[list[dict[str, Any]], str | None]) -> dict[str, Any]:
    """What `listing.page` gives, as a Page's fields."""
    return {"items": found[0], "next": found[1]}


Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
