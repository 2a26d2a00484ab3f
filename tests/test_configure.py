"""What configure() does to a process. A global tracer provider is set once per process, so each test runs its own."""

import socket

import pytest

from runspan._configure import configure
from tests.otlp_receivers import GrpcReceiver, HttpReceiver
from tests.programs import run_python

MARGIN_SECONDS = 5  # for a busy machine; who missed a deadline here would take ten seconds
RECEIVERS = {"http/protobuf": HttpReceiver, "grpc": GrpcReceiver}


def names(receiver):
    return sorted(span["name"] for span in receiver.received())


def test_one_call_delivers_and_a_second_says_so():
    """Arguments make provider and resource; a second call warns and returns the same handle; after shutdown a new
    call sends elsewhere from the same provider, here over gRPC."""
    with HttpReceiver() as first, GrpcReceiver() as second:
        ended = run_python(
            f"""
            handle = configure(
                service_name="argument", endpoint={first.endpoint!r}, headers={{"X-Key": "k"}},
                resource_attributes={{"team": "blue"}},
            )
            end("first")
            emit(handle.force_flush(5))
            emit(configure(endpoint={second.endpoint!r}) is handle)
            emit(handle.tracer_provider is trace.get_tracer_provider())
            handle.shutdown()
            with configure(endpoint={second.endpoint!r}, protocol="grpc") as other:
                emit([other is handle, other.tracer_provider is handle.tracer_provider])
                end("second")
            end("after shutdown")
            """,
            OTEL_SERVICE_NAME="environment",
            OTEL_RESOURCE_ATTRIBUTES="team=red,stage=test",
        )
        (span,) = first.received()
        assert ended.emitted == [True, True, True, [False, True]]
        assert ended.stderr == [
            (
                "configure() was called again: the first call stays in force and its handle is returned."
                " To change something, call shutdown() on that handle first."
            )
        ]
        resource = {name: span["resource"].get(name) for name in ("service.name", "team", "stage")}
        assert (span["name"], resource) == (
            "first",
            {"service.name": "argument", "team": "blue", "stage": "test"},
        )
        assert first.headers[0]["x-key"] == "k"
        assert names(second) == ["second"]


def test_the_environment_is_enough():
    """Without arguments the standard variables decide; what is queued is delivered at the end of the process."""
    with GrpcReceiver() as receiver:
        ended = run_python(
            """
            configure()
            with trace.get_tracer("test").start_as_current_span("kept"):
                pass
            """,
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_HEADERS="tenant=a",
            OTEL_SERVICE_NAME="environment",
            OTEL_BSP_MAX_QUEUE_SIZE="1",
        )
        (span,) = receiver.received()
        assert ended.stderr == []
        assert (span["name"], span["resource"]["service.name"]) == ("kept", "environment")
        assert receiver.headers[0]["tenant"] == "a"


def test_the_exporter_variable_chooses():
    """OTEL_TRACES_EXPORTER says which exporters there are; console=True alone tries no endpoint; samplers count."""
    with HttpReceiver() as receiver:
        ended = run_python(
            f"""
            def case(name, exporter, endpoint=None, console=False):
                os.environ["OTEL_TRACES_EXPORTER"] = exporter
                with configure(endpoint=endpoint, console=console):
                    end(name)

            case("none", "none", {receiver.endpoint!r})
            case("otlp", "otlp", {receiver.endpoint!r})
            case("console", "console", {receiver.endpoint!r})
            case("both", "otlp, Console", {receiver.endpoint!r})
            case("with its protocol", "otlp_proto_http", {receiver.endpoint!r})
            case("argument adds", "none", {receiver.endpoint!r}, True)
            case("console alone", "", None, True)
            case("console and endpoint", "", {receiver.endpoint!r}, True)
            """,
            as_json=False,
        )
        printed = [line.split("  ")[0] for line in ended.emitted if not line.startswith("trace ")]
        assert printed == ["console", "both", "argument adds", "console alone", "console and endpoint"]
        assert names(receiver) == ["both", "console and endpoint", "otlp", "with its protocol"]
        assert ended.stderr == []


@pytest.mark.parametrize(
    "variable", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_SAMPLER": "always_off"}], ids=["disabled", "sampled out"]
)
def test_nothing_leaves_when_it_is_turned_off(variable):
    """A disabled SDK and a sampler that takes nothing export nothing, and a flush has nothing to miss."""
    with HttpReceiver() as receiver:
        ended = run_python(
            f"""
            handle = configure(endpoint={receiver.endpoint!r}, console=True)
            end("unseen")
            emit(handle.force_flush(1))
            """,
            **variable,
        )
        assert (ended.emitted, ended.stderr, receiver.attempts) == ([True], [], 0)


