"""Has providers and span processors deliver, in bounded time."""

import threading
import time
from collections.abc import Sequence

from runspan._guard import attempt
from runspan.arguments import checked_seconds


def flush(flushable: Sequence[object], timeout: float) -> bool:
    """Call ``force_flush`` of each, at once; True if all say in time that all is delivered.

    In threads, since not every processor keeps to its timeout; what has no ``force_flush`` delivers nothing.
    """
    timeout = checked_seconds("timeout", timeout)
    deadline = time.monotonic() + timeout
    delivered: list[bool] = []

    def work(each: object) -> None:
        delivered.append(attempt(getattr(each, "force_flush", _nothing), int(timeout * 1000), default=False))

    threads = [threading.Thread(target=work, args=(each,), name="runspan-flush", daemon=True) for each in flushable]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
    return len(delivered) == len(threads) and all(delivered)


def _nothing(_: int) -> bool:
    return False
