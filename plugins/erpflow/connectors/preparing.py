"""A request as it is made and sent: what a connector asks for, with what its session adds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

import requests
from requests.structures import CaseInsensitiveDict
from requests.utils import get_netrc_auth

MOST_URLS: Final = 64
"""Addresses that are remembered as they are sent."""


class RequestMaker:
    """Makes what `Session.prepare_request` makes, for one vendor.

    That reads ~/.netrc and merges settings that are not there, anew for every request: half of the price of preparing
    one, which is a fifth of what sending it costs. Cookies are never sent.
    """

    def __init__(self, session: requests.Session, *, base_url: str) -> None:
        self._session = session
        self._base_url = base_url
        self._urls: dict[str, str] = {}

    def request(
        self, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str]
    ) -> requests.PreparedRequest:
        """A request to the vendor, signed. Raises what signing raises, and ValueError for what cannot be sent."""
        session = self._session
        merged = CaseInsensitiveDict(session.headers)
        merged["Accept"] = "application/json"
        merged.update(headers)
        request = requests.PreparedRequest()
        request.prepare_method(method)
        self._point(request, url)
        request.prepare_headers(merged)
        request.prepare_cookies({})
        request.prepare_body(body, None)
        request.prepare_auth(session.auth or self._login, url)
        request.prepare_hooks(session.hooks)
        return request

    def _point(self, request: requests.PreparedRequest, url: str) -> None:
        """Give a request its address, as it was found to be the last time: a push asks at two or three."""
        if self._session.params:
            request.prepare_url(url, self._session.params)
            return
        known = self._urls.get(url)
        if known is None:
            request.prepare_url(url, None)
            if len(self._urls) >= MOST_URLS:
                self._urls.clear()
            self._urls[url] = request.url or url
        else:
            request.url = known

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """The answer with its body still to be read. Redirects are not followed, cookies not kept.

        A session is asked only where something wants to see its answers, as some ways of signing do: what else it does
        with them is not needed. Raises what `Session.send` raises.
        """
        if request.hooks.get("response"):
            return self._session.send(request, allow_redirects=False, **options)
        return self._session.get_adapter(request.url or "").send(request, **options)

    @cached_property
    def _login(self) -> tuple[str, str] | None:
        """What ~/.netrc has for the vendor's host, for a session that nothing else signs."""
        return get_netrc_auth(self._base_url) if self._session.trust_env else None
