"""Access tokens kept in this process, for the contract's connectors of systems with OAuth."""

from __future__ import annotations

import threading

from erpflow.connectors.account import AccessToken
from erpflow.connectors.oauth import Grant, OAuthClient
from erpflow.errors import AuthFailed


class LocalTokens:
    """Refreshes a grant whenever the vendor refuses its token; `refreshes` counts how often."""

    def __init__(self, client: OAuthClient, refresh_token: str) -> None:
        self._client = client
        self._refresh_token = refresh_token
        self._grant: Grant | None = None
        self._version = 0
        self._lock = threading.Lock()
        self.refreshes = 0

    def current(self) -> AccessToken:
        with self._lock:
            return self._token(self._grant or self._refreshed())

    def renewed(self, version: int) -> AccessToken:
        with self._lock:
            return self._token(self._refreshed() if version >= self._version or self._grant is None else self._grant)

    def _refreshed(self) -> Grant:
        grant = self._client.refresh(self._refresh_token)
        self._grant, self._refresh_token = grant, grant.refresh_token or self._refresh_token
        self._version += 1
        self.refreshes += 1
        return grant

    def _token(self, grant: Grant) -> AccessToken:
        return AccessToken(grant.access_token, self._version, grant.facts)


class NeverConnected:
    """The tokens of a connection to which nobody has consented yet."""

    def current(self) -> AccessToken:
        raise AuthFailed("The connection has not been connected yet. Run: erpflow connect NAME")

    def renewed(self, version: int) -> AccessToken:
        return self.current()
