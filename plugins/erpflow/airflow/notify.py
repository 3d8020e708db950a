"""Brings messages to people through Airflow's own parts: its Connections, its Variables and its notifiers.

E-mail goes through the Connection `erpflow_smtp`, a webhook through `erpflow_notify_webhook` or the one the settings
name; who is told is in the Variable `erpflow_notifications`. Everything here runs inside a task or the triggerer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import requests
from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import BaseHook, BaseNotifier, Variable
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from erpflow.errors import NotificationFailed
from erpflow.services.notifications.messages import Message
from erpflow.services.notifications.settings import NotificationSettings, read_settings
from erpflow.services.notifications.tell import Channel

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from airflow.sdk.definitions.context import Context

SETTINGS_VARIABLE: Final = "erpflow_notifications"
SMTP_CONNECTION: Final = "erpflow_smtp"
WEBHOOK_CONNECTION: Final = "erpflow_notify_webhook"

WEBHOOK_TIMEOUT_S: Final = 15


class EmailNotifier(SmtpNotifier):
    """Sends one message by e-mail. Nothing in it is a template: names and reasons come from outside."""

    template_fields: Sequence[str] = ()  # type: ignore[assignment]  # the provider declares eleven of them

    def notify(self, context: Context) -> None:
        """Send it. Raises NotificationFailed, without the provider's own text, which may quote the login."""
        try:
            super().notify(context)
        except (OSError, ValueError, AirflowException) as error:  # smtplib's own errors are OSErrors
            code = getattr(error, "smtp_code", None)
            raise NotificationFailed(
                f"The e-mail was not sent: {type(error).__name__}{f' ({code})' if code else ''}. Check the Airflow "
                f'Connection "{self.smtp_conn_id}": host, port, login, password, `from_email`, `disable_ssl` and '
                "`disable_tls`."
            ) from None


class WebhookNotifier(BaseNotifier):
    """Posts one message as JSON to the address of an HTTP Connection.

    Not the http provider's notifier: that one waits for ever, takes a redirect for success, renders what it sends as a
    template, and writes the whole address into the log, which is the secret of most chat systems' webhooks.
    """

    def __init__(self, *, http_conn_id: str, body: dict[str, Any]) -> None:
        super().__init__()
        self.http_conn_id = http_conn_id
        self.body = body

    def notify(self, context: Context) -> None:
        """Post it. Raises NotificationFailed unless the answer is a 2xx."""
        hook = HttpHook(http_conn_id=self.http_conn_id)
        try:
            endpoint = _secret_path(BaseHook.get_connection(self.http_conn_id))
            with hook.get_conn() as session:
                answer = session.post(
                    hook.url_from_endpoint(endpoint),
                    json=self.body,
                    timeout=WEBHOOK_TIMEOUT_S,
                    allow_redirects=False,
                )
        except (requests.RequestException, ValueError, AirflowException) as error:
            raise self._failed(type(error).__name__) from None
        if not 200 <= answer.status_code < 300:
            raise self._failed(f"HTTP {answer.status_code}")

    def _failed(self, why: str) -> NotificationFailed:
        return NotificationFailed(
            f"The webhook did not take the message: {why}. Check the address in the Airflow Connection "
            f'"{self.http_conn_id}".'
        )


def notification_settings() -> NotificationSettings:
    """The Variable `erpflow_notifications`, or the defaults. Raises ConfigError naming every wrong key."""
    text = Variable.get(SETTINGS_VARIABLE, default=None)
    return read_settings(text, where=f"The Airflow Variable {SETTINGS_VARIABLE}")


def channels_of(settings: NotificationSettings, tenant: str) -> list[Channel]:
    """How a tenant is reached: by e-mail if it has recipients, by webhook if there is a Connection for it."""
    channels = []
    if recipients := settings.recipients(tenant):
        channels.append(Channel("email", partial(_email, recipients)))
    webhook = settings.webhook_connection(tenant)
    if webhook is None and _exists(WEBHOOK_CONNECTION):
        webhook = WEBHOOK_CONNECTION
    if webhook:
        channels.append(Channel("webhook", partial(_post, webhook)))
    return channels


def base_url() -> str | None:
    """Where Airflow's UI is, as its own configuration says; None when it does not."""
    return conf.get("api", "base_url", fallback=None) or None


def _email(recipients: Sequence[str], message: Message) -> None:
    EmailNotifier(
        to=list(recipients), subject=message.subject, html_content=message.html(), smtp_conn_id=SMTP_CONNECTION
    )({})


def _post(http_conn_id: str, message: Message) -> None:
    WebhookNotifier(http_conn_id=http_conn_id, body=message.json())({})


def _secret_path(connection: Connection) -> str | None:
    """The rest of the address, where it is kept as the password: encrypted, and masked in every log."""
    return connection.password if connection.password and not connection.login else None


def _exists(conn_id: str) -> bool:
    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return False
    return True
