"""Where in a body of any system what is: JMESPath, as data. For REST ERPs, and for templates that somebody wrote."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from erpflow.connectors.change_notice import ChangeNotice, instant_of, json_of, part_of, rows_of, text_of
from erpflow.connectors.rest.expressions import compiled, search
from erpflow.errors import ConfigError


def _expression(text: str) -> str:
    compiled(text)  # its ValueError says what is wrong
    return text


Path = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_expression)]

_EVENT_ID: Final = "webhook-id"  # of the Standard Webhooks, whose retries bear the same one


class PayloadPaths(BaseModel):
    """JMESPath expressions. `events` finds the list of events in a body; the others look at one of them.

    `entity` may also be the vendor's name of it. `occurred_at`: ISO 8601 with a zone, or seconds since 1970.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: Path = "@"
    event_type: Path = "event_type"
    entity: Path = "entity"
    remote_id: Path = "remote_id"
    event_id: Path = "event_id"
    occurred_at: Path = "occurred_at"

    def notices(self, body: bytes, headers: Mapping[str, str]) -> list[ChangeNotice]:
        """The changes that a body tells of. Raises PayloadInvalid when it is no JSON."""
        rows = rows_of(search(self.events, json_of(body)))
        if not rows:
            return [ChangeNotice(problem=f"There is no event at `{self.events}` of the body.")]
        return [self._notice(row, headers, part_of(row) if len(rows) > 1 else None) for row in rows]

    def _notice(self, row: object, headers: Mapping[str, str], part: bytes | None) -> ChangeNotice:
        remote_id = text_of(search(self.remote_id, row))
        key = text_of(search(self.event_id, row)) or (headers.get(_EVENT_ID) if part is None else None)
        return ChangeNotice(
            remote=text_of(search(self.entity, row)),
            remote_id=remote_id,
            event_type=text_of(search(self.event_type, row)),
            at=_moment(search(self.occurred_at, row)),
            key=key,
            part=part,
            problem=None if remote_id else f"There is no id at `{self.remote_id}` of the event.",
        )


def payload_of(data: Mapping[str, Any], *, where: str) -> PayloadPaths:
    """The paths that a webhook's `payload` holds. Raises ConfigError, naming the key that is wrong."""
    try:
        return PayloadPaths.model_validate(dict(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        known = ", ".join(PayloadPaths.model_fields)
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"The payload of {where} is not right: {key}: {first['msg']}. Keys: {known}.") from None


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return instant_of(value)
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
