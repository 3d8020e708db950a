"""The sandbox answers as the recorded vendor did: every published capture is sent to it and the answers compared."""

import http.client
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urlencode, urlsplit

import pytest

from sandbox.background import serving
from sandbox.erpnext import create_app
from sandbox.erpnext.masters import fresh_site
from sandbox.erpnext.site import Site

CAPTURES = Path(__file__).parents[1] / "fixtures" / "erpnext_captures"
README = Path(__file__).parents[2] / "sandbox" / "erpnext" / "README.md"

# One second before the first capture, so that "today" is the day the captures speak of.
RECORDED = datetime(2026, 11, 21, 1, 43, 41, tzinfo=UTC)

# In the order in which they depend on each other. A word with @ is a step the recording did without keeping it.
SCRIPT = """
auth/bad_key auth/bad_secret auth/basic_ok auth/bearer_bad auth/missing auth/ping_no_auth auth/token_malformed_no_colon
auth/token_ok auth/resource_list_bad_secret auth/resource_list_no_auth auth/v2_list_no_auth auth/login_ok
auth/session_get auth/session_post_no_csrf auth/login_wrong_pwd auth/forbidden_create auth/forbidden_doctype_list
auth/forbidden_method auth/get_versions auth/method_not_whitelisted auth/method_unknown auth/method_wrong_verb
auth/time_zone auth/unknown_api_path

bulk/insert_many_201 bulk/insert_many_200 @bulk_201_to_270 bulk/insert_many_one_bad bulk/insert_many_one_bad_check

list/page_1_of_3 list/page_2_of_3 list/page_3_of_3 list/page_past_end list/default list/limit_alias list/limit_zero
list/fields_count list/fields_not_json list/fields_star list/fields_unknown list/limit_not_number list/as_list
list/filters_4tuple list/filters_bad_json list/filters_dict list/filters_in list/filters_is_not_set list/filters_or
list/filters_unknown_field list/filters_unknown_op list/order_by_unknown list/unknown_param list/client_get_list_post
list/count_client list/count_v2 list/doctype_wrong_case list/unknown_doctype list/url_too_long list/v1_prefix
list/v2_limit_page_length list/v2_page list/v2_page_limit_start

customer/create_ok customer/create_same_customer_name customer/create_with_explicit_name customer/create_minimal
customer/create_missing_mandatory customer/create_bad_link customer/create_bad_select customer/create_unknown_field
customer/create_system_fields customer/create_too_long customer/create_unicode customer/create_html
customer/create_slash_name customer/create_bad_json customer/create_empty_body customer/create_form_data_field
customer/create_json_no_ctype customer/create_v2 customer/create_v2_missing customer/create_client_insert
customer/create_with_sales_team customer/get_ok customer/get_slash_name customer/get_with_children
customer/get_missing customer/get_missing_doctype customer/get_missing_v2 customer/get_value customer/get_value_none
customer/get_wrong_case customer/put_partial customer/put_with_current_modified customer/put_stale_modified
customer/put_stale_modified_v2 customer/put_modified_truncated customer/put_no_change customer/put_missing
customer/put_bad_link customer/put_mandatory_null customer/put_name customer/put_clear_field customer/patch_v1
customer/patch_v2 customer/set_value customer/bulk_update customer/put_child_keep_by_name customer/put_child_replace
@put_website customer/put_child_empty customer/child_list_no_parent customer/rename customer/rename_get_new
customer/rename_get_old

modified/gt modified/gte modified/gt_iso_T modified/gt_iso_Z modified/gt_iso_offset modified/gt_date_only
modified/gt_garbage modified/between_datetimes modified/keyset_or_filters
sidefx/add_comment sidefx/add_tag sidefx/after_tag_comment_get

delete/ok delete/again delete/get_after delete/v2_ok @delete_268 delete/deleted_document_list
delete/deleted_document_get delete/deleted_document_limited_user delete/restore delete/restored_get
contact/create contact/create_bad_email contact/create_dup contact/list_by_customer contact/list_child_fields
address/create address/create_missing contact/bad_link customer/get_after_contact customer/put_primary_contact
customer/create_with_email contact/list_auto delete/customer_with_contact
meta/doctype_resource meta/v2_meta
customfield/create customfield/create_dup contact/delete_primary customfield/customer_1 customfield/customer_dup
customfield/find

item/create_ok item/create_duplicate item/create_missing item/create_bad_uom @service_item item/create_stock item/get
item/list item/put item/put_bad_number item/create_price item/create_price_dup item/item_price_list

sales_order/create_draft sales_order/create_no_items sales_order/create_bad_item sales_order/create_no_delivery
sales_order/create_bad_date sales_order/create_qty_fraction sales_order/put_draft_item
sales_order/submit_put_docstatus sales_order/submit_again sales_order/put_after_submit_allowed
sales_order/put_after_submit sales_order/put_docstatus_0 sales_order/delete_submitted delete/customer_linked
delete/group_not_empty sales_order/list_with_child_filter sales_order/list_child_join sales_order/child_doctype_list
sales_order/child_doctype_list_noparent sales_invoice/make_from_so sales_invoice/insert sales_invoice/submit_v2_method
sidefx/sales_order_after_invoice payment/get_payment_entry payment/insert payment/submit
sidefx/sales_invoice_after_payment @cancel_first_order sales_order/delete_cancelled sales_order/put_cancelled
@draft_order sales_order/submit_client sales_order/cancel_run_method @draft_order sales_order/submit_run_method
sales_order/create_submitted @draft_order sales_order/cancel_draft @draft_order sales_order/list
@ordered_and_billed sales_order/cancel_with_submitted_invoice sales_invoice/cancel_put
sales_order/cancel_put sales_order/cancel_again @ordered_billed_and_paid sales_invoice/cancel_with_payment
sidefx/payment_entry_after_invoice_cancel @ordered_and_cancelled sales_order/amend
stock/stock_entry_receipt stock/bin_list @issue_five stock/bin_after_issue stock/negative
file/upload file/list file/download

webhook_setup/cust-bad-event webhook_setup/cust-insert-json webhook_setup/get webhook_setup/cust-ins-form
@hooked_customers @limit_on ratelimit/ok_headers @limit_tiny ratelimit/rejected @limit_off ratelimit/none_configured
@maintenance outage/maintenance_mode @read_only outage/read_only_post @up_again @lock_row outage/row_locked_put
@unlock_row auth/limited_delete auth/limited_list_ok @database_down outage/database_down @up_again
@disable_noroles auth/disabled_user_token auth/disabled_user_login auth/token_with_guest_cookie
"""
STEPS = SCRIPT.split()

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d?:\d\d:\d\d?(\.\d+)?")
CLOCK = re.compile(r"\d\d?:\d\d:\d\d?\.\d+")
RANDOM_NAME = re.compile(r"[0-9a-v]{10}")
TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n.*\n(?P<last>[^\n]+)\n?$", re.DOTALL)
UNTOLD = frozenset({"migration_hash", "__frappe_exc_id"})  # digests that mean nothing to anybody


