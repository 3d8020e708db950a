"""The API under requests that its OpenAPI allows, and under those it forbids: no 5xx, and what is documented."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection

from tests.calling import Api

NEVER_END = "/events/stream"
EXAMPLES = 10

REFUSED = [*range(200, 400), 401, 403, 404, 409, 422, 502, 503]
"""What is well-formed may still be refused for what it means, or because a vendor is not there."""


def config() -> SchemathesisConfig:
    found = SchemathesisConfig()
    found.projects.default.checks.positive_data_acceptance.expected_statuses = [str(status) for status in REFUSED]
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_endpoint_answers_as_it_says_it_does(api: Api, mode: GenerationMode) -> None:
    api.runs.carries_out = False
    headers = {"Authorization": api.client.headers["Authorization"]}
    schema = schemathesis.openapi.from_asgi("/api/erp/openapi.json", api.client.app, config=config())
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
