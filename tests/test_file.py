"""Spans in a file."""

import json
import logging
import stat
import subprocess
import sys
import threading

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import runspan
from runspan.processors.console import DirectSpanProcessor
from runspan.processors.file import FileSpanExporter
from runspan.recording.otlp_file import read_recording
from runspan.recording.otlp_json import otlp_line, otlp_request
from runspan.viewer.sources import read_source
from tests.programs import run_python
from tests.waiting import wait_until


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "spans.jsonl"


def tracer_into(path, **options):
    """Make a tracer whose spans go into a file."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(DirectSpanProcessor(FileSpanExporter(path, **options)))
    return provider.get_tracer("test")


def test_a_span_is_a_line_that_is_read_back(path):
    """Ids, links, events, nested values and the resource survive; the file is its user's alone."""
    tracer = tracer_into(path)
    with tracer.start_as_current_span("outer", attributes={"n": 2**62, "list": ["ä", "b"]}) as outer:
        outer.add_event("said", {"word": "x"})
        with tracer.start_as_current_span("inner", links=[trace.Link(outer.get_span_context(), {"why": "so"})]):
            pass
    inner, read = read_recording(path)
    assert len(path.read_bytes().splitlines()) == 2
    assert (read.name, read.span_id, dict(read.attributes)) == (
        "outer",
        outer.get_span_context().span_id,
        {"n": 2**62, "list": ["ä", "b"]},
    )
    assert (inner.parent_id, inner.links[0].span_id) == (read.span_id, read.span_id)
    assert read.events == [("said", {"word": "x"})]
    assert "telemetry.sdk.name" in read.resource
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_read_can_be_written_again(path, tmp_path):
    """A recorded span is the same after it was written as a line of JSON, or as a request."""
    with tracer_into(path).start_as_current_span("x", attributes={"bytes": b"\x00", "float": 0.5}) as span:
        span.record_exception(ValueError("no"))
    (found,) = read_recording(path)
    (tmp_path / "again").write_bytes(otlp_line(found))
    assert read_recording(tmp_path / "again") == [found]
    assert read_recording([otlp_request([found])]) == [found]


def test_the_file_is_rotated_and_bounded(path):
    """File and predecessor together stay within the bound, hold the latest spans, and are read as one."""
    tracer = tracer_into(path, max_bytes=20_000)
    for number in range(100):
        tracer.start_span(str(number), attributes={"text": "x" * 300}).end()
    files = sorted(each.name for each in path.parent.iterdir())
    assert files == ["spans.jsonl", "spans.jsonl.1"]
    assert sum(each.stat().st_size for each in path.parent.iterdir()) <= 20_000
    names = [int(span.name) for span in read_source(path)]
    assert names == list(range(names[0], 100))
    assert len(names) > 5


def test_what_otlp_can_t_express_is_repaired(path):
    """Half a character, and a number that is too large, are replaced; the span and all else of it are written."""
    with tracer_into(path).start_as_current_span("half \ud83d") as span:
        span.set_attributes({"text": "\ud83d", "number": 2**63, "other": "stays"})
    (found,) = read_recording(path)
    assert found.name == "half \ufffd"
    assert dict(found.attributes) == {"text": "\ufffd", "number": "9223372036854775808", "other": "stays"}


def test_threads_and_processes_share_a_file(path):
    """Spans of many threads and of another process are all there, each a whole line."""
    tracer = tracer_into(path)

    def end_some():
        for number in range(50):
            tracer.start_span(str(number)).end()

    threads = [threading.Thread(target=end_some) for _ in range(4)]
    [each.start() for each in threads]
    run_python(f"import runspan; runspan.configure(file={str(path)!r})\nend('theirs')", as_json=False)
    [each.join() for each in threads]
    wait_until(lambda: len(read_recording(path)) == 201)


def test_configure_writes_a_file_alone(path):
    """With a file and no endpoint spans go there alone, each as soon as it ends, so that a kill loses none."""
    code = (
        "import os, runspan; from opentelemetry import trace;"
        f"runspan.configure(file={str(path)!r}, service_name='shop');"
        "trace.get_tracer('test').start_span('x').end(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    (span,) = read_recording(path)
    assert (span.name, span.resource["service.name"]) == ("x", "shop")


def test_wrong_arguments_are_named():
    """A path that can't be written, or a bound that is too small, is an error that says so."""
    with pytest.raises(ValueError, match=r"file /proc/nothing/x can't be written"):
        runspan.configure(file="/proc/nothing/x")
    with pytest.raises(ValueError, match="max_file_bytes is 5; it must be an integer of at least 10000"):
        FileSpanExporter("/tmp/x", 5)  # noqa: S108  it is not made


def test_a_disk_that_is_full_is_said_once(path, caplog):
    """What can't be written is lost, with one line in the log; later spans are written again."""
    tracer = tracer_into(path)
    path.unlink()
    path.mkdir()
    with caplog.at_level(logging.WARNING):
        tracer.start_span("lost").end()
        tracer.start_span("lost too").end()
    assert len([each for each in caplog.records if "can't be written to" in each.getMessage()]) == 1
    path.rmdir()
    tracer.start_span("there").end()
    assert json.loads(path.read_text())["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"] == "there"


def test_a_disk_without_room_for_a_whole_line_leaves_the_file_readable(path):
    """A span that fits in part is not there at all, so what was written before and what comes after can be read."""
    ended = run_python(
        f"""
        import resource
        import runspan

        runspan.configure(file={str(path)!r})
        end("before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (os.path.getsize({str(path)!r}) + 20, resource.RLIM_INFINITY))
        end("lost")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        end("after")
        """
    )
    assert [span.name for span in read_recording(path)] == ["before", "after"]
    assert len([line for line in ended.stderr if "can't be written to" in line]) == 1