def test_the_provider_of_the_application_stays():
    """A provider that is set gets our processor and keeps its own; even if it is never shut down, spans are delivered
    at the end of the process."""
    with HttpReceiver() as receiver:
        ended = run_python(
            f"""
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import SimpleSpanProcessor
            from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

            own = TracerProvider(resource=Resource({{"service.name": "own"}}), shutdown_on_exit=False)
            memory = InMemorySpanExporter()
            own.add_span_processor(SimpleSpanProcessor(memory))
            trace.set_tracer_provider(own)
            handle = configure(endpoint={receiver.endpoint!r}, service_name="ours")
            end("both")
            emit([handle.tracer_provider is own, trace.get_tracer_provider() is own])
            emit([span.name for span in memory.get_finished_spans()])
            """
        )
        (span,) = receiver.received()
        assert ended.emitted == [[True, True], ["both"]]
        assert (span["name"], span["resource"]) == ("both", {"service.name": "own"})
        assert ended.stderr == [
            (
                "service_name and resource_attributes have no effect: a tracer provider is already set, and its"
                " resource can't be changed. Give them where that provider is made."
            )
        ]


def test_a_provider_that_takes_no_processors():
    """A provider without add_span_processor is an error that tells what to do; the provider stays."""
    ended = run_python(
        """
        class Foreign(trace.NoOpTracerProvider):
            pass

        trace.set_tracer_provider(Foreign())
        try:
            configure()
        except RuntimeError as error:
            emit(str(error))
        emit(type(trace.get_tracer_provider()).__name__)
        """
    )
    assert ended.emitted == [
        (
            "The tracer provider in place, Foreign, has no add_span_processor, so spans can't be taken from it. Either"
            " export with that provider and leave out configure(), or set no provider and let configure() make one."
        ),
        "Foreign",
    ]


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_a_process_without_collector_ends_soon(protocol):
    """With nobody listening a flush is False in its time, the process ends soon; one line tells that spans wait, one
    that they are lost."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{bound.getsockname()[1]}"
        ended = run_python(
            f"""
            handle = configure(endpoint={endpoint!r}, protocol={protocol!r})
            end("lost")
            began = time.monotonic()
            emit(handle.force_flush(0.5))
            emit(time.monotonic() - began)
            end("lost too")
            """
        )
    assert ended.exit_seconds < 4 + MARGIN_SECONDS
    assert ended.emitted[0] is False
    assert ended.emitted[1] < 0.5 + MARGIN_SECONDS
    waiting, lost = ended.stderr
    assert waiting.startswith(f"could not deliver 1 span to {endpoint}")
    assert waiting.endswith(" Until it answers up to 2,048 spans wait, further ones are dropped.")
    assert lost.startswith(f"could not deliver 2 spans to {endpoint}")
    assert lost.endswith(". Is a collector listening there? They are lost.")


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_a_process_with_a_silent_collector_ends_in_the_time_stated(protocol):
    """An endpoint that accepts and never answers costs the time given for the exit, and one line."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        endpoint = f"http://127.0.0.1:{listening.getsockname()[1]}"
        ended = run_python(
            f"""
            configure(endpoint={endpoint!r}, protocol={protocol!r}, exit_timeout=1)
            end("lost")
            """
        )
    assert ended.exit_seconds < 1 + MARGIN_SECONDS
    path = "/v1/traces" if protocol == "http/protobuf" else ""
    assert ended.stderr == [
        (
            f"could not deliver 1 span to {endpoint}{path}: no answer within 1 s."
            " Is a collector listening there? They are lost."
        )
    ]


def test_who_configures_again_loses_nothing():
    """After a shutdown a new call takes the place of the first: no span is taken, or counted as lost, by both."""
    with HttpReceiver() as receiver:
        ended = run_python(
            f"""
            from opentelemetry import metrics
            from opentelemetry.sdk.metrics import MeterProvider
            from opentelemetry.sdk.metrics.export import InMemoryMetricReader

            reader = InMemoryMetricReader()
            metrics.set_meter_provider(MeterProvider([reader]))
            for number in range(3):
                handle = configure(endpoint={receiver.endpoint!r})
                end(f"span {{number}}")
                emit(handle.shutdown())
            end("lost")
            data = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
            emit({{
                each.name.rpartition(".")[2]: [point.value for point in each.data.data_points]
                for each in data if each.name.startswith("runspan.spans")
            }})
            emit([handle.stats().taken, handle.stats().dropped])
            emit(handle.shutdown())
            """
        )
        assert names(receiver) == ["span 0", "span 1", "span 2"]
    *shut_down, counted, last, again = ended.emitted
    assert (shut_down, last, again) == ([True] * 3, [2, {"shutdown": 1}], True)
    assert {name: counted[name] for name in ("taken", "sent", "dropped")} == {
        "taken": [4],
        "sent": [3],
        "dropped": [1],
    }


def test_a_shutdown_ends_what_is_open():
    """An app may end and start again, as in a lifespan: what is open at its end is delivered, the handler goes on."""
    with HttpReceiver() as receiver:
        ended = run_python(
            f"""
            from langchain_core.runnables import RunnableLambda
            from runspan import OpenTelemetryCallbackHandler

            config = {{"callbacks": [OpenTelemetryCallbackHandler()]}}
            for _ in range(2):
                with configure(endpoint={receiver.endpoint!r}, service_name="app", resource_attributes={{"a": [1]}}):
                    left = RunnableLambda(lambda x: x, name="left").stream("the question", config)
                    emit(next(left))
            emit(list(left))
            """
        )
        spans = receiver.received()
    assert ended.emitted == ["the question", "the question", []]
    assert ended.stderr == []
    assert [span["name"] for span in spans] == ["left", "left"]
    assert {span["attributes"]["langchain.run.outcome"] for span in spans} == {"abandoned"}


