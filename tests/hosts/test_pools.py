"""Pools of processes: their children end by SIGTERM, or in ways of their own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts.host import APPS, START_SECONDS, Host
from tests.waiting import wait_until

SEND = "from tasks import run, slow; [run.delay(number) for number in range(5)]; slow.delay()"


@pytest.mark.parametrize(("method", "where"), [("fork", "parent"), ("fork", "child"), ("spawn", "child")])
def test_a_pool_that_is_terminated_loses_nothing(method, where):
    """The children of multiprocessing.Pool deliver, whether terminate() ends them or they see its end first."""
    with Host("pool.py", METHOD=method, CONFIGURE=where) as host:
        assert set(json.loads(host.read_line())) <= {-signal.SIGTERM, 0}
        assert host.process.wait(60) == 0
        assert host.names() == ["run"] * 5


@pytest.mark.parametrize(
    ("where", "options"),
    [("import", ()), ("worker_process_init", ()), ("import", ("--max-tasks-per-child", "1"))],
    ids=["configured at the import", "configured in each child", "max-tasks-per-child"],
)
def test_a_celery_worker_loses_nothing(where, options, tmp_path):
    """The children of Celery's pool deliver when the worker is told to end, and when they are replaced."""
    (tmp_path / "control").mkdir()
    environment = {"FOLDER": str(tmp_path), "CONFIGURE": where}
    command = ("-m", "celery", "--app", "tasks", "worker", "--concurrency", "2", *options)
    with Host(*command, **environment) as host:
        subprocess.run([sys.executable, "-c", SEND], cwd=APPS, env={**os.environ, **environment}, check=True)
        wait_until(lambda: len(list(tmp_path.glob("ended-*"))) == 5, START_SECONDS)
        wait_until(lambda: Path(tmp_path, "begun").exists(), START_SECONDS)
        assert host.terminate() == 0
        assert host.names() == ["run"] * 5 + ["slow"]


@pytest.mark.parametrize(("method", "where"), [("fork", "parent"), ("fork", "child"), ("spawn", "child")])
def test_a_child_that_waits_for_a_semaphore_sees_the_signal(method, where):
    """A SIGTERM that doesn't wake a child's main thread, as just before a wait in C, ends it, and nothing is lost."""
    with Host("missed_signal.py", METHOD=method, CONFIGURE=where) as host:
        assert host.read_line() == str(-signal.SIGTERM)
        assert host.process.wait(60) == 0
        assert host.names() == ["run"]
