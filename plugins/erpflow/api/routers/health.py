"""Whether this server is up and reaches its database. Public, and says nothing else."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request

from erpflow import __version__
from erpflow.api.bodies import Answer
from erpflow.api.surroundings import surroundings_of

router = APIRouter(tags=["health"])


class Health(Answer):
    """The server's state."""

    status: Literal["ok"]
    version: str


@router.get("/health")
def health(request: Request) -> Health:
    """Whether the server and its database answer. 503 when the database does not."""
    surroundings_of(request).database.check()
    return Health(status="ok", version=__version__)
