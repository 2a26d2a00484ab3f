"""Web servers that SIGTERM ends, as at each deployment: no span may be lost, and the exit status is as without us."""

import signal

import pytest

from tests.hosts.host import Host

UVICORN = ("-m", "uvicorn", "asgi:app", "--port", "PORT")
GUNICORN = ("-m", "gunicorn", "--bind", "127.0.0.1:PORT", "--worker-class")
UVICORN_WORKER = (*GUNICORN, "uvicorn_worker.UvicornWorker", "asgi:app")
KILLED = -signal.SIGTERM

# The command, where the application calls configure(), and the exit status, which is the same with sigterm=False.
GRACEFUL = {
    "uvicorn": (UVICORN, "import", KILLED),
    "uvicorn --workers 2": ((*UVICORN, "--workers", "2"), "import", 0),
    "uvicorn --reload": ((*UVICORN, "--reload"), "import", 0),
    "uvicorn, lifespan": (UVICORN, "lifespan", KILLED),
    "uvicorn, another thread": (UVICORN, "thread", KILLED),
    "uvicorn.run": (("asgi.py",), "import", KILLED),
    "UvicornWorker": (UVICORN_WORKER, "import", 0),
    "UvicornWorker --preload": ((*UVICORN_WORKER, "--preload"), "import", 0),
    "UvicornWorker, post_fork": ((*UVICORN_WORKER, "--config", "post_fork.py"), "post_fork", 0),
    "gunicorn sync": ((*GUNICORN, "sync", "wsgi:app"), "import", 0),
    "gunicorn gthread": ((*GUNICORN, "gthread", "--threads", "4", "wsgi:app"), "import", 0),
    "hypercorn": (("-m", "hypercorn", "--bind", "127.0.0.1:PORT", "asgi:app"), "import", 0),
    "granian": (("-m", "granian", "--interface", "asgi", "--port", "PORT", "asgi:app"), "import", 0),
}


@pytest.mark.parametrize(("command", "where", "status"), GRACEFUL.values(), ids=GRACEFUL)
def test_a_graceful_shutdown_loses_nothing(command, where, status):
    """What ended before the signal arrives, and so does the request that the server completes after it."""
    with Host(*command, CONFIGURE=where) as host:
        host.wait_for_port()
        for _ in range(5):
            host.get().read()
        slow = host.get("/slow")
        assert host.terminate() == status
        assert slow.read() == b""
        assert host.names() == ["run"] * 5 + ["slow"]


@pytest.mark.parametrize("block", ["with", "async with"])
def test_an_application_may_shut_down_by_itself(block):
    """A block in the lifespan delivers without any handler of signals."""
    with Host(*UVICORN, CONFIGURE=block) as host:
        host.wait_for_port()
        for _ in range(5):
            host.get().read()
        slow = host.get("/slow")
        assert host.terminate() == KILLED
        assert slow.read() == b""
        assert host.names() == ["run"] * 5 + ["slow"]


@pytest.mark.parametrize("where", ["import", "lifespan", "async with"])
def test_what_a_server_cancels_at_its_end_arrives(where):
    """A request that takes longer than a graceful shutdown may ends as it is cancelled, and is delivered."""
    with Host(*UVICORN, "--timeout-graceful-shutdown", "1", CONFIGURE=where, SLOW_SECONDS="600") as host:
        host.wait_for_port()
        host.get().read()
        host.get("/slow")
        assert host.terminate() == KILLED
        assert host.names() == ["run", "slow"]


@pytest.mark.parametrize("command", [UVICORN, (*UVICORN_WORKER, "--preload")], ids=["uvicorn", "UvicornWorker"])
def test_spans_may_be_in_threads_alone(command):
    """Where no span ever starts in the main thread, as with FastAPI's ``def`` endpoints, nothing is lost either."""
    with Host(*command, CONFIGURE="thread", SPANS="in threads") as host:
        host.wait_for_port()
        for _ in range(5):
            host.get().read()
        slow = host.get("/slow")
        assert host.terminate() in (KILLED, 0)
        assert slow.read() == b""
        assert host.names() == ["run"] * 5 + ["slow"]


@pytest.mark.parametrize(
    ("command", "where", "status"),
    [(UVICORN, "import", KILLED), (UVICORN, "lifespan", KILLED), ((*UVICORN, "--workers", "2"), "import", 0)],
    ids=["uvicorn", "uvicorn, lifespan", "uvicorn --workers 2"],
)
def test_a_thread_that_goes_on_does_not_hold_up_the_end(command, where, status):
    """A server that raises the signal again ends at once, though a request that it gave up still has a thread."""
    graceful = ("--timeout-graceful-shutdown", "1")
    with Host(*command, *graceful, CONFIGURE=where, SPANS="in threads", SLOW_SECONDS="600") as host:
        host.wait_for_port()
        for _ in range(5):
            host.get().read()
        host.get("/slow")
        assert host.terminate() == status
        assert host.names() == ["run"] * 5


def test_a_worker_that_gunicorn_aborts_may_deliver():
    """With a hook of gunicorn's, what had ended in a worker whose request takes too long arrives."""
    with Host(
        *GUNICORN, "sync", "--timeout", "2", "--config", "worker_abort.py", "wsgi:app", SLOW_SECONDS="60"
    ) as host:
        host.wait_for_port()
        for _ in range(5):
            host.get().read()
        host.get("/slow")
        host.receiver.wait_for(5, timeout=60)
        assert host.names() == ["run"] * 5


def test_flask_run_loses_nothing_that_has_ended():
    """Flask's server has no graceful shutdown: what ended before the signal arrives."""
    with Host("-m", "flask", "--app", "wsgi", "run", "--port", "PORT") as host:
        host.wait_for_port()
        for _ in range(5):
            host.get().read()
        host.get("/slow")
        assert host.terminate() == KILLED
        assert host.names() == ["run"] * 5
