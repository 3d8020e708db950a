"""The state: keys, objects of S3, what was prepared as readings, and how often it is to be throttled."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sandbox.vendor import SeedPlan

REGION = "eu-central-1"


@dataclass(frozen=True, slots=True)
class Key:
    """An access key. `allowed`: the operations of its policy; None is all."""

    id: str
    secret: str
    allowed: frozenset[str] | None = None


KEYS = (
    # AWS's documentation has these pairs as examples: they open nothing.
    Key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    Key("AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY", frozenset({"DetectDocumentText"})),
)


def real_time() -> datetime:
    return datetime.now(UTC)


@dataclass
class Textract:
    """Textract in one region."""

    region: str = REGION
    now: Callable[[], datetime] = real_time
    keys: dict[str, Key] = field(default_factory=lambda: {key.id: key for key in KEYS})
    objects: dict[tuple[str, str, str | None], bytes] = field(default_factory=dict)  # by bucket, name and version
    readings: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)  # by sha256 and operation
    throttled: list[str] = field(default_factory=list)  # the codes of the next answers


def seed(_: SeedPlan) -> Textract:
    """Nothing is stored in it to begin with."""
    return Textract()
