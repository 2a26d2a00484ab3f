"""``runspan ui`` as a process, on ports of its own."""

import http.client
import json
import socket
import subprocess
import sys
from contextlib import closing

from runspan.recording.otlp_json import otlp_request


def free_port():
    """Return a port that nobody has."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Ui:
    """The running command."""

    def __init__(self, store, *options):
        self.port, self.grpc_port = free_port(), free_port()
        ports = ["--port", str(self.port), "--grpc-port", str(self.grpc_port)]
        command = [sys.executable, "-m", "runspan.cli", "ui", "--store", str(store), *ports, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = self.process.stdout.readline()

    def ask(self, method, path, body=None, **headers):
        """Return status and body of an answer; a header may be given as ``content_type``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def send(self, spans):
        """Send spans as an exporter does."""
        body = otlp_request(spans).SerializeToString()
        assert self.ask("POST", "/v1/traces", body, content_type="application/x-protobuf")[0] == 200

    def summaries(self):
        return json.loads(self.ask("GET", "/api/traces")[1])

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()
