"""The settings an operator writes as JSON: defaults, tenants of their own, and errors that name every wrong key."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from erpflow.errors import ConfigError
from erpflow.services.notifications.settings import EXAMPLE, NotificationSettings, read_settings

PAGE = Path(__file__).parents[2] / "docs" / "how-to-notifications.md"


@pytest.mark.parametrize("text", [None, "", "  ", "{}"])
def test_without_settings_there_are_defaults_and_no_recipients(text: str | None) -> None:
    settings = read_settings(text, where="here")
    assert settings == NotificationSettings()
    assert settings.recipients("default") == ()
    assert settings.remind_after == timedelta(hours=24)


def test_a_tenant_replaces_what_it_names_and_keeps_the_rest() -> None:
    settings = read_settings(
        """{"email": ["ops@example.com"], "webhook": "ops_chat", "tenants": {
            "acme": {"email": ["it@acme.example"]}, "quiet": {"email": [], "webhook": ""}}}""",
        where="here",
    )
    assert settings.recipients("default") == ("ops@example.com",)
    assert settings.recipients("acme") == ("it@acme.example",)
    assert settings.webhook_connection("acme") == "ops_chat"
    assert settings.recipients("quiet") == ()
    assert settings.webhook_connection("quiet") == ""


def test_the_allowed_age_is_three_intervals_and_a_quarter_of_an_hour_at_least() -> None:
    assert NotificationSettings().allowed_age(timedelta(hours=1)) == timedelta(hours=3)
    assert NotificationSettings().allowed_age(timedelta(minutes=1)) == timedelta(minutes=15)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("not json", "the text"),
        ('{"emails": ["ops@example.com"]}', "emails"),
        ('{"email": "ops@example.com"}', "email"),
        ('{"email": ["ops"]}', "email.0: .*e-mail address"),
        ('{"email": ["ops@example.com, dev@example.com"]}', "email.0"),
        ('{"email": ["ops@example.com\\nBcc: x@example.com"]}', "email.0"),
        ('{"remind_after_hours": 0}', "remind_after_hours"),
        ('{"stale_after_intervals": 0.5}', "stale_after_intervals"),
        ('{"tenants": {"acme": {"mail": []}}}', "tenants.acme.mail"),
    ],
)
def test_a_wrong_setting_is_named_with_its_place(text: str, names: str) -> None:
    with pytest.raises(ConfigError, match=rf"The Variable is wrong: .*{names}") as caught:
        read_settings(text, where="The Variable")
    assert EXAMPLE in str(caught.value)


def test_the_samples_of_the_documentation_are_settings_and_name_every_key() -> None:
    page = PAGE.read_text(encoding="utf-8")
    samples = [text for text in re.findall(r"```json\n(.*?)```", page, re.DOTALL) if "conn_type" not in text]
    assert samples
    for text in samples:
        read_settings(text, where="the page")
    assert [key for key in NotificationSettings.model_fields if f"`{key}`" not in page] == []
