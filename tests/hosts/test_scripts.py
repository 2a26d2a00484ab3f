"""Scripts that SIGTERM ends, and what the handler does to the signals of a process."""

import signal
import time
from textwrap import dedent

import pytest

from tests.hosts.host import Host

KILLED = -signal.SIGTERM
MARGIN_SECONDS = 5  # other processes may have the machine
PREAMBLE = """
import asyncio, os, signal, subprocess, sys, threading, time
from opentelemetry import trace
from runspan import configure

def end(name="run"): trace.get_tracer("host").start_span(name).end()
def end_five():
    for _ in range(5):
        end()
def say(value): print(value, flush=True)
# A signal that comes in the moment before Python begins to wait is noticed after that wait, so none is without end.
def sleep():
    while True:
        time.sleep(0.1)
async def asleep():
    while True:
        await asyncio.sleep(0.1)
def wait():
    while True:
        threading.Event().wait(0.1)
def compute():
    while True:
        pass
"""


def script(code, **environment):
    """Return a host that runs these lines."""
    return Host("-c", PREAMBLE + dedent(code), **environment)


@pytest.mark.parametrize(
    "wait",
    ["sleep()", "asyncio.run(asleep())", "wait()", "compute()"],
)
def test_the_default_action_comes_after_the_delivery(wait):
    """A script without a handler delivers what has ended, then it is ended by the signal as ever."""
    with script(f"configure(); end_five(); say('ready'); {wait}") as host:
        assert host.read_line() == "ready"
        assert host.terminate() == KILLED
        assert host.names() == ["run"] * 5


def test_a_signal_that_comes_while_the_main_thread_logs():
    """A delivery that needs a lock of ``logging``, which the main thread holds as the signal comes, gets it."""
    code = """
    import logging
    configure()
    end_five()
    class Slow:
        def write(self, line):
            if threading.current_thread() is threading.main_thread():
                say("ready")
                time.sleep(0.5)
    logging.basicConfig(stream=Slow(), level="DEBUG")
    while True:
        logging.info("the lock of this handler is held now")
        time.sleep(0.1)
    """
    with script(code) as host:
        assert host.read_line() == "ready"
        assert host.terminate() == KILLED
        assert host.names() == ["run"] * 5


def test_a_signal_arrives_while_the_main_thread_waits_for_others_at_its_end():
    """A process whose main thread is over delivers and is ended by the signal, though no thread starts any more."""
    code = """
    configure()
    end_five()
    def work():
        while threading.main_thread().is_alive():
            time.sleep(0.01)
        say("over")
        sleep()
    threading.Thread(target=work).start()
    """
    with script(code) as host:
        assert host.read_line() == "over"
        assert host.terminate() == KILLED
        assert host.names() == ["run"] * 5


def test_a_signal_arrives_while_the_process_forks():
    """A signal that Python handles in the middle of a fork, which holds locks, acts when the fork is over."""
    first = "import os, signal; os.register_at_fork(after_in_parent=lambda: signal.raise_signal(signal.SIGTERM))\n"
    code = """
    configure()
    end_five()
    if os.fork() == 0:
        os._exit(0)
    sleep()
    """
    with Host("-c", first + PREAMBLE + dedent(code)) as host:
        assert host.process.wait(60) == KILLED
        assert host.names() == ["run"] * 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_that_the_application_blocks_comes_by_no_thread_of_ours(number):
    """A signal waits while the application blocks it in its threads, though one of ours was there before."""
    code = f"""
    from runspan._threads import Event, start_thread
    handle, running = configure(), Event()
    start_thread(lambda: (running.set(), sleep()))
    running.wait(30)
    signal.pthread_sigmask(signal.SIG_BLOCK, [{number}])
    say("ready")
    while {number} not in signal.sigpending():
        time.sleep(0.01)
    say(handle.is_open)
    os._exit(3)
    """
    with script(code) as host:
        assert host.read_line() == "ready"
        host.process.send_signal(number)
        assert host.read_line() == "True"
        assert host.process.wait(60) == 3


def test_a_handler_of_the_event_loop_is_called():
    """A loop that asks for the signal gets it, and what it ends meanwhile arrives."""
    code = """
    async def main():
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        end_five()
        say("ready")
        await stop.wait()
        end("slow")
    configure()
    asyncio.run(main())
    sys.exit(3)
    """
    with script(code) as host:
        assert host.read_line() == "ready"
        assert host.terminate() == 3
        assert host.names() == ["run"] * 5 + ["slow"]


