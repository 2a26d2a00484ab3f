"""Delivery where gevent or eventlet has patched the standard library: before us, after us, after the first spans."""

import json

import pytest

from tests.export import clients
from tests.hosts.processes import run_program
from tests.otlp_receivers import GrpcReceiver, HttpReceiver

certificates, trusted = clients.certificates, clients.trusted  # fixtures
ORDERS = ("patched first", "imported first", "delivered first")
# Arguments: the host, the order, those of configure(), and whether gRPC is told of gevent.
PROGRAM = """
import json, sys, warnings

warnings.simplefilter("ignore")
host, order, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

def patch():
    if host == "gevent":
        from gevent import monkey
        monkey.patch_all()
    else:
        import eventlet
        eventlet.monkey_patch()

if order == "patched first":
    patch()

import time
from langchain_core.runnables import RunnableLambda
from opentelemetry import trace
import runspan

handle = runspan.configure(**options)
tracer = trace.get_tracer("test")
config = {"callbacks": [runspan.OpenTelemetryCallbackHandler()]}

def run(number):
    with tracer.start_as_current_span(f"request {number}"):
        return RunnableLambda(lambda x: time.sleep(0.01) or x).invoke(number, config)

if order == "delivered first":
    for number in (8, 9):  # the second by a connection that is kept
        run(number)
        assert handle.force_flush(30)
if order != "patched first":
    patch()
if host == "gevent" and sys.argv[4:]:
    import grpc.experimental.gevent
    grpc.experimental.gevent.init_gevent()

def in_greenlets(function, *arguments):
    if host == "gevent":
        import gevent
        return gevent.joinall([gevent.spawn(function, each) for each in arguments])
    import eventlet
    return list(eventlet.GreenPool().imap(function, arguments))

in_greenlets(run, 1, 2, 3)
assert handle.force_flush(30), handle.stats()
in_greenlets(run, 4)
"""


def deliver(host, order, receiver, *more, **options):
    """Run the program; return what arrived as pairs of names, of a span and of its parent."""
    run_program(PROGRAM, host, order, json.dumps({"endpoint": receiver.endpoint, **options}), *more)
    spans = receiver.received()
    names = {span["span_id"]: span["name"] for span in spans}
    return sorted((span["name"], names.get(span["parent_span_id"], "")) for span in spans)


def sent(order):
    """Return what the program sends."""
    requests = [f"request {number}" for number in (1, 2, 3, 4, *((8, 9) if order == "delivered first" else ()))]
    return [("RunnableLambda", name) for name in requests] + [(name, "") for name in requests]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("protocol", "receiver_of"), [("http/protobuf", HttpReceiver), ("grpc", GrpcReceiver)])
def test_gevent_hinders_no_delivery(order, protocol, receiver_of):
    """Whenever gevent patches, spans of greenlets arrive as whole trees, a flush is true, and so is the end."""
    with receiver_of() as receiver:
        assert deliver("gevent", order, receiver, protocol=protocol) == sent(order)


@pytest.mark.parametrize("order", ORDERS)
def test_grpc_may_know_of_gevent(order):
    """An application that uses gRPC itself makes it wait by gevent; ours is delivered all the same."""
    with GrpcReceiver() as receiver:
        assert deliver("gevent", order, receiver, "init_gevent", protocol="grpc") == sent(order)


@pytest.mark.parametrize("order", ORDERS)
def test_gevent_hinders_no_delivery_over_tls(order, trusted):
    """The same with TLS, whose classes gevent replaces."""
    with HttpReceiver(tls=trusted.server_context()) as receiver:
        assert deliver("gevent", order, receiver) == sent(order)


@pytest.mark.parametrize(
    ("order", "protocol", "receiver_of"),
    [
        ("patched first", "http/protobuf", HttpReceiver),
        ("imported first", "grpc", GrpcReceiver),
        ("delivered first", "http/protobuf", HttpReceiver),
        ("delivered first", "grpc", GrpcReceiver),
    ],
)
def test_gevent_hinders_no_spool(order, protocol, receiver_of, tmp_path):
    """The same by the disk, in every order and over both protocols."""
    with receiver_of() as receiver:
        spool = str(tmp_path / "spool")
        assert deliver("gevent", order, receiver, protocol=protocol, spool=spool, durability="write-ahead") == sent(
            order
        )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("protocol", "receiver_of"), [("http/protobuf", HttpReceiver), ("grpc", GrpcReceiver)])
def test_eventlet_hinders_no_delivery(order, protocol, receiver_of):
    """The same under eventlet."""
    with receiver_of() as receiver:
        assert deliver("eventlet", order, receiver, protocol=protocol) == sent(order)


IN_ONE_HUB = """
import sys
if sys.argv[1] == "patched first":
    from gevent import monkey; monkey.patch_all()
from opentelemetry.sdk.trace import TracerProvider
import runspan
from gevent import monkey; monkey.patch_all()
import gevent
from gevent.pywsgi import WSGIServer

def answer(environ, start_response):
    environ["wsgi.input"].read()
    gevent.sleep(0.1)
    start_response("200 OK", [("Content-Type", "application/x-protobuf")])
    return [b""]

server = WSGIServer(("127.0.0.1", 0), answer, log=None)
server.start()
handle = runspan.configure(endpoint=f"http://127.0.0.1:{server.server_port}")
tracer = handle.tracer_provider.get_tracer("test")
tracer.start_span("flushed").end()
assert handle.force_flush(30)
tracer.start_span("left").end()
handle.shutdown(30)
print(handle.stats().sent)
"""


@pytest.mark.parametrize("order", ["patched first", "imported first"])
def test_who_waits_for_a_delivery_lets_other_greenlets_run(order):
    """A flush and a shutdown are served by a receiver that is itself a greenlet of the thread that waits."""
    assert run_program(IN_ONE_HUB, order) == ["2"]


def test_the_event_loop_itself_can_wait():
    """Where gevent can't switch, in its loop, to wait is to block, until another thread sets what is waited for."""
    assert run_program(
        """
        from gevent import monkey; monkey.patch_all()
        import gevent
        from runspan._threads import Event, sleep, start_thread

        def in_loop():
            start_thread(lambda: (sleep(0.1), event.set()), "setter")
            print(event.wait(30), Event().wait(0.01))

        event = Event()
        gevent.get_hub().loop.run_callback(in_loop)
        gevent.sleep(0.01)
        """
    ) == ["True False"]
