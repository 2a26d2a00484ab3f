"""Turns of workers, and in which lane each waits: a receiver that doesn't answer must not take all the workers."""

import time
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

# Told whether it is too late to try, tells whether the receiver has answered; None if it was not asked.
Take = Callable[[bool], bool | None]

_FAILING = "all that fail"
# What waited longer than this for a receiver that fails is given up, so that it can't pile up in memory.
LONGEST_WAIT_SECONDS = 30.0
_DESTINATIONS_REMEMBERED = 10_000


@dataclass(slots=True, order=True)
class Turn:
    """A call that a worker makes, at the earliest when it is due."""

    due: float
    number: int
    take: Take | None = field(compare=False)
    destination: str | None = field(compare=False)
    lane: str | None = field(default=None, compare=False)
    called: bool = field(default=False, compare=False)
    late: bool = field(default=False, compare=False)
    answered: bool | None = field(default=None, compare=False)
    over: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """Let go of what was to be called; the place in the row of turns stays."""
        self.take = None

    def renew(self, take: Take) -> bool:
        """Use the place again; False if its time has come already."""
        self.take = take
        return not self.called


class Lanes:
    """Decide which turn may begin; the worker that leads uses it, no lock is needed.

    A receiver that answered last time may have all workers. A new one may have as many as a lane is wide. All those
    that failed last time share one lane.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._answered: OrderedDict[str, bool] = OrderedDict()
        self._taken: Counter[str] = Counter()
        self._waiting: defaultdict[str, deque[Turn]] = defaultdict(deque)
        self._with_room: deque[str] = deque()

    def enter(self, turn: Turn) -> bool:
        """Tell whether the turn may begin now; if not, it waits in its lane."""
        lane = self._lane_of(turn)
        turn.late = lane == _FAILING and time.monotonic() - turn.due > LONGEST_WAIT_SECONDS
        if lane is None or turn.late:
            return True
        if self._taken[lane] >= self._width:
            self._waiting[lane].append(turn)
            return False
        turn.lane = lane
        self._taken[lane] += 1
        return True

    def leave(self, turn: Turn) -> None:
        """Note what a turn that is over has shown, and make room for the next."""
        if turn.destination is not None and turn.answered is not None:
            self._remember(turn.destination, answered=turn.answered)
        if turn.lane is not None:
            self._taken[turn.lane] -= 1
            self._with_room.append(turn.lane)

    def has_released(self) -> bool:
        """Tell whether ``released`` may have a turn."""
        return bool(self._with_room)

    def released(self) -> Turn | None:
        """Return a turn that waited and may try to enter again."""
        while self._with_room:
            lane = self._with_room[0]
            if self._taken[lane] < self._width and self._waiting[lane]:
                return self._waiting[lane].popleft()
            self._with_room.popleft()
            self._forget_if_empty(lane)
        return None

    def _lane_of(self, turn: Turn) -> str | None:
        if turn.destination is None:
            return None
        answered = self._answered.get(turn.destination)
        if answered is None:
            return f"to {turn.destination}"
        return None if answered else _FAILING

    def _remember(self, destination: str, *, answered: bool) -> None:
        self._answered[destination] = answered
        self._answered.move_to_end(destination)
        if len(self._answered) > _DESTINATIONS_REMEMBERED:
            self._answered.popitem(last=False)

    def _forget_if_empty(self, lane: str) -> None:
        if not self._taken[lane]:
            del self._taken[lane]
        if not self._waiting[lane]:
            del self._waiting[lane]
