"""`docker compose up` with the user's own docker-compose.yml, on a real engine."""

import json
import re

import pytest

from e2e.backends import StepError
from e2e.engine import engine
from tests.e2e.application import run
from tests.e2e.jaeger import Jaeger
from tests.e2e.program import ROOT, free_addresses
from tests.test_example import tree

pytestmark = pytest.mark.timeout(300)
TREE = {
    "RunnableSequence": {
        "ChatPromptTemplate": {},
        "chat claude-3-sonnet-20240229": {"anthropic.messages.create": {"POST": {}}},
    }
}


class Project:
    """The services of docker-compose.yml as a project of this test's, with ports that are free."""

    def __init__(self, docker, folder):
        self.docker, self.folder = docker, folder
        ports = [address.rpartition(":")[2] for address in free_addresses(3)]
        self.ports = dict(zip(("JAEGER_UI_PORT", "OTLP_GRPC_PORT", "OTLP_HTTP_PORT"), ports, strict=True))
        self.jaeger = Jaeger(folder)  # not started: it reads what the one of the project has
        self.jaeger.api = f"http://127.0.0.1:{self.ports['JAEGER_UI_PORT']}/api/v3"

    def compose(self, *command, **environment):
        return self.docker.run_compose(*command, COMPOSE_PROJECT_NAME="runspan-e2e", **self.ports, **environment)

    def services(self):
        """Return the services that run, with their health and where they are published."""
        lines = self.compose("ps", "--format", "json").splitlines()
        return {
            each["Service"]: (
                each["Health"],
                sorted(
                    {(port["URL"], port["TargetPort"]) for port in each["Publishers"] or [] if port["PublishedPort"]}
                ),
            )
            for each in map(json.loads, lines)
        }

    def send(self):
        """Run the seed program, and return the id of its trace."""
        endpoint = f"http://127.0.0.1:{self.ports['OTLP_HTTP_PORT']}"
        example = ROOT / "examples" / "callbacks_at_runtime.py"
        printed = run(self.folder, example, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        (trace_id,) = re.findall(r"^trace ([0-9a-f]{32})$", printed, re.MULTILINE)
        return trace_id

    def left(self):
        """Return what there is of the project: containers, volumes, networks."""
        of_project = "--filter=label=com.docker.compose.project=runspan-e2e"
        return [
            self.docker.run(*command, of_project, "--quiet").split()
            for command in (("ps", "--all"), ("volume", "ls"), ("network", "ls"))
        ]


@pytest.fixture(scope="module")
def docker():
    with engine() as running:
        yield running


@pytest.fixture
def project(docker, tmp_path):
    project = Project(docker, tmp_path)
    try:
        yield project
    except StepError:
        print(project.compose("logs", "--tail", "40"))
        raise
    finally:
        project.compose("--profile", "*", "down", "--volumes", "--timeout", "5")


def test_up_send_look_down(project):
    """Healthy at once, on loopback only; the seed program's trace is in Jaeger, whole; `down` leaves nothing."""
    project.compose("up", "--detach", "--wait")
    assert project.services() == {
        "collector-ready": ("healthy", []),
        "jaeger": ("healthy", [("127.0.0.1", 16686)]),
        "otel-collector": ("", [("127.0.0.1", 4317), ("127.0.0.1", 4318)]),
    }
    assert tree(project.jaeger.wait_for_spans(project.send(), 5)) == TREE
    project.compose("down", "--volumes")
    assert project.left() == [[], [], []]


def test_the_queue_outlives_the_collector(project):
    """With Jaeger stopped the Collector keeps a trace on its volume, is killed, and delivers it when both are back."""
    project.compose("up", "--detach", "--wait")
    project.compose("stop", "jaeger")
    trace_id = project.send()
    project.compose("kill", "otel-collector")
    project.compose("up", "--detach", "--wait")
    assert tree(project.jaeger.wait_for_spans(trace_id, 5, seconds=60)) == TREE


def test_jaeger_on_a_volume_keeps_traces(project):
    """With JAEGER_STORAGE=badger a trace is there after `down` and `up`."""
    project.compose("up", "--detach", "--wait", JAEGER_STORAGE="badger")
    trace_id = project.send()
    project.jaeger.wait_for_spans(trace_id, 5)
    project.compose("down")
    project.compose("up", "--detach", "--wait", JAEGER_STORAGE="badger")
    assert tree(project.jaeger.spans(trace_id)) == TREE


def test_the_profile_sampling_keeps_what_is_asked_for(project):
    """With a share of 100 percent the sampling Collector passes the trace on, as soon as it has waited."""
    environment = {"OTEL_BACKEND": "sampler", "SAMPLING_PERCENT": "100", "SAMPLING_WAIT": "1s"}
    project.compose("--profile", "sampling", "up", "--detach", "--wait", **environment)
    assert tree(project.jaeger.wait_for_spans(project.send(), 5)) == TREE
