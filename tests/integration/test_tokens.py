"""Access tokens are kept for all workers: renewed once, stored before they are used, and never lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from erpflow.connectors.account import Account
from erpflow.connectors.oauth import Grant, OAuthSpec, Places, oauth_client
from erpflow.errors import AuthFailed, ConfigError, DatabaseUnavailable, RateLimited, VendorUnavailable
from erpflow.store.cipher import Cipher
from erpflow.store.connections import add_connection
from erpflow.store.database import Database
from erpflow.store.tokens import PostgresTokens, save_grant
from erpflow.vocabulary import ConnectionId
from tests.oauth import CLIENT_ID, CLIENT_SECRET, Ledger, LedgerConnector

PROJECT = Path(__file__).parents[2]
KEY = Fernet.generate_key().decode()


@dataclass
class Books:
    """One connection to the vendor, after a person consented; its access token has run out."""

    vendor: Ledger
    database: Database
    id: ConnectionId
    moved: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.moved

    def tokens(self, **more: object) -> PostgresTokens:
        client = oauth_client(LedgerConnector, Account(self.vendor.url, CLIENT_ID, CLIENT_SECRET))
        return PostgresTokens(self.database, self.id, client, cipher=Cipher(KEY), now=self.now, **more)  # type: ignore[arg-type]

    def consent(self, *, life: timedelta = timedelta()) -> None:
        grant = Grant("at-old", self.vendor.consented(), expires_at=self.now() + life, facts={"realmId": "9341"})
        with self.database.transaction() as connection:
            save_grant(connection, self.id, grant, cipher=Cipher(KEY))

    def processes(self, count: int, *, refused: int = -1) -> subprocess.Popen[str]:
        words = [self.database.url, self.id, self.vendor.url, KEY, str(count), str(refused)]
        command = [sys.executable, "-m", "tests.renewing", *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT)

    def column(self, name: str) -> object:
        query = f"SELECT {name} FROM erpflow.erp_oauth_tokens JOIN erpflow.erp_connections ON id = connection_id"
        with self.database.transaction() as connection:
            row = connection.execute(query.encode()).fetchone()
        assert row
        return row[0]


@pytest.fixture
def vendor() -> Iterator[Ledger]:
    with Ledger() as ledger:
        yield ledger


@pytest.fixture
def books(fresh_database: Database, vendor: Ledger) -> Books:
    with fresh_database.transaction() as connection:
        id_ = add_connection(connection, "books", system="ledger").id
    made = Books(vendor, fresh_database, id_)
    made.consent()
    return made


def test_an_access_token_is_used_until_shortly_before_its_end(books: Books) -> None:
    tokens = books.tokens()
    first = tokens.current()
    assert tokens.current() == books.tokens().current() == first
    books.moved = timedelta(minutes=57)
    assert tokens.current() == first
    books.moved = timedelta(minutes=59)
    assert tokens.current().version == first.version + 1
    assert books.vendor.refreshes == 2


def test_what_the_vendor_said_of_the_account_is_given_with_every_token(books: Books) -> None:
    assert books.tokens().current().facts == books.tokens().current().facts == {"realmId": "9341"}


def test_a_refused_token_is_renewed_once_for_all_who_were_refused(books: Books) -> None:
    mine, theirs = books.tokens(), books.tokens()
    refused = mine.current().version
    theirs.current()
    assert mine.renewed(refused) == theirs.renewed(refused) == books.tokens().renewed(refused)
    assert books.vendor.refreshes == 2


@pytest.mark.parametrize("refused", [-1, 1])
def test_thirty_two_processes_meet_an_expired_token_and_one_of_them_renews_it(books: Books, refused: int) -> None:
    out, _ = books.processes(32, refused=refused).communicate(timeout=120)
    assert len(out.splitlines()) == 32
    assert len(set(out.splitlines())) == 1
    assert out.startswith("2 at-")
    assert books.vendor.refreshes == 1


def test_a_rotated_refresh_token_is_stored_before_the_access_token_is_used(books: Books) -> None:
    for version in (2, 3, 4):
        assert books.tokens().renewed(version - 1).version == version
    assert books.vendor.refreshes == 3


def test_nothing_that_can_be_read_is_kept(books: Books) -> None:
    said: list[str] = []
    token = books.tokens(on_secret=said.append).current()
    row = str(books.column("erp_oauth_tokens::text"))
    assert len(said) == 2
    assert token.value in said
    assert all(secret not in row for secret in said)
    assert "***" in repr(token) or token.value not in repr(token)


@pytest.mark.parametrize("refused", [-1, 1])
def test_a_consent_that_was_taken_back_is_said_once_and_the_vendor_left_alone(books: Books, refused: int) -> None:
    books.vendor.revoke()
    out, _ = books.processes(8, refused=refused).communicate(timeout=120)
    assert len(out.splitlines()) == 8
    assert set(out.splitlines()) == {
        "AuthFailed The vendor does not accept the saved consent any more (invalid_grant). Nothing was lost. "
        "Reconnect it: erpflow connect books"
    }
    assert books.vendor.refreshes == 1
    assert books.column("status") == "expired"
    assert "erpflow connect books" in str(books.column("status_message"))


def test_after_another_consent_everything_goes_on(books: Books) -> None:
    books.vendor.revoke()
    tokens = books.tokens()
    with pytest.raises(AuthFailed):
        tokens.current()
    books.consent(life=timedelta(hours=1))
    assert tokens.current().value == "at-old"
    assert books.column("status") == "unknown"


def test_a_connection_that_nobody_connected_says_so(books: Books) -> None:
    with books.database.transaction() as connection:
        connection.execute("DELETE FROM erpflow.erp_oauth_tokens")
    with pytest.raises(AuthFailed, match=r'"books" has not been connected yet. Run: erpflow connect books'):
        books.tokens().current()


def test_a_consent_that_has_come_to_its_end_needs_a_person_and_no_call(books: Books) -> None:
    with books.database.transaction() as connection:
        connection.execute("UPDATE erpflow.erp_oauth_tokens SET refresh_expires_at = now() - interval '1 s'")
    with pytest.raises(AuthFailed, match=r"has come to its end.*erpflow connect books"):
        books.tokens().current()
    assert (books.vendor.refreshes, books.column("status")) == (0, "expired")


@pytest.mark.parametrize("grace", [0, 1])
def test_a_worker_killed_between_the_rotation_and_the_commit(fresh_database: Database, grace: int) -> None:
    with Ledger(grace=grace) as vendor:
        with fresh_database.transaction() as connection:
            id_ = add_connection(connection, "books", system="ledger").id
        books = Books(vendor, fresh_database, id_)
        books.consent()
        vendor.held.clear()
        program = "import tests.renewing as r, sys; print(r.line(*sys.argv[1:5], -1))"
        words = [fresh_database.url, id_, vendor.url, KEY]
        worker = subprocess.Popen([sys.executable, "-c", program, *words], cwd=PROJECT)
        assert vendor.rotated.wait(30)
        worker.kill()
        worker.wait()
        vendor.held.set()
        if grace:  # the vendor takes the refresh token that we still have
            assert books.tokens().current().version == 2
            assert vendor.refreshes == 2
            return
        said = set()
        for _ in range(5):
            with pytest.raises(AuthFailed, match=r"killed in a renewal at 20.*Reconnect it: erpflow connect") as raised:
                books.tokens().current()
            said.add(str(raised.value))
        assert len(said) == 1
        assert vendor.refreshes == 2  # the one that was lost, and the one that told us so


def test_a_database_that_goes_away_during_a_renewal_loses_nothing(books: Books) -> None:
    books.vendor.held.clear()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(books.tokens(sleep=lambda _: None).current)
        assert books.vendor.rotated.wait(30)
        with books.database.connect(autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        books.vendor.held.set()
        assert asked.result().version == 2
    assert books.tokens().renewed(2).version == 3  # with the refresh token that was saved


def test_a_worker_that_is_told_to_end_saves_first_what_the_vendor_gave(books: Books) -> None:
    told = threading.Event()

    def stop_once(_secret: str) -> None:
        if not told.is_set():
            told.set()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        books.tokens(on_secret=stop_once).current()
    assert books.tokens().current().version == 2
    assert books.tokens().renewed(2).version == 3
    assert books.vendor.refreshes == 2


def test_a_token_server_that_is_down_is_not_asked_by_everybody(books: Books) -> None:
    books.vendor.down = True
    for _ in range(4):
        with pytest.raises(VendorUnavailable, match="HTTP 503"):
            books.tokens().current()
    assert len([asked for asked in books.vendor.asked if asked.path == "/token"]) == 1
    books.vendor.down = False
    books.moved = timedelta(seconds=20)
    assert books.tokens().current().version == 2
    assert books.column("status") == "unknown"


def test_tokens_that_are_refused_again_and_again_are_not_renewed_without_end(books: Books) -> None:
    tokens = books.tokens()
    version = tokens.current().version
    with pytest.raises(RateLimited, match=r'"books" was renewed 9 times in 10 minutes') as raised:
        for _ in range(20):
            version = tokens.renewed(version).version
    assert 500 < raised.value.retry_after <= 600
    assert books.vendor.refreshes == 9
    books.moved = timedelta(minutes=11)
    assert tokens.renewed(version).version == version + 1


def test_tokens_of_another_key_say_what_to_do(books: Books) -> None:
    client = oauth_client(LedgerConnector, Account(books.vendor.url, CLIENT_ID, CLIENT_SECRET))
    other = Cipher(Fernet.generate_key().decode())
    with pytest.raises(ConfigError, match=r'vendor of "books" was encrypted with another key.*erpflow connect books'):
        PostgresTokens(books.database, books.id, client, cipher=other).current()
    assert books.vendor.refreshes == 0


def test_an_app_that_needs_no_consent_gets_its_tokens_by_itself(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        LedgerConnector,
        "oauth",
        OAuthSpec(places=lambda a: Places("", f"{a.address}/token"), scopes=("read",), needs_consent=False),
    )
    with books.database.transaction() as connection:
        connection.execute("DELETE FROM erpflow.erp_oauth_tokens")
    tokens = books.tokens()
    assert tokens.current().version == 1
    assert tokens.renewed(1) == books.tokens().current()
    assert books.vendor.refreshes == 0


def test_an_absent_database_is_a_reason_to_retry(books: Books) -> None:
    books.database = Database(books.database.url.replace(books.database.url.rsplit(":", 1)[1].split("/")[0], "1"))
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        books.tokens().current()