def test_a_shutdown_tells_whether_all_arrived(tmp_path):
    """It does what a flush does: False where spans are lost, or wait on disk; True for what the console printed."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{bound.getsockname()[1]}"
        ended = run_python(
            f"""
            logging.disable()
            for options in [{{"endpoint": {dead!r}}}, {{"endpoint": {dead!r}, "spool": {str(tmp_path / "spool")!r}}}]:
                handle = configure(**options)
                end("lost or spooled")
                emit(handle.shutdown(1))
            handle = configure(console=True)
            emit(handle.shutdown())
            """
        )
    assert ended.emitted == [False, False, True]


@pytest.mark.parametrize("protocol", RECEIVERS)
def test_a_forked_child_delivers_too(protocol):
    """A child forked after the parent's first delivery sends its own spans and none of its parent's."""
    with RECEIVERS[protocol]() as receiver:
        ended = run_python(
            f"""
            import multiprocessing

            def child():
                end("child")
                emit(handle.force_flush(10))

            handle = configure(endpoint={receiver.endpoint!r}, protocol={protocol!r})
            end("before")
            emit(handle.force_flush(5))
            end("queued in the parent")
            process = multiprocessing.get_context("fork").Process(target=child)
            process.start()
            process.join()
            end("after")
            emit([process.exitcode, handle.force_flush(5)])
            """
        )
        assert (ended.emitted, ended.stderr) == ([True, True, [0, True]], [])
        assert names(receiver) == ["after", "before", "child", "queued in the parent"]


@pytest.mark.parametrize(
    ("variable", "arguments", "message"),
    [
        ("", {"protocol": "http"}, "protocol is 'http'; it must be one of 'http/protobuf', 'grpc'."),
        (
            "OTEL_TRACES_EXPORTER=otlp,zipkin",
            {},
            "OTEL_TRACES_EXPORTER has 'zipkin'; it must be a list of otlp, console, none.",
        ),
        (
            "OTEL_BSP_SCHEDULE_DELAY=5s",
            {},
            "OTEL_BSP_SCHEDULE_DELAY is '5s'; it must be a whole number above 0.",
        ),
        (
            "OTEL_BSP_MAX_QUEUE_SIZE=0",
            {},
            "OTEL_BSP_MAX_QUEUE_SIZE is '0'; it must be a whole number above 0.",
        ),
    ],
)
def test_what_cannot_be_used_changes_nothing(monkeypatch, variable, arguments, message):
    """A bad argument or variable is an error that names it, before anything is set up."""
    if variable:
        monkeypatch.setenv(*variable.split("="))
    with pytest.raises(ValueError, match=r".") as raised:
        configure(**arguments)
    assert str(raised.value) == message


def test_what_is_open_at_the_end_of_the_process_is_delivered():
    """A stream that a script left early and still holds when it ends is in the trace, as abandoned."""
    with HttpReceiver() as receiver:
        run_python(
            f"""
            from langchain_core.language_models import FakeListChatModel
            from runspan import OpenTelemetryCallbackHandler

            configure(endpoint={receiver.endpoint!r})
            model = FakeListChatModel(responses=["three"])
            stream = model.stream("x", config={{"callbacks": [OpenTelemetryCallbackHandler()]}})
            next(stream)
            """
        )
        (span,) = receiver.received()
    assert span["name"] == "chat"
    assert span["attributes"]["langchain.run.outcome"] == "abandoned"
    assert '"content":"t"' in span["attributes"]["gen_ai.output.messages"]


def test_a_handler_made_before_the_provider_is_set():
    """A handler finds the provider that is set after it was made, and flushes it."""
    with HttpReceiver() as receiver:
        ended = run_python(
            f"""
            from langchain_core.runnables import RunnableLambda
            from runspan import OpenTelemetryCallbackHandler

            handler = OpenTelemetryCallbackHandler()
            emit(handler.force_flush(1))
            configure(endpoint={receiver.endpoint!r})
            emit(handler.force_flush(5))
            RunnableLambda(lambda x: x, name="one").invoke("x", {{"callbacks": [handler]}})
            emit(handler.force_flush(5))
            """
        )
        assert names(receiver) == ["one"]
    assert ended.emitted == [False, True, True]


def test_who_names_a_spool_wants_delivery(tmp_path):
    """With the console and a spool, and no endpoint named, spans go to the usual endpoint as well."""
    ended = run_python(
        f"""
        import sys
        out, sys.stdout = sys.stdout, sys.stderr  # where the tree is printed
        handle = configure(console=True, spool={str(tmp_path / "spool")!r}, exit_timeout=1)
        end("a")
        handle.force_flush(0.5)
        sys.stdout = out
        emit(handle.stats().taken)
        """
    )
    assert ended.emitted == [1]