@pytest.mark.parametrize("order", ["stop_on_signal(); configure()", "configure(); stop_on_signal()"])
def test_a_handler_of_the_application_decides(order):
    """Whether a handler was set before or after configure(), it is called once and its exit status counts."""
    code = f"""
    def stop(number, frame):
        say(f"stopped by {{number}}")
        sys.exit(3)
    def stop_on_signal():
        signal.signal(signal.SIGTERM, stop)
    {order}
    end_five()
    say("ready")
    sleep()
    """
    with script(code) as host:
        assert host.read_line() == "ready"
        assert host.terminate() == 3
        assert host.read_line() == f"stopped by {signal.SIGTERM.value}"
        assert host.names() == ["run"] * 5


def test_a_handler_may_call_the_one_before():
    """An application whose handler calls the one that it found gets the default action, after the delivery."""
    code = """
    configure()
    former = signal.getsignal(signal.SIGTERM)
    def stop(*signal_and_frame):
        say("stopped")
        former(*signal_and_frame)
    signal.signal(signal.SIGTERM, stop)
    end_five()
    say(signal.getsignal(signal.SIGTERM) is stop)
    sleep()
    """
    with script(code) as host:
        assert host.read_line() == "False"  # another of ours stands before it
        assert host.terminate() == KILLED
        assert host.read_line() == "stopped"
        assert host.names() == ["run"] * 5


@pytest.mark.parametrize(
    ("before", "arguments"), [("signal.SIG_IGN", ""), ("signal.SIG_DFL", "sigterm=False")], ids=["ignored", "off"]
)
def test_a_signal_may_be_left_alone(before, arguments):
    """A signal that is ignored stays so, and with sigterm=False none is touched."""
    code = f"""
    signal.signal(signal.SIGTERM, {before})
    configure({arguments})
    end_five()
    say(signal.getsignal(signal.SIGTERM) == {before})
    os._exit(0)
    """
    with script(code) as host:
        assert host.read_line() == "True"


def test_shutdown_takes_the_handler_away():
    """After shutdown() the former handler is in place, however often configure() was called; where somebody keeps ours,
    it does what the former would."""
    code = """
    def former(number, frame):
        say("former")
    signal.signal(signal.SIGTERM, former)
    for _ in range(3):
        handle = configure()
        ours = signal.getsignal(signal.SIGTERM)
        handle.shutdown()
        say(signal.getsignal(signal.SIGTERM) is former)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    handle = configure()
    kept = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, former)
    handle.shutdown()
    say(signal.getsignal(signal.SIGTERM) is former)
    ours(signal.SIGTERM, None)
    say(signal.pthread_sigmask(signal.SIG_BLOCK, []))
    signal.signal(signal.SIGTERM, kept)
    signal.raise_signal(signal.SIGTERM)
    """
    with script(code) as host:
        said = [host.read_line() for _ in range(6)]
        assert said == ["True", "True", "True", "True", "former", "set()"]
        assert host.process.wait(60) == KILLED


def test_a_receiver_that_hangs_costs_the_time_stated():
    """A receiver that does not answer delays the end by exit_timeout, also while the main thread holds a lock that a
    worker needs to log it."""
    code = """
    import logging
    logging.basicConfig()
    configure(exit_timeout=1)
    end_five()
    with logging.getLogger().handlers[0].lock:
        say("ready")
        sleep()
    """
    with script(code) as host:
        host.receiver.hold()
        assert host.read_line() == "ready"
        began = time.monotonic()
        assert host.terminate() == KILLED
        assert time.monotonic() - began < 1 + MARGIN_SECONDS


def test_what_cannot_be_delivered_waits_on_disk(tmp_path):
    """With a spool the next process delivers what this one could not in its time."""
    code = f"configure(spool={str(tmp_path / 'spool')!r}, exit_timeout=1); end_five(); say('ready'); sleep()"
    with script(code) as host:
        host.receiver.refuse(503)
        assert host.read_line() == "ready"
        assert host.terminate() == KILLED
        host.receiver.accept()
        with script(code, OTEL_EXPORTER_OTLP_ENDPOINT=host.receiver.endpoint) as second:
            assert second.read_line() == "ready"
            assert second.terminate() == KILLED
        assert host.names() == ["run"] * 10


