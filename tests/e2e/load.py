"""An application that ends many spans at a steady pace, and what became of them."""

import json
from collections import defaultdict

from tests.e2e.application import Application


class Load:
    """An application that ends spans, each noted in a file when it has ended.

    Args:
        folder: where its files are.
        name: what log lines and files call it.
        endpoint: where it sends.
        spans: how many it ends.
        pace: how many a second.
        in_a_trace: how many a trace has.
        environment: variables.
    """

    def __init__(self, folder, name, endpoint, *, spans, pace, in_a_trace=1_000, **environment):
        self.name = name
        self._record = folder / f"{name}.txt"
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
        self.program = Application(folder, "steady.py", spans, pace, self._record, in_a_trace, **environment)
        self.program.log = folder / f"application of {name}.log"

    def ended(self):
        """Return the ids of the spans that have ended, by the ids of their traces."""
        traces = defaultdict(set)
        text = self._record.read_text() if self._record.exists() else ""
        for line in text.splitlines()[: text.count("\n")]:
            trace_id, span_id = line.split()
            traces[trace_id].add(span_id)
        return traces

    def count(self):
        """Return how many spans have ended."""
        return sum(map(len, self.ended().values()))

    def stats(self, timeout):
        """Return what it printed at its end."""
        code = self.program.wait(timeout)
        assert code == 0, f"{self.name} ended with {code}:\n{self.program.last_words()}"
        return json.loads(self.program.last_words(1))
