"""What is alive in this process, by type: classes, functions and everything else that the garbage collector knows."""

import functools
import gc
import time
import uuid
from collections import Counter

_bounded_caches: list = []


def set_aside() -> None:
    """Take what is alive now out of all collections and counts: modules and the tests themselves, which stay anyway.

    A collection that looks at what came since alone is many times faster.
    """
    gc.collect()
    _bounded_caches.extend(_bounded_caches_now())
    gc.freeze()


def live_objects(seconds: float = 10) -> Counter[str]:
    """Count by the name of their type all objects that are alive and not set aside.

    All garbage is collected first, and other threads are at rest.
    """
    deadline = time.monotonic() + seconds
    before, now = None, _counted()
    while now != before and time.monotonic() < deadline:
        time.sleep(0.02)  # a worker may be in the middle of something
        before, now = now, _counted()
    return now


def growth(
    before: Counter[str], after: Counter[str], *, share: float = 0, slack: int = 0
) -> dict[str, tuple[int, int]]:
    """Return the counts of the types that have grown by more than a share of what they were, and some objects."""
    return {kind: (before[kind], count) for kind, count in after.items() if count > before[kind] * (1 + share) + slack}


def fill_the_memory_of_runs(handler) -> None:
    """Start as many runs as are remembered, so that no further ones add to them."""
    for _ in range(4096):
        run_id = uuid.uuid4()
        handler.on_chain_start(None, {}, run_id=run_id)
        handler.on_chain_end({}, run_id=run_id)


def _counted() -> Counter[str]:
    # Python 3.13 remembers the last 128 classes that it has looked into for a protocol.
    for each in [*_bounded_caches, *_bounded_caches_now()]:
        each.cache_clear()
    while gc.collect():
        pass
    return Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())


def _bounded_caches_now() -> list:
    return [
        each
        for each in gc.get_objects()
        if isinstance(each, functools._lru_cache_wrapper) and each.cache_parameters()["maxsize"] is not None
    ]
