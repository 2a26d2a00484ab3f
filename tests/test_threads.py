"""Our own locks and flags, where nothing is patched; tests/hosts shows them where gevent has."""

import math
import threading

from runspan._threads import Event, PatientLock, start_thread
from tests.waiting import wait_until


def test_a_flag_lets_go_of_all_who_wait():
    """All who wait for an event learn that it was set, also twice; who gave up before learns that it was not."""
    event, waited = Event(), []
    assert event.wait(0.001) is False
    for _ in range(5):
        threading.Thread(target=lambda: waited.append(event.wait(math.inf))).start()
    event.set()
    event.set()
    wait_until(lambda: waited == [True] * 5)
    assert event.is_set()
    assert event.wait(0) is True


def test_a_lock_is_waited_for_no_longer_than_asked():
    """A lock that another holds is not had in time; once it is free it is."""
    lock = PatientLock()
    with lock:
        assert lock.locked()
        assert lock.acquire(0) is False
        assert lock.acquire(0.001) is False
    assert not lock.locked()
    assert lock.acquire(math.inf) is True


def test_a_thread_without_a_name_leaves_nothing():
    """Threads that end soon are not listed afterwards, whatever version of Python."""
    before, ended = threading.enumerate(), []
    for _ in range(20):
        start_thread(lambda: ended.append(threading.get_ident()))
    wait_until(lambda: len(ended) == 20)
    assert set(threading.enumerate()) <= set(before)
