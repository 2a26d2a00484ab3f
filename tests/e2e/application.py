"""Applications that send spans, as processes of their own."""

import sys
from pathlib import Path

from tests.e2e.program import ROOT, Program

APPLICATIONS = Path(__file__).parent / "applications"


class Application(Program):
    """A script of ``applications/``, or another one, with arguments and environment variables."""

    def __init__(self, folder, script, *arguments, **environment):
        path = APPLICATIONS / script
        super().__init__(
            [sys.executable, path, *arguments],
            log=folder / f"{path.stem}.log",
            PYTHONPATH=ROOT,
            **environment,
        )

    def printed(self):
        """Return what it has printed."""
        return self.log.read_text()


def run(folder, script, *arguments, timeout=60, **environment):
    """Run an application to its end, and return what it printed."""
    with Application(folder, script, *arguments, **environment) as application:
        code = application.wait(timeout)
        assert code == 0, f"{application} ended with {code}:\n{application.last_words()}"
        return application.printed()