def test_a_host_that_takes_no_handlers_is_asked_once():
    """Where setting a handler has no effect, as under mod_wsgi, it is not tried again and again."""
    code = """
    from runspan import _sigterm
    asked = []
    signal.signal = lambda *arguments: asked.append(arguments)
    configure()
    for _ in range(3):
        _sigterm._state.look_at = 0
        end()
    say(len(asked))
    os._exit(0)
    """
    with script(code) as host:
        assert host.read_line() == "1"


def test_a_second_signal_does_not_cut_the_delivery_short():
    """A process that gets the signal from its group and from its parent still delivers."""
    with script("configure(exit_timeout=60); end_five(); say('ready'); sleep()") as host:
        host.receiver.hold()
        assert host.read_line() == "ready"
        host.process.send_signal(signal.SIGTERM)
        host.receiver.wait_for_attempts(1, timeout=60)
        host.process.send_signal(signal.SIGTERM)
        host.receiver.accept()
        assert host.process.wait(60) == KILLED
        assert host.names() == ["run"] * 5


def test_a_run_that_is_going_on_is_seen():
    """A run of LangChain's that the signal interrupts is in the trace, as abandoned."""
    code = """
    from langchain_core.runnables import RunnableLambda
    from runspan import OpenTelemetryCallbackHandler
    configure()
    def wait(_):
        say("ready")
        sleep()
    RunnableLambda(wait, name="waits").invoke(1, {"callbacks": [OpenTelemetryCallbackHandler()]})
    """
    with script(code) as host:
        assert host.read_line() == "ready"
        assert host.terminate() == KILLED
        (span,) = host.receiver.received()
        assert (span["name"], span["attributes"]["langchain.run.outcome"]) == ("waits", "abandoned")


def test_a_process_with_any_name_ends_when_the_signal_is_raised_again():
    """So it is where Linux cut the name of the process within a letter, and a thread holds up the end."""
    code = """
    import ctypes, threading
    ctypes.CDLL(None).prctl(15, "приложение".encode())  # PR_SET_NAME
    def again(number, frame):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
        ended.set()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, again)
    configure()
    end_five()
    threading.Thread(target=time.sleep, args=[600]).start()
    say("ready")
    ended.wait()
    """
    with script(code) as host:
        assert host.read_line() == "ready"
        assert host.terminate() == KILLED
        assert host.names() == ["run"] * 5


def test_tenants_deliver_too():
    """What processors beside that of configure() hold is delivered in the same time."""
    code = """
    from runspan import OtlpSpanProcessor
    from opentelemetry.sdk.trace import TracerProvider
    configure()
    provider = TracerProvider()
    provider.add_span_processor(OtlpSpanProcessor())
    provider.get_tracer("tenant").start_span("tenant").end()
    say("ready")
    sleep()
    """
    with script(code) as host:
        assert host.read_line() == "ready"
        assert host.terminate() == KILLED
        assert host.names() == ["tenant"]


def test_process_1_lives_on():
    """The first process of a container has no default action: as without us it goes on, and delivers from then on."""
    code = """
    os.getpid = lambda: 1
    configure()
    end_five()
    signal.raise_signal(signal.SIGTERM)
    end("after")
    say("alive")
    sleep()
    """
    with script(code) as host:
        assert host.read_line() == "alive"
        host.receiver.wait_for(6, timeout=60)
        assert host.names() == ["after", *["run"] * 5]


def test_an_application_that_lives_on_is_left_as_it_was():
    """After a signal that ended nothing each span is sent at once, and programs started then inherit a blocked signal;
    after a time neither is so any more. A forked child never inherits it."""
    code = """
    from runspan import _sigterm
    from runspan.export.delivery import Delivery
    signal.signal(signal.SIGTERM, lambda *_: say("ignored"))
    def blocked_in_fork():
        if os.fork() == 0:
            os._exit(len(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
        return os.waitstatus_to_exitcode(os.wait()[1])
    def blocked_in_program():
        code = "import signal; print(len(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
        return int(subprocess.check_output([sys.executable, "-c", code]))
    handle = configure()
    os.kill(os.getpid(), signal.SIGTERM)
    end_five()
    while handle.stats().sent < 5:
        time.sleep(0.01)
    say([Delivery.is_ending, blocked_in_fork(), blocked_in_program()])
    _sigterm._LONGEST_SHUTDOWN_SECONDS = 0
    _sigterm._state.look_at = 0
    end("later")
    say([Delivery.is_ending, blocked_in_fork(), blocked_in_program()])
    """
    with script(code) as host:
        assert host.read_line() == "ignored"
        assert host.read_line() == "[True, 0, 1]"
        assert host.read_line() == "[False, 0, 0]"
