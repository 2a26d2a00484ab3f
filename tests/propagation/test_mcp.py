"""One trace across an MCP client and its server, with the SDK of each major version."""

import sys
from pathlib import Path

import pytest

from tests.hosts.host import Host
from tests.otlp_receivers import HttpReceiver
from tests.propagation.two_processes import PROGRAMS, below, ended, run

pytestmark = [pytest.mark.newest, pytest.mark.timeout(300)]

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "mcp_adapters.py")
# LangChain's adapters need an SDK before 2.0: `make .venv/.dev` puts both into a folder of their own.
BEFORE_2 = {"PYTHONPATH": str(Path(sys.prefix) / "mcp1")}

# A tool of LangChain's, the request of MCP's client, what its server makes of it, and the chain that the tool runs.
OF_A_CALL = [
    ("", "execute_tool weather"),
    ("execute_tool weather", "MCP send tools/call weather"),
    ("MCP send tools/call weather", "tools/call weather"),
    ("tools/call weather", "looked up"),
]


def below_here(spans):
    """Return what is below what in the traces that begin here."""
    return below([span for span in spans if span["trace_id"] != "1" * 32])


def test_over_pipes():
    """A request has W3C's headers unprefixed in its ``_meta``; what a server runs is below the tool that asked."""
    with HttpReceiver() as receiver:
        printed = run(receiver, "mcp_client.py", str(PROGRAMS / "mcp_server.py"))
        pairs = below_here(receiver.received())
    *two, of_elsewhere = (set(line.split()) for line in printed.splitlines())
    assert all({"baggage", "traceparent"} <= names for names in two)
    assert {"baggage", "traceparent", "tracestate"} <= of_elsewhere
    assert [pair for pair in pairs if pair in OF_A_CALL] == sorted(OF_A_CALL * 2)


def test_a_held_session_sends_under_the_tool_that_asked():
    """The HTTP requests of a session, which a task of its own sends, are below the tool whose call they carry."""
    with Host("mcp_server.py", folder=PROGRAMS) as host:
        host.wait_for_port()
        run(host.receiver, "mcp_client.py", f"http://127.0.0.1:{host.port}/mcp")
        pairs = below_here(ended(host))
    assert [pair for pair in pairs if pair in OF_A_CALL] == sorted(OF_A_CALL * 2)
    assert pairs.count(("MCP send tools/call weather", "POST")) == 2


UNDER_THE_TOOL = [("", "execute_tool weather"), ("execute_tool weather", "look up")]


def test_adapters_over_pipes():
    """With an older SDK and LangChain's adapters, a session of one's own sends the headers of the tool that asks."""
    with HttpReceiver() as receiver:
        assert run(receiver, EXAMPLE, **BEFORE_2) == "sunny in Oslo\nsunny in Rome\n"
        assert below(receiver.received()) == sorted(UNDER_THE_TOOL * 2)


def test_adapters_over_http():
    """With an older SDK the requests of a held session are under the tool that asked by a transport of one's own.

    Where the adapters open a session for each call, instrumented requests carry the trace by themselves.
    """
    with Host(EXAMPLE, "serve", "PORT", folder=PROGRAMS, **BEFORE_2) as host:
        host.wait_for_port()
        url = f"http://127.0.0.1:{host.port}/mcp"
        run(host.receiver, EXAMPLE, "ask", url, **BEFORE_2)
        held = below(host.receiver.received())
        run(host.receiver, "mcp_tools_of_adapters.py", url, **BEFORE_2)
        pairs = below(ended(host))
    requests = [("execute_tool weather", "POST")]
    assert [pair for pair in held if "weather" in str(pair)] == sorted((UNDER_THE_TOOL + requests) * 2)
    assert pairs.count(("POST", "look up")) == 2
    assert pairs.count(("", "execute_tool weather")) == 4