@dataclass
class Reply:
    status: int
    headers: list[tuple[str, str]]
    body: Any


@dataclass
class Recording:
    """What the vendor was asked and said, with the names it gave replaced by those of the sandbox."""

    id: str
    request: dict[str, Any]
    response: dict[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.request["headers"])


def load(capture_id: str) -> Recording:
    found = json.loads((CAPTURES / f"{capture_id}.json").read_text("utf-8"))
    return Recording(capture_id, found.get("request", {}), found.get("response", {}))


def published() -> list[str]:
    return sorted(str(path.relative_to(CAPTURES).with_suffix("")) for path in CAPTURES.glob("*/*.json"))


def not_imitated() -> list[str]:
    """The patterns of the table in the sandbox's README."""
    section = README.read_text("utf-8").partition("## Captures it does not answer to")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows, "the README lists nothing: the check would be empty"
    return [pattern for row in rows for pattern in re.findall(r"`([^`]+)`", row.split("|")[1])]


@dataclass
class Replay:
    """A conversation with the sandbox, and what it has called the things the vendor gave names to."""

    site: Site
    url: str
    names: dict[str, str] = field(default_factory=dict)
    heard: dict[str, str] = field(default_factory=dict)  # the other way round: two things there are two here
    differences: dict[str, list[str]] = field(default_factory=dict)

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes | None = None) -> Reply:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        try:
            connection.request(method, target, body=body, headers=headers)
            response = connection.getresponse()
            raw = response.read()
            kind = response.headers.get("Content-Type", "")
            return Reply(response.status, response.getheaders(), json.loads(raw) if "json" in kind else raw.decode())
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A step the recording did not keep: it has to succeed."""
        headers = {"Authorization": self.authorization("token CONNECTOR_API_KEY:CONNECTOR_API_SECRET")}
        raw = None if body is None else json.dumps(body).encode()
        reply = self.send(method, quote(path), headers | {"Content-Type": "application/json"}, raw)
        assert reply.status < 300, (method, path, reply)
        return reply.body.get("data", reply.body.get("message"))

    def authorization(self, text: str) -> str:
        """The recording's placeholders, filled with the sandbox's users."""
        users = {"CONNECTOR": "connector", "LIMITED": "limited", "NOROLES": "noroles"}
        for placeholder, name in users.items():
            user = self.site.users[f"{name}@example.com"]
            text = text.replace(f"{placeholder}_API_KEY", user.api_key).replace(
                f"{placeholder}_API_SECRET", user.api_secret
            )
        if text.startswith("Basic BASE64_OF"):
            user = self.site.users["connector@example.com"]
            text = "Basic " + b64encode(f"{user.api_key}:{user.api_secret}".encode()).decode()
        return text

    def here(self, text: str) -> str:
        """The text with the vendor's names and times replaced by the sandbox's."""
        found = {name for name in self.names if name in text}
        if not found:
            return text
        pattern = "|".join(re.escape(name) for name in sorted(found, key=len, reverse=True))
        return re.sub(pattern, lambda match: self.names[match[0]], text)

    def target(self, recording: Recording) -> str:
        """The recorded request line, byte for byte unless a name in it has to change."""
        parts = urlsplit(recording.request["url"])
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        if self.here(unquote_plus(target)) == unquote_plus(target):
            return target
        path = "/".join(quote(self.here(unquote(part)), safe="") for part in parts.path.split("/"))
        query = urlencode([(key, self.here(value)) for key, value in parse_qsl(parts.query, keep_blank_values=True)])
        return path + (f"?{query}" if query else "")

    def body(self, recording: Recording) -> bytes | None:
        text = recording.request["body"]
        if text is None:
            return None
        user = re.search(r"usr=(\w+)%40", text)
        if user:
            text = text.replace("USER_PASSWORD", self.site.users[f"{user[1]}@example.com"].password)
        return self.here(text).encode()

    def play(self, capture_id: str) -> list[str]:
        """Send the recorded request and say where the answers differ."""
        recording = load(capture_id)
        if not recording.request:
            return ["the capture is a delivery of a webhook, not a request"]
        headers = {name: value for name, value in recording.headers.items() if name in SENT}
        if "Authorization" in headers:
            headers["Authorization"] = self.authorization(headers["Authorization"])
        if "Cookie" in headers:
            headers["Cookie"] = self.here(headers["Cookie"])
        if capture_id == "sales_order/submit_client":
            self.learn_draft(json.loads(recording.request["body"])["doc"])
        if capture_id == "file/upload":
            headers["Content-Type"] = recording.headers["Content-Type"]
        body = self.body(recording)
        if body is not None and headers.get("Content-Type", "").startswith("multipart/"):
            body = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").replace(b"world\r\n\r\n", b"world\n\r\n")
        reply = self.send(recording.request["method"], self.target(recording), headers, body)
        return list(self.compare(recording, reply))

    def learn_draft(self, recorded: dict[str, Any]) -> None:
        """The draft this capture submits was made by a step that was not kept: learn what it is called here."""
        made = self.ask("GET", f"/api/resource/Sales Order/{recorded['name']}")
        list(self.differ(recorded, made, "draft"))

    # -- comparing ----------------------------------------------------------------------------------------------------

    def compare(self, recording: Recording, reply: Reply) -> Iterator[str]:
        recorded = recording.response
        if recorded["status"] != reply.status:
            yield f"status: {recorded['status']} there, {reply.status} here: {str(reply.body)[:300]}"
            return
        for group in (cookie_names, limit_headers):
            there, here = group([tuple(pair) for pair in recorded["headers"]]), group(reply.headers)
            if there != here:
                yield f"headers: {there} there, {here} here"
        if recording.id == "auth/login_ok":
            self.names["SESSION_ID"] = session_id(reply.headers)
        there, here = opened(recorded["body"]), opened(reply.body)
        if not ordered(recording.request):
            there, here = aligned(there, here)
        yield from self.differ(there, here, "body")

    def differ(self, there: Any, here: Any, path: str) -> Iterator[str]:
        """Every place where the two bodies differ, in keys, types or values."""
        if type(there) is not type(here):
            yield f"{path}: {kind(there)} there, {kind(here)} here ({here!r:.80})"
        elif isinstance(there, dict):
            yield from self.differ_in_keys(there, here, path)
        elif isinstance(there, list):
            if len(there) != len(here):
                yield f"{path}: {len(there)} elements there, {len(here)} here"
            for place, (one, other) in enumerate(zip(there, here, strict=False)):
                yield from self.differ(one, other, f"{path}[{place}]")
        elif there != here and not self.same(there, here, path):
            yield f"{path}: {there!r:.160} there, {here!r:.160} here"

    def differ_in_keys(self, there: dict[str, Any], here: dict[str, Any], path: str) -> Iterator[str]:
        lacking, extra = sorted(set(there) - set(here)), sorted(set(here) - set(there))
        if lacking or extra:
            yield f"{path}: keys only there {lacking}, only here {extra}"
        for key in there:
            if key in here and key not in UNTOLD:
                yield from self.differ(there[key], here[key], f"{path}.{key}")

    def same(self, there: Any, here: Any, path: str) -> bool:
        """Whether two different scalars mean the same: what the vendor called so is called so here."""
        if not isinstance(there, str):
            return False
        if there in self.names:
            return self.names[there] == here
        if alike(there, here):
            self.names |= {there: here, there.replace(" ", "T"): here.replace(" ", "T")}
            return self.heard.setdefault(here, there) == there
        return timeless(self.here(there)) == timeless(here)


SENT = frozenset({"Authorization", "Cookie", "Accept", "Content-Type"})


def alike(there: str, here: str) -> bool:
    """Both are a time, or both a random name."""
    return any(pattern.fullmatch(there) and pattern.fullmatch(here) for pattern in (TIME, RANDOM_NAME, CLOCK))


def timeless(text: str) -> str:
    """The text without the moments in it, and a traceback reduced to its last line."""
    match = TRACEBACK.search(text)
    if match:
        text = match["last"]
    return CLOCK.sub("<time>", TIME.sub("<time>", text))


def opened(body: Any) -> Any:
    """The body with the JSON inside its strings decoded: `exc`, `_server_messages`, and the data of a deletion."""
    if isinstance(body, dict):
        return {key: unwrapped(key, value) for key, value in body.items()}
    return body


def unwrapped(key: str, value: Any) -> Any:
    if key == "exc" and isinstance(value, str) and value.startswith("["):
        return json.loads(value)
    if key == "_server_messages":
        return [json.loads(message) for message in json.loads(value)]
    if key == "data" and isinstance(value, str) and value.startswith("{"):
        return json.loads(value)
    return {name: unwrapped(name, inner) for name, inner in value.items()} if isinstance(value, dict) else value


def ordered(request: dict[str, Any]) -> bool:
    """Whether the request says in which order it wants its rows."""
    return "order_by" in json.dumps(request["params"] or {}) + str(request["body"])


def aligned(there: Any, here: Any) -> tuple[Any, Any]:
    """Rows nobody has ordered, sorted by their stable columns, so that they can be compared."""
    both = []
    for body in (there, here):
        rows = body.get("data") if isinstance(body, dict) else None
        both.append({**body, "data": sorted(rows, key=row_key)} if isinstance(rows, list) else body)
    return both[0], both[1]


def row_key(row: Any) -> str:
    stable = (
        {key: value for key, value in row.items() if not TIME.fullmatch(str(value))} if isinstance(row, dict) else row
    )
    return json.dumps(stable, sort_keys=True)


def kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def cookie_names(headers: list[Any]) -> list[str]:
    """The cookies set, in their order, with whether the session is the guest's, a user's or gone."""
    lines = [value for name, value in headers if name.lower() == "set-cookie"]
    return [("sid=Guest" if line.startswith("sid=Guest") else line.split("=")[0]) for line in lines]


def limit_headers(headers: list[Any]) -> list[str]:
    return sorted(name.lower() for name, _ in headers if name.lower().startswith(("x-ratelimit", "retry-after")))


def session_id(headers: list[tuple[str, str]]) -> str:
    line = next(value for name, value in headers if name.lower() == "set-cookie" and value.startswith("sid="))
    return line.split(";")[0].removeprefix("sid=")


# -- the steps that were not kept -------------------------------------------------------------------------------------

ORDER = {"company": "Lab Traders Pvt Ltd", "delivery_date": "2026-12-05"}


def line(qty: float) -> list[dict[str, Any]]:
    return [{"item_code": "WIDGET-1", "qty": qty, "rate": 10}]


def bulk_201_to_270(replay: Replay) -> None:
    docs = [
        {
            "doctype": "Customer",
            "customer_name": f"Bulk Customer {number:04d}",
            "customer_type": "Company" if number % 2 else "Individual",
            "customer_group": "Commercial" if number % 3 else "Individual",
            "territory": "India",
            "tax_id": f"TAX{number:05d}",
        }
        for number in range(201, 271)
    ]
    replay.ask("POST", "/api/method/frappe.client.insert_many", {"docs": docs})


def put_website(replay: Replay) -> None:
    replay.ask("PUT", "/api/resource/Customer/Child Rows Co", {"website": "https://x.example.com"})


def delete_268(replay: Replay) -> None:
    replay.ask("DELETE", "/api/resource/Customer/Bulk Customer 0268")


def service_item(replay: Replay) -> None:
    item = {"item_code": "SERV-1", "item_name": "Consulting", "item_group": "Services", "stock_uom": "Hour"}
    replay.ask("POST", "/api/resource/Item", item | {"is_stock_item": 0})


def cancel_first_order(replay: Replay) -> None:
    replay.ask("PUT", "/api/resource/Sales Invoice/ACC-SINV-2026-00001", {"docstatus": 2})
    replay.ask("PUT", "/api/resource/Sales Order/SAL-ORD-2026-00001", {"docstatus": 2})


def draft_order(replay: Replay) -> None:
    replay.ask("POST", "/api/resource/Sales Order", {**ORDER, "customer": "Own Name Ltd", "items": line(1)})


def order_of(replay: Replay, qty: float) -> str:
    order = {**ORDER, "customer": "Acme Widgets", "docstatus": 1, "items": line(qty)}
    return str(replay.ask("POST", "/api/resource/Sales Order", order)["name"])


def ordered_and_billed(replay: Replay) -> str:
    make = "/api/method/erpnext.selling.doctype.sales_order.sales_order.make_sales_invoice"
    invoice = replay.ask("POST", make, {"source_name": order_of(replay, 3)})
    return str(replay.ask("POST", "/api/resource/Sales Invoice", invoice | {"docstatus": 1})["name"])


def ordered_billed_and_paid(replay: Replay) -> None:
    make = "/api/method/erpnext.accounts.doctype.payment_entry.payment_entry.get_payment_entry"
    payment = replay.ask("POST", make, {"dt": "Sales Invoice", "dn": ordered_and_billed(replay)})
    replay.ask("POST", "/api/resource/Payment Entry", payment | {"reference_no": "B2", "docstatus": 1})


def ordered_and_cancelled(replay: Replay) -> None:
    name = order_of(replay, 4)
    replay.ask("PUT", f"/api/resource/Sales Order/{name}", {"docstatus": 2})


def issue_five(replay: Replay) -> None:
    lines = [{"item_code": "STOCK-1", "qty": 5, "s_warehouse": "Stores - LTP"}]
    entry = {"stock_entry_type": "Material Issue", "company": "Lab Traders Pvt Ltd", "docstatus": 1, "items": lines}
    replay.ask("POST", "/api/resource/Stock Entry", entry)


def hooked_customers(replay: Replay) -> None:
    for number in range(1, 5):
        replay.ask("POST", "/api/resource/Customer", {"customer_name": f"HookMany {number}"})


def switch(**values: Any) -> Callable[[Replay], None]:
    def turn(replay: Replay) -> None:
        for name, value in values.items():
            setattr(replay.site.switches, name, value)

    return turn


def disable_noroles(replay: Replay) -> None:
    replay.site.users["noroles@example.com"].enabled = False


UNKEPT: dict[str, Callable[[Replay], Any]] = {
    "bulk_201_to_270": bulk_201_to_270,
    "put_website": put_website,
    "delete_268": delete_268,
    "service_item": service_item,
    "cancel_first_order": cancel_first_order,
    "draft_order": draft_order,
    "ordered_and_billed": ordered_and_billed,
    "ordered_billed_and_paid": ordered_billed_and_paid,
    "ordered_and_cancelled": ordered_and_cancelled,
    "issue_five": issue_five,
    "hooked_customers": hooked_customers,
    "limit_on": switch(rate_limit=(600.0, 3600)),
    "limit_tiny": switch(rate_limit=(0.000_001, 3600)),
    "limit_off": switch(rate_limit=None),
    "maintenance": switch(maintenance=True),
    "read_only": switch(maintenance=False, read_only=True),
    "up_again": switch(maintenance=False, read_only=False, database_down=False),
    "lock_row": switch(locked={("Customer", "HookMany 3")}),
    "unlock_row": switch(locked=set()),
    "database_down": switch(database_down=True),
    "disable_noroles": disable_noroles,
}


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    """The whole script, played once against a fresh site."""
    started = monotonic()
    site = fresh_site(now=lambda: RECORDED + timedelta(seconds=monotonic() - started))
    with serving(create_app(site)) as url:
        conversation = Replay(site, url)
        for step in STEPS:
            if step.startswith("@"):
                UNKEPT[step[1:]](conversation)
            else:
                conversation.differences[step] = conversation.play(step)
        yield conversation


def test_every_capture_is_replayed_or_listed_with_a_reason() -> None:
    listed = [name for name in published() if any(fnmatch(name, pattern) for pattern in not_imitated())]
    played = [step for step in STEPS if not step.startswith("@")]
    assert sorted(played + listed) == published()


def test_every_pattern_of_the_list_stands_for_a_capture() -> None:
    assert [pattern for pattern in not_imitated() if not any(fnmatch(name, pattern) for name in published())] == []


@pytest.mark.parametrize("capture_id", [step for step in STEPS if not step.startswith("@")])
def test_the_sandbox_answers_as_the_vendor_did(replay: Replay, capture_id: str) -> None:
    assert replay.differences[capture_id] == []


@pytest.mark.parametrize(
    "capture_id", [name for name in published() if any(fnmatch(name, pattern) for pattern in not_imitated())]
)
def test_a_listed_capture_really_comes_out_differently(replay: Replay, capture_id: str) -> None:
    assert replay.play(capture_id) != [], "The sandbox answers to this one: take it off the list."
