"""The requests in a spool's file, within one transaction."""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from runspan.export.request import Request
from runspan.export.spool.database import PAGE_BYTES, DamagedError
from runspan.export.spool.owner import is_gone, this_process

# What a row needs besides the body, and what a page holds of a long one: https://www.sqlite.org/fileformat2.html
_ROW_BYTES = 512
_BYTES_IN_PAGE = PAGE_BYTES - 4
_PAGES_KEPT = 256

_FREE = "SELECT id, spans, bytes, put_at < ? FROM request WHERE id NOT IN (SELECT id FROM claim) ORDER BY id"
_FREE_OF_DESTINATION = (
    "SELECT id, bytes FROM request WHERE destination = ? AND id NOT IN (SELECT id FROM claim) ORDER BY id"
)
_INSERT = (
    "INSERT INTO request (destination, put_by, put_at, spans, shortened, bytes, checksum, body)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_COUNT = (
    "SELECT coalesce(sum(requests), 0), coalesce(sum(spans), 0) FROM total"
    " WHERE destination = ? AND (put_by = ? OR ? IS NULL)"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A request of the spool; ``id`` names it to ``done`` and ``give_back``."""

    id: int
    request: Request


def bytes_on_disk(request: Request) -> int:
    """Return how much of ``max_bytes`` a request takes: whole pages, so that the file does not outgrow it."""
    return -(-(len(request.body) + _ROW_BYTES) // _BYTES_IN_PAGE) * PAGE_BYTES


class Rows:
    """What is waiting, seen from one destination.

    Every number that is read is checked: where bytes of the file were overwritten, it may be anything.
    """

    def __init__(self, connection: sqlite3.Connection, destination: str, now: float) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._execute_many = connection.executemany
        self._destination = destination
        self._now = now

    def begin(self, lease: float, max_age: float) -> int:
        """End claims that hold no more and drop what is too old; return how many spans were."""
        # A claim of the future: the clock was set back.
        self._execute("DELETE FROM claim WHERE claimed_at NOT BETWEEN ? AND ?", (self._now - lease, self._now + lease))
        for (owner,) in self._execute("SELECT DISTINCT claimed_by FROM claim").fetchall():
            if is_gone(str(owner)):
                self._execute("DELETE FROM claim WHERE claimed_by = ?", (owner,))
        return self._drop(self._too_old(self._now - max_age))

    def put(self, requests: Iterable[Request], max_bytes: int) -> tuple[Sequence[Request], int]:
        """Store requests; return those for which there is no room, and how many spans were dropped for the others."""
        dropped, left = 0, []
        for request in requests:
            oldest = self._in_the_way(bytes_on_disk(request), max_bytes)
            if oldest is None:
                left.append(request)
            else:
                dropped += self._drop(oldest)
                self._insert(request)
        return tuple(left), dropped

    def take(self, most_bytes: int) -> Sequence[Stored]:
        """Claim the oldest requests that are free."""
        ids = list(self._oldest(most_bytes))
        claim = (this_process.name, self._now)
        self._execute_many("INSERT INTO claim VALUES (?, ?, ?)", [(number, *claim) for number in ids])
        return tuple(Stored(number, self._read(number)) for number in ids)

    def give_back(self, ids: Iterable[int]) -> None:
        """End claims of this process."""
        claims = [(number, this_process.name) for number in ids]
        self._execute_many("DELETE FROM claim WHERE id = ? AND claimed_by = ?", claims)

    def delete(self, ids: Iterable[int]) -> None:
        """Delete requests."""
        self._execute_many("DELETE FROM request WHERE id = ?", [(number,) for number in ids])

    def shrink(self) -> None:
        """Give the disk back what the file took, once nothing is in it."""
        if self._execute("SELECT 1 FROM request").fetchone():
            return
        self._execute("DELETE FROM total")  # in case they were wrong
        self._execute("DELETE FROM claim")
        if _number(self._execute("PRAGMA page_count").fetchone()[0]) > _PAGES_KEPT:
            self._connection.executescript("VACUUM; BEGIN")  # ends the transaction, for it can't be part of one

    def count(self, *, own: bool) -> tuple[int, int]:
        """Return how many requests and spans wait, claimed or not; ``own`` for those that this process has put."""
        owner = this_process.name if own else None
        requests, spans = self._execute(_COUNT, (self._destination, owner, owner)).fetchone()
        return _number(requests), _number(spans)

    def _too_old(self, limit: float) -> Iterator[tuple[int, int]]:
        for number, spans, _, old in self._execute(_FREE, (limit,)):
            if not old:
                return
            yield number, _number(spans)

    def _in_the_way(self, wanted: int, max_bytes: int) -> Sequence[tuple[int, int]] | None:
        """Return the oldest requests, without which so many bytes fit; None if they don't even then."""
        if wanted > max_bytes:
            return None
        (total,) = self._execute("SELECT coalesce(sum(bytes), 0) FROM total").fetchone()
        over = _number(total) + wanted - max_bytes
        oldest = []
        rows = self._execute(_FREE, (0,))
        while over > 0 and (row := rows.fetchone()):
            oldest.append((row[0], _number(row[1])))
            over -= _number(row[2])
        if over > 0 and not self._execute("SELECT 1 FROM claim").fetchone():
            raise DamagedError("its totals are wrong")
        return oldest if over <= 0 else None  # all else is on its way

    def _drop(self, rows: Iterable[tuple[int, int]]) -> int:
        rows = list(rows)
        self.delete(number for number, _ in rows)
        return sum(spans for _, spans in rows)

    def _insert(self, request: Request) -> None:
        about = (self._destination, this_process.name, self._now, request.spans, request.shortened)
        self._execute(_INSERT, (*about, bytes_on_disk(request), _checksum(request), request.body))

    def _oldest(self, most_bytes: int) -> Iterator[int]:
        is_first = True
        for number, size in self._execute(_FREE_OF_DESTINATION, (self._destination,)):
            most_bytes -= _number(size)
            if most_bytes < 0 and not is_first:
                return
            is_first = False
            yield number

    def _read(self, number: int) -> Request:
        query = "SELECT body, spans, shortened, checksum FROM request WHERE id = ?"
        body, spans, shortened, checksum = self._execute(query, (number,)).fetchone() or (None,) * 4
        if not isinstance(body, bytes):
            raise DamagedError("a request is not there")
        request = Request(body, _number(spans), _number(shortened))
        if _checksum(request) != checksum:
            raise DamagedError("a request was changed")
        return request


def _checksum(request: Request) -> int:
    return zlib.crc32(request.body, zlib.crc32(f"{request.spans} {request.shortened}".encode()))


def _number(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise DamagedError("a number in it is not one")
    return value
