"""A graph under the real ``langgraph dev``, called by RemoteGraph: `make langgraph-dev` brings that server."""

import shutil
from pathlib import Path

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.pregel.remote import RemoteGraph
from langgraph_sdk import get_sync_client

import runspan
from tests.hosts.host import Host
from tests.tracing import Tracing

APP = Path(__file__).parent / "app"
PYTHON = Path(__file__).parents[2] / ".venv-langgraph-dev" / "bin" / "python"
QUESTION = {"messages": [("user", "hello")]}


@pytest.fixture
def server(monkeypatch, tmp_path):
    """The server, which writes into its folder."""
    folder = shutil.copytree(APP, tmp_path / "app")
    monkeypatch.setattr("sys.executable", str(PYTHON))
    command = ("-m", "langgraph_cli", "dev", "--no-browser", "--no-reload", "--port", "PORT")
    with Host(*command, folder=folder, LANGSMITH_TRACING="false", LANGGRAPH_CLI_NO_ANALYTICS="1") as host:
        host.wait_for_port()
        yield host


def test_a_graph_has_its_handler_and_goes_on_with_a_trace(server):
    """A graph with a handler of its own is traced; one that extracts the headers of its call is below the caller."""
    caller = Tracing()
    with get_sync_client(url=f"http://127.0.0.1:{server.port}") as client:

        def ask(name):
            return RemoteGraph(name, sync_client=client).invoke(QUESTION, headers=runspan.inject({}))

        for name in ("plain", "below"):
            answer = RunnableLambda(ask, name="asking").invoke(name, caller.config)
            assert answer["messages"][-1]["content"] == "hi"
    _, asking = caller.spans
    server.terminate()
    spans = {span["name"]: span for span in server.receiver.received()}
    assert spans["invoke_workflow plain"]["parent_span_id"] == ""
    assert spans["invoke_workflow below"]["parent_span_id"] == f"{asking.context.span_id:016x}"
    assert spans["invoke_workflow below"]["trace_id"] == f"{asking.context.trace_id:032x}"
