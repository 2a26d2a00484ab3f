"""Requests on disk until they are delivered, shared by several processes.

What is put there survives ``kill -9`` at once, and the loss of power as far as the disk keeps what it said is written.

The file holds prompts. It and what SQLite puts beside it are readable by its user only; what is delivered is
overwritten with zeros, and the file shrinks when it is empty.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import pydantic
from pydantic import Field

from runspan.export.request import Request
from runspan.export.spool.database import Database, UnusableError
from runspan.export.spool.rows import Rows, Stored

_T = TypeVar("_T")

_LEASE_SECONDS = 60.0
_NO_ROOM = "{} of the requests can't be made room for in max_bytes ({:,}), unless others go first. Raise it."

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@pydantic.dataclasses.dataclass(frozen=True)
class Spool:
    """Where requests wait on disk, and how long.

    Args:
        path: A file on a local disk; its folder is made if it is missing. Several processes may share it.
        durability: ``on-failure`` puts there what can't be delivered; ``write-ahead`` everything, before it is sent.
        interval: With ``write-ahead``, after how many seconds: what ``kill -9`` may lose.
        max_bytes: How large the file may become; then the oldest spans are dropped.
        max_age: After how many seconds spans are dropped.
    """

    path: str | os.PathLike[str]
    durability: Literal["on-failure", "write-ahead"] = "on-failure"
    interval: _Positive = 0.5
    max_bytes: Annotated[int, Field(gt=0)] = 1024**3
    max_age: _Positive = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Told:
    """What else happened at a call.

    Args:
        dropped_for_room: How many spans were dropped to make room, oldest first, whoever had put them.
        dropped_for_age: How many were dropped since they were there for too long.
        reason: Why the spool could not be used, with what helps; empty if it could.
        set_aside: That a damaged file was set aside, for the log; empty if none was since the last call.
    """

    dropped_for_room: int = 0
    dropped_for_age: int = 0
    reason: str = ""
    set_aside: str = ""


@dataclass(frozen=True, slots=True)
class Put(Told):
    """The requests that could not be stored; all others are."""

    left: Sequence[Request] = field(default=())


@dataclass(frozen=True, slots=True)
class Taken(Told):
    """The requests that the caller has now, and nobody else."""

    stored: Sequence[Stored] = field(default=())


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much is in the spool, claimed or not."""

    requests: int = 0
    spans: int = 0


class SpoolFile:
    """The requests to one destination in a file; never raises because of that file, never waits for long.

    A request that was taken is claimed: no other process gets it until it is given back, the process that took it has
    ended, or the lease is over. So each request is sent at least once, and twice only after a crash or a send that took
    longer than the lease.

    May be used by any thread; a forked child may go on using it. There is nothing to close.

    Args:
        spool: The user's settings.
        destination: The endpoint, without credentials.
        lease: For how many seconds a claim holds.
        clock: Tells the time in seconds, for all processes the same.
    """

    def __init__(
        self,
        spool: Spool,
        destination: str,
        *,
        lease: float = _LEASE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._spool = spool
        self._destination = destination
        self._lease = lease
        self._clock = clock
        self._database = Database(Path(os.path.realpath(Path(spool.path).expanduser())))
        self._delivered: set[int] = set()

    def put(self, requests: Sequence[Request]) -> Put:
        """Store requests, the oldest first; without any it tells whether the spool can be used."""

        def store(rows: Rows) -> Put:
            too_old = rows.begin(self._lease, self._spool.max_age)
            left, dropped = rows.put(requests, self._spool.max_bytes)
            reason = _NO_ROOM.format(len(left), self._spool.max_bytes) if left else ""
            return Put(dropped_for_room=dropped, dropped_for_age=too_old, left=left, reason=reason)

        try:
            put = self._run(store)
        except UnusableError as error:
            put = Put(left=tuple(requests), reason=str(error))
        return replace(put, set_aside=self._database.told())

    def take(self, most_bytes: int) -> Taken:
        """Claim the oldest requests that are free: as many as fit, measured on disk, at least one."""

        def claim(rows: Rows) -> Taken:
            too_old = rows.begin(self._lease, self._spool.max_age)
            return Taken(dropped_for_age=too_old, stored=rows.take(most_bytes))

        try:
            taken = self._run(claim) if self._database.exists() else Taken()
        except UnusableError as error:
            taken = Taken(reason=str(error))
        return replace(taken, set_aside=self._database.told())

    def done(self, ids: Iterable[int]) -> None:
        """Delete requests that were delivered or refused; what can't be deleted now is deleted at the next call."""
        self._delivered.update(ids)
        self._try(Rows.shrink)

    def give_back(self, ids: Iterable[int]) -> None:
        """Let go of requests that were not delivered."""
        self._try(lambda rows: rows.give_back(ids))

    def waiting(self, *, own: bool = False) -> Waiting | None:
        """Count what waits for this destination, or only what this process has put; None if that can't be read."""
        try:
            return Waiting(*self._run(lambda rows: rows.count(own=own))) if self._database.exists() else Waiting()
        except UnusableError:
            return None

    def _try(self, work: Callable[[Rows], None]) -> None:
        try:
            if self._database.exists():
                self._run(work)
        except UnusableError:  # the next put or take says why
            return

    def _run(self, work: Callable[[Rows], _T]) -> _T:
        delivered = tuple(self._delivered)

        def work_after_done(connection: sqlite3.Connection) -> _T:
            rows = Rows(connection, self._destination, self._clock())
            rows.delete(delivered)
            return work(rows)

        result = self._database.run(work_after_done)
        self._delivered.difference_update(delivered)
        return result
