"""First loads by Bulk Read: Zoho writes a whole module into CSV files, 200,000 records each (UNVERIFIED), in its time.

A job is made, asked about until it is done, and its ZIP is read row by row into pages of JSON records in the shape that
lists have. What was changed since the job was made is read from the list afterwards.

Source: docs/api/v8/bulk-read, OpenAPI bulk_read v8. Differences of a CSV: every value is text, an empty one is null,
look-ups are bare ids.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from tempfile import TemporaryFile
from typing import IO, Any, Final

import msgspec

from erpflow.connectors.answer import Answer, excerpt
from erpflow.connectors.base import Page, PageToken
from erpflow.connectors.zoho_crm_errors import judge
from erpflow.connectors.zoho_crm_modules import Module
from erpflow.connectors.zoho_crm_org import API, BULK, Organisation, Readable
from erpflow.connectors.zoho_crm_wire import decode, encode, is_empty, to_instant
from erpflow.errors import ProtocolError, RateLimited
from erpflow.vocabulary import Window

ABOVE: Final = 2_000
"""Records of a module from which on a first load is worth a job."""
ROWS_A_PAGE: Final = 2_000
JOB_COST: Final = 50.0  # credits; UNVERIFIED
MOST_BYTES: Final = 4 * 1024 * 1024 * 1024
_WAITS_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_COME_BACK_S: Final = 60.0
_NOTHING: Final = b'{"data":[]}'
_NUMBERS: Final = frozenset({"integer", "bigint", "double", "currency", "percent", "decimal", "long"})
_LOOKUPS: Final = frozenset({"lookup", "ownerlookup", "userlookup"})


class BulkPosition(msgspec.Struct, frozen=True):
    """How far a first load has come.

    `job`: the one that is made or read; `row` of its result; `since`: when the first job was made, as Zoho wrote it.
    """

    job: str
    since: str
    row: int = 0


class _Result(msgspec.Struct):
    count: int = 0
    more_records: bool = False
    next_page_token: str | None = None


class _Job(msgspec.Struct):
    id: str = ""
    state: str = ""
    created_time: str = ""
    result: _Result | None = None


class _Jobs(msgspec.Struct):
    data: list[_Job]


class _Added(msgspec.Struct):
    details: _Job


class _Additions(msgspec.Struct):
    data: list[_Added]


class _Users(msgspec.Struct):
    users: list[dict[str, Any]]


_JOBS: Final = msgspec.json.Decoder(_Jobs)
_ADDITIONS: Final = msgspec.json.Decoder(_Additions)
_USERS: Final = msgspec.json.Decoder(_Users)
Token = Callable[[BulkPosition], PageToken]
Convert = Callable[[str], Any]


class BulkReader:
    """Reads one whole module. `token` writes a position down."""

    def __init__(self, org: Organisation, module: Module, window: Window, *, token: Token) -> None:
        self._org = org
        self._module = module
        self._window = window
        self._token = token

    def start(self) -> tuple[Page, BulkPosition]:
        """Make a job. Its page is empty and lands at once, so that whoever goes on later waits for the same job."""
        answer, job = self._create()
        position = BulkPosition(job.id, job.created_time)
        return Page(_NOTHING, 0, self._token(position), server_time=answer.server_time), position

    def pages(self, position: BulkPosition) -> Iterator[Page]:
        """The rows from a position on, each page with its own token; then the list of what has changed meanwhile.

        Raises RateLimited while the job is not done: the task comes back for it.
        """
        readable = self._org.readable(self._module)
        convert = _Converter(readable, self._owners(readable))
        while True:
            job = self._finished(position.job)
            yield from self._rows(position, convert)
            result = job.result or _Result()
            if not result.more_records:
                return
            position = self._continued(position, result.next_page_token)
            yield Page(_NOTHING, 0, self._token(position))

    def _continued(self, position: BulkPosition, token: str | None) -> BulkPosition:
        if token is None:
            raise ProtocolError(f"Zoho's job {position.job} has more records and gives no token for them.")
        _, job = self._create(token)
        return BulkPosition(job.id, position.since)

    def _create(self, page_token: str | None = None) -> tuple[Answer, _Job]:
        fields = list(self._org.readable(self._module).names)
        query: dict[str, Any] = {"module": {"api_name": self._module.name}, "fields": ["id", *fields]}
        query |= {"page_token": page_token} if page_token else {"page": 1}
        answer = self._org.tell("POST", BULK, encode({"query": query, "file_type": "csv"}), cost=JOB_COST)
        found = decode(answer, _ADDITIONS).data
        if len(found) != 1 or not found[0].details.id or to_instant(found[0].details.created_time) is None:
            raise ProtocolError(f"Zoho made a Bulk Read job and does not name it: {excerpt(answer.body)}")
        return answer, found[0].details

    def _finished(self, job_id: str) -> _Job:
        for wait in (*_WAITS_S, None):
            (job,) = decode(self._org.ask(f"{BULK}/{job_id}"), _JOBS).data[:1] or [_Job()]
            if job.state == "COMPLETED":
                return job
            if job.state == "FAILURE":
                raise ProtocolError(f"Zoho could not carry out its Bulk Read job {job_id}. Run the sync again.")
            if wait is not None:
                self._org.transport.wait(wait)
        raise RateLimited(
            f"Zoho is still preparing {self._module.name} (Bulk Read job {job_id}, {job.state.lower()}). "
            "Nothing is lost: the same job is asked for again.",
            retry_after=_COME_BACK_S,
        )

    def _rows(self, position: BulkPosition, convert: _Converter) -> Iterator[Page]:
        """The pages of one finished job, from a row on."""
        path = f"{BULK}/{position.job}/result"
        until = self._window.until
        batch: list[dict[str, Any]] = []
        number = 0
        with self._org.transport.stream("GET", path, consume=_kept, most=MOST_BYTES, judge=judge) as packed:
            for number, record in enumerate(_records(packed, convert, path=path), start=1):
                if number <= position.row:
                    continue
                modified = to_instant(record.get("Modified_Time") or "") if until is not None else None
                if until is None or modified is None or modified < until:
                    batch.append(record)
                if number % ROWS_A_PAGE == 0:
                    yield self._page(batch, BulkPosition(position.job, position.since, number))
                    batch = []
            yield self._page(batch, BulkPosition(position.job, position.since, number))

    def _page(self, batch: list[dict[str, Any]], position: BulkPosition) -> Page:
        return Page(encode({"data": batch}), len(batch), self._token(position))

    def _owners(self, readable: Readable) -> Mapping[str, dict[str, Any]]:
        """The users that records may belong to, as lists show them: a CSV holds their ids alone."""
        if "ownerlookup" not in readable.types.values():
            return {}
        owners: dict[str, dict[str, Any]] = {}
        answer = self._org.ask(f"{API}/users", {"type": "AllUsers", "per_page": "200"})
        for user in [] if is_empty(answer) else decode(answer, _USERS).users:
            owners[str(user.get("id"))] = {
                "name": user.get("full_name"),
                "id": str(user.get("id")),
                "email": user.get("email"),
            }
        return owners


class _Converter:
    """Makes the cells of a row what they are in a list."""

    def __init__(self, readable: Readable, owners: Mapping[str, dict[str, Any]]) -> None:
        self._types = readable.types
        self._owners = owners

    def columns(self, header: Sequence[str]) -> tuple[list[str], list[tuple[int, Convert]]]:
        """The names of the columns, and what is to be converted where. Raises ProtocolError for a CSV without ids."""
        names = ["id" if name.lower() == "id" else name for name in header]
        if "id" not in names:
            raise ProtocolError(f"Zoho's Bulk Read has no column of ids: {', '.join(header)[:200]}")
        kinds = [(place, self._of(self._types.get(name, "text"))) for place, name in enumerate(names) if name != "id"]
        return names, [(place, convert) for place, convert in kinds if convert is not None]

    def _of(self, data_type: str) -> Convert | None:
        if data_type in _NUMBERS:
            return _number
        if data_type == "ownerlookup":
            return lambda cell: self._owners.get(cell, {"id": cell})
        if data_type in _LOOKUPS:
            return lambda cell: {"id": cell}
        if data_type == "boolean":
            return lambda cell: cell.lower() in ("true", "1")
        if data_type == "multiselectpicklist":
            return lambda cell: cell.split(";")
        return None


def _kept(_answer: Answer, pieces: Iterator[bytes]) -> IO[bytes]:
    """The archive as a file that nobody else sees and that goes when it is closed."""
    packed = TemporaryFile()  # noqa: SIM115  (whoever reads it closes it)
    try:
        for piece in pieces:
            packed.write(piece)
    except BaseException:
        packed.close()
        raise
    return packed


def _records(packed: IO[bytes], convert: _Converter, *, path: str) -> Iterator[dict[str, Any]]:
    """The records of a result, one by one: neither the archive nor its text is ever held. Raises ProtocolError."""
    try:
        with zipfile.ZipFile(packed) as archive:
            (name,) = archive.namelist()
            with archive.open(name) as unpacked, io.TextIOWrapper(unpacked, "utf-8", newline="") as text:
                rows = csv.reader(text)
                names, converts = convert.columns(next(rows, []))
                for row in rows:
                    yield _record(names, converts, row)
    except (zipfile.BadZipFile, zlib.error, ValueError, csv.Error, UnicodeDecodeError) as error:
        packed.seek(0)
        raise ProtocolError(
            f"Zoho's result at {path} is not a ZIP with one CSV ({error}). It begins: {excerpt(packed.read(1_000))}"
        ) from None


def _record(names: Sequence[str], converts: Sequence[tuple[int, Convert]], row: list[str]) -> dict[str, Any]:
    if len(row) != len(names):
        raise ValueError(f"a row of {len(row)} cells under {len(names)} names")
    values: list[Any] = [cell or None for cell in row]
    for place, convert in converts:
        if row[place]:
            values[place] = convert(row[place])
    return dict(zip(names, values, strict=True))


def _number(cell: str) -> Any:
    """A number with exactly its digits; text that is none stays text, and the mapping says so."""
    return msgspec.Raw(cell.encode()) if _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    digits = cell.removeprefix("-")
    whole, _, rest = digits.partition(".")
    plain = whole.isascii() and whole.isdigit() and (not whole.startswith("0") or whole == "0")
    return plain and (rest == "" if "." not in digits else rest.isascii() and rest.isdigit())
