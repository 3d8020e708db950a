"""A cause in words, for a person who reads e-mail and for a program behind a webhook."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote as percent

from erpflow.services.notifications.wording import clock, span
from erpflow.store.health import SyncHealth
from erpflow.store.notifications import Notification
from erpflow.vocabulary import CauseKind, SyncStatus

PRODUCT: Final = "erpflow"
DEFAULT_SLUG: Final = "default"
LONGEST_SUBJECT: Final = 150

OVER: Final = {
    CauseKind.FAILED: "The sync does not end with this error any more.",
    CauseKind.PARTIAL: "No record of this sync is refused any more.",
    CauseKind.STALE: "A sync has worked since.",
    CauseKind.CONFLICTS: "No conflict waits for a decision any more.",
    CauseKind.REJECTS: "Records are not refused in such numbers any more.",
    CauseKind.DELETES: "No delete waits for approval any more.",
    CauseKind.LATE: "A sync of this DAG has ended since.",
    CauseKind.ROTATION: "The secret was changed, or is not used any more.",
    CauseKind.WAITING: "None of them waits any more.",
}


class Saying(StrEnum):
    """What a message says of its cause: it is new, it still lasts, it is over."""

    NEW = "new"
    REMINDER = "reminder"
    RESOLVED = "resolved"


PREFIX: Final = {Saying.NEW: "", Saying.REMINDER: "Still: ", Saying.RESOLVED: "Resolved: "}


@dataclass(frozen=True, slots=True)
class Link:
    """Where to look, with a label."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message about one cause. `tenant` is the slug; counts are of records unless the name says otherwise."""

    saying: Saying
    cause: str
    kind: CauseKind
    tenant: str
    subject: str
    what: str
    since: datetime
    until: datetime | None
    next_step: str
    connection: str | None
    system: str | None
    entity: str | None
    counts: Mapping[str, int]
    reasons: tuple[str, ...]
    links: tuple[Link, ...]

    def facts(self) -> list[tuple[str, str]]:
        """What is known, line by line: a label and a text."""
        lasted = f"{clock(self.since)} to {clock(self.until)}" if self.until else clock(self.since)
        told = [
            ("Connection", f"{self.connection} ({self.system})" if self.connection else ""),
            ("Entity", self.entity or ""),
            ("Tenant", "" if self.tenant == DEFAULT_SLUG else self.tenant),
            ("From" if self.until else "Since", lasted),
            *((name.replace("_", " ").capitalize(), f"{number:,}") for name, number in self.counts.items()),
            *(("Reason", reason) for reason in self.reasons),
            ("What to do", self.next_step),
        ]
        return [(label, text) for label, text in told if text]

    def text(self) -> str:
        """The whole message as plain text."""
        lines = [self.what, *(f"{label}: {text}" for label, text in self.facts())]
        return "\n".join([*lines, *(f"{link.label}: {link.url}" for link in self.links)])

    def html(self) -> str:
        """The whole message as HTML; whatever a name or a reason holds is text in it."""
        rows = "".join(
            f'<tr><td style="padding:2px 12px 2px 0;vertical-align:top;color:#666">{html.escape(label)}</td>'
            f"<td>{html.escape(text)}</td></tr>"
            for label, text in self.facts()
        )
        links = " · ".join(
            f'<a href="{html.escape(link.url, quote=True)}">{html.escape(link.label)}</a>' for link in self.links
        )
        return f"<p>{html.escape(self.what)}</p><table>{rows}</table>" + (f"<p>{links}</p>" if links else "")

    def json(self) -> dict[str, Any]:
        """The whole message for a program. `text` alone is what chat systems with incoming webhooks show."""
        return {
            "text": f"{self.subject}\n{self.text()}",
            "subject": self.subject,
            "state": self.saying.value,
            "kind": self.kind.value,
            "cause": self.cause,
            "tenant": self.tenant,
            "connection": self.connection,
            "system": self.system,
            "entity": self.entity,
            "what": self.what,
            "since": self.since.isoformat(),
            "until": self.until.isoformat() if self.until else None,
            "counts": dict(self.counts),
            "reasons": list(self.reasons),
            "what_to_do": self.next_step,
            "links": {link.label: link.url for link in self.links},
        }


def compose(
    notification: Notification, saying: Saying, *, health: SyncHealth | None, base_url: str | None, now: datetime
) -> Message:
    """The message about a cause. `base_url` is where Airflow's UI is; without it there are no links."""
    details, over = notification.details, saying is Saying.RESOLVED
    tenant = "" if notification.tenant == DEFAULT_SLUG else f" {notification.tenant}"
    subject = " ".join(f"[{PRODUCT}{tenant}] {PREFIX[saying]}{notification.subject}".split())
    lasts = f" It has lasted for {span(now - notification.first_at)}." if saying is Saying.REMINDER else ""
    return Message(
        saying=saying,
        cause=notification.cause,
        kind=notification.kind,
        tenant=notification.tenant,
        subject=subject if len(subject) <= LONGEST_SUBJECT else f"{subject[: LONGEST_SUBJECT - 1]}…",
        what=_over(notification.kind, health) if over else f"{details.what}{lasts}",
        since=notification.first_at,
        until=notification.resolved_at if over else None,
        next_step="Nothing." if over else details.next_step,
        connection=details.connection,
        system=details.system,
        entity=details.entity,
        counts={} if over else details.counts,
        reasons=() if over else details.reasons,
        links=_links(notification, base_url) if base_url else (),
    )


def _over(kind: CauseKind, health: SyncHealth | None) -> str:
    if health is not None and not health.active:
        return "The sync or its connection was switched off."
    last = health.last if health else None
    if kind is CauseKind.FAILED and last is not None and last.status is SyncStatus.FAILED:
        return f"{OVER[kind]} It fails with {last.error_kind or 'an unknown error'} now, which is told by itself."
    return OVER[kind]


def _links(notification: Notification, base_url: str) -> tuple[Link, ...]:
    details, root = notification.details, base_url.rstrip("/")
    links = []
    if details.log_id:
        links.append(Link("Sync log", f"{root}/api/erp/sync-logs/{percent(details.log_id, safe='')}"))
    if details.dag_id and details.dag_run_id:
        run = f"{percent(details.dag_id, safe='')}/runs/{percent(details.dag_run_id, safe='')}"
        links.append(Link("Airflow run", f"{root}/dags/{run}"))
    elif details.dag_id:
        links.append(Link("Airflow DAG", f"{root}/dags/{percent(details.dag_id, safe='')}"))
    return tuple(links)
