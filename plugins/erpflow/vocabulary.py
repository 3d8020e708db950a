"""The words of the glossary as types: what a thing is called here is what it is called in the database and the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NewType

TenantId = NewType("TenantId", str)
ConnectionId = NewType("ConnectionId", str)
SyncConfigId = NewType("SyncConfigId", str)
SyncLogId = NewType("SyncLogId", str)
RemoteId = NewType("RemoteId", str)
LocalId = NewType("LocalId", str)
SubscriptionId = NewType("SubscriptionId", str)
DeliveryId = NewType("DeliveryId", str)
WebhookId = NewType("WebhookId", str)
WebhookEventId = NewType("WebhookEventId", str)
MessageId = NewType("MessageId", str)

VendorRecord = Mapping[str, Any]
"""One record as the vendor sent it, decoded from JSON: the only bare dict that crosses a package boundary."""

DEFAULT_TENANT = TenantId("00000000-0000-0000-0000-000000000001")
"""The tenant of an installation that serves one company; the first migration creates it."""


class Direction(StrEnum):
    """Which way data flows: `pull` is remote to local, `push` local to remote."""

    PULL = "pull"
    PUSH = "push"
    BIDIRECTIONAL = "bidirectional"


class ConflictStrategy(StrEnum):
    """Who wins when both sides changed the same field since they last agreed."""

    LOCAL_WINS = "local_wins"
    REMOTE_WINS = "remote_wins"
    NEWEST_WINS = "newest_wins"
    MANUAL = "manual"


class FieldConflict(StrEnum):
    """The same for one field, where it is not the record's: `delta` adds both changes of a counter up."""

    LOCAL_WINS = "local_wins"
    REMOTE_WINS = "remote_wins"
    NEWEST_WINS = "newest_wins"
    MANUAL = "manual"
    DELTA = "delta"


class ConflictKind(StrEnum):
    """What two sides did to one record that cannot both stand."""

    BOTH_UPDATED = "both_updated"
    LOCAL_UPDATED_REMOTE_DELETED = "local_updated_remote_deleted"
    LOCAL_DELETED_REMOTE_UPDATED = "local_deleted_remote_updated"
    BOTH_CREATED = "both_created"
    UNIQUE_COLLISION = "unique_collision"


class FindingKind(StrEnum):
    """What a reconciliation finds when it compares both sides whole.

    `missing_here`: the vendor has it and we do not. `missing_there`: a row whose record is gone, or was never made.
    `different`: both are there, and fields differ. `duplicate_here`, `duplicate_there`: one natural key several times.
    `rejected`: a record that cannot become a row. `frozen`: a record in conflict, which waits for a person.
    """

    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    DIFFERENT = "different"
    DUPLICATE_HERE = "duplicate_here"
    DUPLICATE_THERE = "duplicate_there"
    REJECTED = "rejected"
    FROZEN = "frozen"


REPAIRABLE = (
    FindingKind.MISSING_HERE, FindingKind.MISSING_THERE, FindingKind.DIFFERENT, FindingKind.DUPLICATE_HERE,
)  # fmt: skip
"""The kinds that a repair may mend; the others are for people."""


class Deletes(StrEnum):
    """What a delete on one side does to the other."""

    SOFT = "soft"
    HARD = "hard"
    IGNORE = "ignore"


class FindDeletes(StrEnum):
    """How the vendor's deletes are found: by its list of them, or as what a full read does not meet any more."""

    FEED = "feed"
    SWEEP = "sweep"


class RecordStatus(StrEnum):
    """The state of a sync record. `pending`: a local change is still to be pushed; `frozen`: a person must decide."""

    SYNCED = "synced"
    PENDING = "pending"
    FROZEN = "frozen"
    DELETED = "deleted"


class Operation(StrEnum):
    """What is done to one record."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class SyncStatus(StrEnum):
    """The state of a sync log. `partial`: it finished, and at least one record was rejected."""

    RUNNING = "running"
    COMPLETED = "completed"
    PARTIAL = "partial"
    FAILED = "failed"


class WebhookEventState(StrEnum):
    """The state of an event in the inbox. `received`: it is still to be applied; `parked`: a person must look at it."""

    RECEIVED = "received"
    APPLIED = "applied"
    IGNORED = "ignored"
    PARKED = "parked"


class CauseKind(StrEnum):
    """What a person is told about. Each is about one sync config, `late` about one DAG, `rotation` about one secret.

    `waiting`: what waits for a person beside the syncs, for one connection, return or subscription.
    """

    FAILED = "failed"
    PARTIAL = "partial"
    STALE = "stale"
    CONFLICTS = "conflicts"
    REJECTS = "rejects"
    DELETES = "deletes"
    LATE = "late"
    ROTATION = "rotation"
    WAITING = "waiting"


class EventType(StrEnum):
    """What other programs are told of by webhook: once per cause, however many records it concerns."""

    SYNC_COMPLETED = "sync.completed"
    SYNC_PARTIAL = "sync.partial"
    SYNC_FAILED = "sync.failed"
    CONFLICT_OPENED = "conflict.opened"
    REJECT_OPENED = "reject.opened"
    CONNECTION_FAILED = "connection.failed"


class DeliveryState(StrEnum):
    """The state of one message to one subscription. `dead`: given up; a person may have it sent again."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class GstReturnState(StrEnum):
    """How far a GST return came. `saving`: the portal works on it; `unknown`: it may have been filed, nobody knows."""

    GENERATED = "generated"
    SAVING = "saving"
    SAVED = "saved"
    SAVED_WITH_ERRORS = "saved_with_errors"
    READY_TO_FILE = "ready_to_file"
    FILED = "filed"
    UNKNOWN = "unknown"


class EventKind(StrEnum):
    """What is told to those who follow along: see the migration that makes `erp_events`."""

    SYNC_OPENED = "sync_opened"
    SYNC_PROGRESS = "sync_progress"
    SYNC_CLOSED = "sync_closed"
    RECORDS_CHANGED = "records_changed"
    CONFLICT_OPENED = "conflict_opened"
    CONFLICT_RESOLVED = "conflict_resolved"
    WEBHOOK_RECEIVED = "webhook_received"


@dataclass(frozen=True, slots=True)
class Window:
    """The span of vendor modification times a run reads, in UTC: `since` inclusive, `until` exclusive.

    `since=None` reads from the beginning, `until=None` up to the moment the vendor answers.
    """

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunRef:
    """Whose a row of state is: the tenant, the sync config and the run that wrote it (None: a person did)."""

    tenant_id: TenantId
    config_id: SyncConfigId
    log_id: SyncLogId | None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What signs a request for about an hour. `version` counts the tokens of a connection; `facts` is what the vendor
    said of the account when it gave the first one (its API address, the company's number).
    """

    value: str = field(repr=False)
    version: int
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the records of one run, in records. Invariant 1: the outcomes add up to `read`."""

    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    conflict: int = 0
    rejected: int = 0
    ignored: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def accounted(self) -> int:
        """Records that ended somewhere; equal to `read` when nothing was lost."""
        return sum(getattr(self, f.name) for f in fields(self) if f.name != "read")


class Channel(StrEnum):
    """By which way a message is sent."""

    EMAIL = "email"
    SMS = "sms"
    WHATSAPP = "whatsapp"


class MessageState(StrEnum):
    """What is known of a message.

    `submitting`: it is being handed over. `accepted`: the vendor took it; delivered is another matter. `rejected`: it
    was certainly not taken. `unknown`: it was sent, and nobody knows; it is never sent again by itself.
    """

    SUBMITTING = "submitting"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
