"""`erpflow tenant` and `erpflow api-key`: companies, who acts for them, and the first key."""

from __future__ import annotations

from typing import Any

import pytest

from erpflow.store import api_keys, tenants
from tests.integration.conftest import Installation


def test_a_company_is_added_and_listed(installation: Installation) -> None:
    added = installation.run("tenant", "add", "acme", "--name", "Acme GmbH")
    assert (added.status, "erpflow api-key add NAME --tenant acme" in added.out) == (0, True)
    listed = installation.run("tenant", "list").out
    assert "Acme GmbH" in listed
    assert "default" in listed


@pytest.mark.parametrize(("slug", "said"), [("default", "already"), ("Acme Inc", "cannot be the slug")])
def test_a_slug_that_cannot_be_is_refused(installation: Installation, slug: str, said: str) -> None:
    ended = installation.run("tenant", "add", slug)
    assert (ended.status, said in ended.err) == (1, True)


def test_who_acts_for_a_company_is_said_and_taken_back(installation: Installation) -> None:
    installation.run("tenant", "add", "acme")

    def acts() -> bool:
        with installation.database.transaction() as store:
            return tenants.acting_for(store, "mira", slug="acme", any_tenant=False) is not None

    assert not acts()
    assert installation.run("tenant", "member", "add", "acme", "mira").status == 0
    assert acts()
    assert "mira" in installation.run("tenant", "list").out
    assert installation.run("tenant", "member", "remove", "acme", "mira").status == 0
    assert not acts()
    again = installation.run("tenant", "member", "remove", "acme", "mira")
    assert (again.status, "does not act for acme" in again.err) == (1, True)
    unknown = installation.run("tenant", "member", "add", "acne", "mira")
    assert (unknown.status, 'did you mean "acme"' in unknown.err) == (1, True)


def holder(installation: Installation, key: str) -> Any:
    with installation.database.transaction() as store:
        return api_keys.holder(store, key)


def test_a_key_is_printed_once_counts_and_is_ended(installation: Installation) -> None:
    installation.run("tenant", "add", "acme")
    made = installation.run("api-key", "add", "shop", "--tenant", "acme", "--scope", "look", "--scope", "configure")
    key = made.out.strip()
    assert "\n" not in key
    found = holder(installation, key)
    assert (found.name, set(found.scopes)) == ("shop", {"look", "configure"})
    listed = installation.run("api-key", "list", "--tenant", "acme").out
    assert key[:12] in listed
    assert key not in listed
    assert "counts" in listed
    assert "shop" not in installation.run("api-key", "list").out
    assert installation.run("api-key", "revoke", f"{key[:12]}…", "--tenant", "acme").status == 0
    assert holder(installation, key) is None
    assert "revoked" in installation.run("api-key", "list", "--tenant", "acme").out


def test_a_key_of_another_company_is_not_ended(installation: Installation) -> None:
    installation.run("tenant", "add", "acme")
    key = installation.run("api-key", "add", "shop").out.strip()
    ended = installation.run("api-key", "revoke", key[:12], "--tenant", "acme")
    assert (ended.status, "acme has no key that begins with" in ended.err) == (1, True)
    assert holder(installation, key) is not None


def test_a_scope_that_is_none_is_refused(installation: Installation) -> None:
    ended = installation.run("api-key", "add", "shop", "--scope", "everything")
    assert (ended.status, "configure" in ended.err) == (1, True)
