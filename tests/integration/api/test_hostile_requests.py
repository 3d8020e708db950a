"""The API under requests that its OpenAPI allows, and under those it forbids: no 5xx, and what is documented."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection

from erpflow.api.app import API, VENDOR_ROUTERS
from erpflow.connectors.base import Connector
from erpflow.errors import VendorUnavailable
from erpflow.store.connections import ErpConnection
from tests.calling import Api

NEVER_END = "/events/stream"
EXAMPLES = 10

AWAY = [502, 503]
NOT_TAKEN = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, *AWAY]
"""How what is not as described is refused; too large is one way not to be."""
REFUSED = [*range(200, 400), 401, 403, 404, 409, 422, *AWAY]
"""What is well-formed may still be refused for what it means, or because a vendor is not there."""

ALSO_REFUSED = {"/api/webhooks/veekaart": [400]}
"""An order may be any object: one that lacks what an order must have is kept as it came, and answered with 400."""


def config(prefix: str) -> SchemathesisConfig:
    found = SchemathesisConfig()
    checks = found.projects.default.checks
    refused = [*REFUSED, *ALSO_REFUSED.get(prefix, ())]
    checks.positive_data_acceptance.expected_statuses = [str(status) for status in refused]
    checks.negative_data_rejection.expected_statuses = [str(status) for status in NOT_TAKEN]
    checks.not_a_server_error.expected_statuses = [str(status) for status in [*range(200, 500), *AWAY]]
    return found


ACCOUNTS: dict[str, dict[str, Any]] = {
    "aws_textract": {"login": "key", "password": "secret", "settings": {"region": "eu-central-1"}},
    "erpnext": {"login": "key", "password": "secret"},
    "metakocka": {"login": "16", "password": "secret"},
    "razorpay": {"login": "rzp_test_key", "password": "secret"},
    "veekaart": {"password": "secret"},
    "sendgrid": {"password": "secret"},
    "msg91": {"password": "secret"},
    "gst_portal": {
        "login": "id",
        "password": "secret",
        "settings": {"gstin": "29AABCV1234M1Z5", "username": "someone"},
    },
}


@contextmanager
def away(_connection: ErpConnection) -> Iterator[Connector]:
    raise VendorUnavailable("The vendor is not there.", maybe_done=False)
    yield


@pytest.fixture
def connected(api: Api) -> Api:
    """With a connection for each system that is called by its name, so that a request gets beyond "there is none".

    None of them answers: what a vendor says is not what is tried out here.
    """
    api.change(connect=away)
    for system, secrets in ACCOUNTS.items():
        body = {"name": system, "system": system, "url": "http://127.0.0.1:9", **secrets}
        assert api.client.post("/api/erp/connections", json=body).status_code == HTTPStatus.CREATED
    return api


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("prefix", [API, *VENDOR_ROUTERS])
def test_every_endpoint_answers_as_it_says_it_does(connected: Api, prefix: str, mode: GenerationMode) -> None:
    api = connected
    api.runs.carries_out = False
    headers = {"Authorization": api.client.headers["Authorization"]}
    schema = schemathesis.openapi.from_asgi(f"{prefix}/openapi.json", api.client.app, config=config(prefix))
    wrong: list[str] = []
    for found in schema.exclude(path_regex=NEVER_END).get_all_operations():
        operation = found.ok()

        @seed(4711)
        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Case) -> None:
            # A query that nobody asked for does no harm; every body that is not as described must be refused.
            ignored = [negative_data_rejection] if case.operation.method.upper() == "GET" else []
            case.call_and_validate(headers=headers, excluded_checks=ignored)

        try:
            ask()
        except Unsatisfiable:
            assert not operation.path_parameters and not operation.query and not operation.body  # nothing to get wrong
        except Exception as error:  # noqa: BLE001  (all endpoints are tried before the test fails)
            wrong.append("\n".join([operation.label, *map(str, getattr(error, "exceptions", [error]))]))
    assert wrong == [], "\n\n".join(wrong)
