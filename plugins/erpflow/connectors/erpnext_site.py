"""An ERPNext site as the modules of its connector see it: questions, commands, lists, and the site's own time zone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote, urlencode

import msgspec
import structlog

from erpflow.connectors import erpnext_errors
from erpflow.connectors.answer import Answer, Judge
from erpflow.connectors.erpnext_paging import ORDER, Filter
from erpflow.connectors.erpnext_wire import SITE_ZONE, Listing, decode, says_missing
from erpflow.connectors.transport import Retries, Transport
from erpflow.errors import ErpflowError, ProtocolError

log = structlog.get_logger(__name__)

ALL_COLUMNS: Final = ("*",)
"""Of the parent table; child tables are never in a list."""
ALL_ROWS: Final = 0

_RESOURCE: Final = "/api/resource/"
_METHOD: Final = "/api/method/"
_LONGEST_URL: Final = 3_900  # gunicorn refuses request lines over 4,094 bytes with an HTML page
_JSON: Final = {"Content-Type": "application/json"}
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def collection_path(doctype: str) -> str:
    """Where the documents of a DocType are listed and created."""
    return f"{_RESOURCE}{quote(doctype)}"


def document_path(doctype: str, name: str) -> str:
    """Where one document lives, whatever is in its name. An empty name would be the list: ask for it nowhere."""
    return f"{collection_path(doctype)}/{quote(name, safe='')}"


def method_path(name: str) -> str:
    return f"{_METHOD}{name}"


class Site:
    """One site over its transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._zone: str | None = None

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
        retries: Retries | None = None,
        missing_is_fine: bool = False,
    ) -> Answer:
        """A question: it changes nothing, POST included, so it may be asked again."""
        judge = self._judge(erpnext_errors.judge, missing_is_fine=missing_is_fine)
        return self._transport.request(
            method,
            path,
            query=query,
            body=body,
            headers=_JSON if body is not None else None,
            judge=judge,
            idempotent=True,
            retries=retries,
        )

    def tell(
        self, method: str, path: str, *, judge: Judge, body: bytes | None = None, missing_is_fine: bool = False
    ) -> Answer:
        """A command: it is sent again only when it cannot have been carried out."""
        return self._transport.request(
            method,
            path,
            body=body,
            headers=_JSON if body is not None else None,
            judge=self._judge(judge, missing_is_fine=missing_is_fine),
            idempotent=False,
        )

    def listing(
        self,
        doctype: str,
        *,
        filters: Sequence[Filter],
        limit: int,
        fields: Sequence[str] = ALL_COLUMNS,
        order: str = ORDER,
        parent: str | None = None,
        by_post: bool = False,
    ) -> Listing:
        """The rows of a DocType; by POST where the URL would grow too long for the server."""
        path = collection_path(doctype)
        query = {
            "fields": _compact(fields),
            "filters": _compact(filters),
            "order_by": order,
            "limit_page_length": str(limit),
        }
        if not by_post and len(path) + len(urlencode(query)) < _LONGEST_URL:
            return Listing(self.ask("GET", path, query=query), under="data")
        body = {
            "doctype": doctype,
            "fields": fields,
            "filters": filters,
            "order_by": order,
            "limit_start": 0,
            "limit_page_length": limit,
            **({"parent": parent} if parent else {}),
        }
        answer = self.ask("POST", method_path("frappe.client.get_list"), body=encode(body))
        return Listing(answer, under="message")

    def ask_zone(self) -> str:
        """The IANA name of the site's time zone, asked anew."""
        answer = self.ask("GET", method_path("frappe.client.get_time_zone"))
        zone = decode(answer, SITE_ZONE).message.time_zone
        if not zone:
            raise ProtocolError(
                "The ERPNext site has no time zone. Set it in System Settings, so that times mean something."
            )
        self._zone = zone
        return zone

    @property
    def zone(self) -> str:
        """The site's time zone, as last asked."""
        return self._zone or self.ask_zone()

    def _judge(self, judge: Judge, *, missing_is_fine: bool) -> Callable[[Answer], ErpflowError | None]:
        def judged(answer: Answer) -> ErpflowError | None:
            self._heed_budget(answer)
            if missing_is_fine and answer.status == 404 and says_missing(answer):
                return None
            return judge(answer)

        return judged

    def _heed_budget(self, answer: Answer) -> None:
        """Sites with a rate limit count microseconds of server time; once they are used up, every call is refused."""
        remaining, reset = answer.headers.get("X-RateLimit-Remaining"), answer.headers.get("X-RateLimit-Reset")
        if remaining is None or reset is None:
            return
        try:
            used_up, seconds = int(remaining) <= 0, float(reset)
        except ValueError:
            return
        if used_up and 0 < seconds <= 86_400:
            log.warning("rate_limit_used_up", host=self._transport.host, pause=seconds)
            self._transport.limiter.pause(seconds)


def encode(value: object) -> bytes:
    """JSON in which a Decimal is a number of exactly its digits. Raises TypeError or ValueError for what it is not."""
    return _ENCODER.encode(value)


def _compact(value: object) -> str:
    return encode(value).decode()
