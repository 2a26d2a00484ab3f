"""Media in a store: uploaded off the path of the application, bounded, each handler's in its own."""

import hashlib
import json
import threading
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from langchain_core.callbacks import dispatch_custom_event
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda

from runspan import OpenTelemetryCallbackHandler, Settings, blob_store
from runspan.blob_store import BlobStore, store_at
from runspan.payload.blobs import Blob
from tests.fakes import Model
from tests.payload.test_blobs import BLOCKS, DATA, PNG, URL, holds_data
from tests.programs import run_python
from tests.test_evaluations import Logs
from tests.waiting import wait_until

IMAGE = HumanMessage([BLOCKS[0]])


class Held(MemoryFileSystem):
    """A place that takes nothing until it is let, or fails."""

    protocol = "held"
    store: ClassVar = {}
    pseudo_dirs: ClassVar = [""]
    may_go_on = threading.Event()
    error = None
    threads: ClassVar = []

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        self.threads.append(threading.current_thread())
        assert self.may_go_on.wait(60)
        if self.error is not None:
            raise self.error
        super().pipe_file(path, value, mode, **kwargs)


@pytest.fixture
def held():
    """Register the place, which holds everything back."""
    fsspec.register_implementation("held", Held, clobber=True)
    Held.store.clear()
    Held.threads.clear()
    Held.may_go_on.clear()
    yield Held
    Held.error = None
    Held.may_go_on.set()


def handler_with(tracing, url, **options):
    settings = Settings(blob_store=url, **options)
    return OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, settings=settings)


def uris_in(written):
    """Return the URIs of the parts of messages in attributes."""
    messages = json.loads(written["gen_ai.input.messages"])
    return [part["uri"] for message in messages for part in message["parts"] if part["type"] == "uri"]


def test_an_image_is_stored_once(tracing, tmp_path):
    """Each span refers to the same file, whose bytes are those of the image; the part has its type and size."""
    handler = handler_with(tracing, f"file://{tmp_path}/media", capture_chains="all")
    chain = RunnableLambda(lambda messages: messages, name="pass") | Model()
    for _ in range(2):
        chain.invoke([IMAGE], {"callbacks": [handler]})
    assert handler.force_flush()
    (path,) = (tmp_path / "media").iterdir()
    assert path.read_bytes() == PNG
    assert path.suffix == ".png"
    for span in tracing.named("chat"):
        (message,) = json.loads(span.attributes["gen_ai.input.messages"])
        assert message["parts"] == [
            {"type": "uri", "modality": "image", "uri": f"file://{path}", "size": len(PNG), "mime_type": "image/png"}
        ]
    written = json.dumps([dict(span.attributes) for span in tracing.spans])
    assert not holds_data(written)
    assert written.count(f"file://{path}") >= 6


def test_media_in_texts_and_events(tracing, tmp_path):
    """Where a text holds an image its URI stands, also in events and in what a stream had until it was left."""
    logs = Logs()
    handler = OpenTelemetryCallbackHandler(
        tracer_provider=tracing.provider,
        logger_provider=logs.provider,
        settings=Settings(blob_store=f"file://{tmp_path}", capture_content="span_and_event"),
    )

    def body(text):
        dispatch_custom_event("seen", {"picture": DATA})
        return f"![a]({URL})"

    RunnableLambda(body, name="body").invoke("x", {"callbacks": [handler]})
    stream = Model(answer=AIMessage(f"![a]({URL}) and more")).stream("x", {"callbacks": [handler]})
    next(stream)
    stream.close()
    assert handler.force_flush()
    (path,) = tmp_path.iterdir()
    assert tracing.one("body").attributes["output.value"] == f"![a](file://{path})"
    assert f"file://{path}" in str(logs.events)
    assert not holds_data(str(logs.events))


def test_nobody_waits_for_an_upload(tracing, held):
    """A run ends though the place takes nothing; what was decoded was so in the thread of the uploads."""
    handler = handler_with(tracing, "held://media")
    Model().invoke([IMAGE], {"callbacks": [handler]})
    (uri,) = uris_in(tracing.one("chat").attributes)
    assert uri.startswith("held://media/")
    assert handler.force_flush(timeout=0.2) is False
    held.may_go_on.set()
    assert handler.force_flush(timeout=60)
    assert held("").cat_file(uri) == PNG
    assert threading.current_thread() not in held.threads


def test_nothing_is_decoded_or_digested_on_the_way(tracing, held, monkeypatch):
    """With a store the application's thread neither decodes an image nor computes its digest."""
    threads = []
    monkeypatch.setattr(Blob, "digest", lambda _: threads.append("digest"))
    monkeypatch.setattr(Blob, "decoded", lambda _: threads.append(threading.current_thread()) or b"")
    held.may_go_on.set()
    handler = handler_with(tracing, "held://undecoded")
    Model().invoke([IMAGE], {"callbacks": [handler]})
    assert handler.force_flush(60)
    assert len(threads) == 1
    assert threading.current_thread() not in threads


def test_what_waits_is_bounded(held, monkeypatch, caplog):
    """Beyond so many bytes media are not stored but have a digest; it is counted and logged once."""
    monkeypatch.setattr(blob_store, "_MOST_WAITING_BYTES", 2_500)
    store = BlobStore("held://bounded")
    blobs = [Blob(bytes([number]) * 1_000, "image/png") for number in range(4)]
    uris = [store.put(blob) for blob in blobs]
    assert [uri is None for uri in uris] == [False, False, True, True]
    assert store.force_flush(0) is False
    held.may_go_on.set()
    wait_until(lambda: store.counts["stored"] == 2)
    assert store.counts == {"stored": 2, "dropped": 2}
    (record,) = caplog.records
    assert "A medium was not stored at held://bounded (dropped)" in record.getMessage()
    assert store.put(blobs[2]) is not None
    assert store.force_flush(60_000)


def test_failures_are_counted(tracing, held, caplog):
    """An upload that fails is counted, logged once and tried again when it comes again; a flush says so."""
    handler = handler_with(tracing, "held://failing")
    store = store_at("held://failing")
    held.error = PermissionError("no")
    held.may_go_on.set()
    for number in range(3):
        data = {"type": "media", "mime_type": "image/png", "data": PNG + bytes([number])}
        Model().invoke([HumanMessage([data])], {"callbacks": [handler]})
    assert handler.force_flush(60) is False
    assert store.counts == {"failed": 3}
    assert handler.force_flush(60) is True  # nothing has failed since
    held.error = None
    uri = store.put(Blob(PNG + b"\x00"))
    assert store.force_flush(60_000)
    assert held("").cat_file(uri) == PNG + b"\x00"
    messages = [record.getMessage() for record in caplog.records]
    assert len([each for each in messages if "A medium was not stored at held://failing (failed)" in each]) == 1


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
def test_a_storage_that_exits_fails(held, error):
    """Whatever a storage raises in the thread of the uploads, its medium has failed, and the next one is stored."""
    store = BlobStore("held://exiting")
    held.error = error
    held.may_go_on.set()
    for count in (1, 2):
        store.put(Blob(PNG))
        wait_until(lambda: store.counts["failed"] == count)  # noqa: B023  called here
        assert store.force_flush(60_000) is False
    held.error = None
    store.put(Blob(PNG))
    assert store.force_flush(60_000)
    assert (store.counts, store._waiting_bytes) == ({"failed": 2, "stored": 1}, 0)


def test_a_storage_that_exits_in_a_thread_of_the_application(held, monkeypatch):
    """Where no thread starts, as when Python exits, SystemExit of a storage costs its medium alone."""

    def start_none(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("runspan._worker.start_thread", start_none)
    store = BlobStore("held://at-exit")
    held.error = SystemExit(1)
    held.may_go_on.set()
    store.put(Blob(PNG))
    assert store.force_flush(60_000) is False
    assert (store.counts, store._waiting_bytes) == ({"failed": 1}, 0)


def test_what_became_of_media_is_a_metric():
    """The global meter provider counts what was stored and what was not."""
    ended = run_python("""
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from runspan.blob_store import store_at
        from runspan.payload.blobs import Blob
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
        for url in ("memory://media", "nowhere://media"):
            store = store_at(url)
            store.put(Blob(b"some data"))
            emit(store.force_flush())
        (resource,) = reader.get_metrics_data().resource_metrics
        ((metric,),) = [scope.metrics for scope in resource.scope_metrics]
        emit([metric.name, sorted([*point.attributes.values(), point.value] for point in metric.data.data_points)])
    """)
    assert ended.emitted == [True, False, ["runspan.blobs", [["failed", 1], ["stored", 1]]]]


def test_each_handler_has_its_own_store(tracing, tmp_path):
    """What a handler without a store, or with another one, records within a run goes nowhere else."""
    first = handler_with(tracing, f"file://{tmp_path}/first")
    second = handler_with(tracing, f"file://{tmp_path}/second")
    none = handler_with(tracing, None)

    def body(messages):
        for number, handler in enumerate((second, none)):
            data = {"type": "media", "mime_type": "image/png", "data": PNG + bytes([number])}
            Model().invoke([HumanMessage([data])], {"callbacks": [handler]})
        return messages

    RunnableLambda(body, name="body").invoke([IMAGE], {"callbacks": [first]})
    assert first.force_flush()
    assert second.force_flush()
    stored = {path.parent.name: path.read_bytes() for path in tmp_path.glob("*/*")}
    assert stored == {"first": PNG, "second": PNG + b"\x00"}
    digest = hashlib.sha256(PNG + b"\x01").hexdigest()
    assert [uris_in(span.attributes) for span in tracing.named("chat")][-1] == [f"sha256:{digest}"]


def test_with_content_off_nothing_is_stored(tracing, tmp_path):
    """A store is for what is recorded: without content there is no upload."""
    handler = handler_with(tracing, f"file://{tmp_path}/media", capture_content="none")
    Model().invoke([IMAGE], {"callbacks": [handler]})
    assert handler.force_flush()
    assert not (tmp_path / "media").exists()


def test_the_end_of_the_process_waits_for_uploads(tmp_path):
    """What was recorded last is stored, too."""
    program = """
        from opentelemetry.sdk.trace import TracerProvider
        from runspan import OpenTelemetryCallbackHandler
        from tests.fakes import Model
        from tests.test_blob_store import IMAGE
        Model().invoke([IMAGE], {"callbacks": [OpenTelemetryCallbackHandler(tracer_provider=TracerProvider())]})
    """
    run_python(program, RUNSPAN_BLOB_STORE=f"file://{tmp_path}/media")
    (path,) = (tmp_path / "media").iterdir()
    assert path.read_bytes() == PNG


def test_a_forked_child_uploads_its_own(tmp_path):
    """What waits in the parent process is stored once, and a child stores what it records itself."""
    program = f"""
        from runspan.blob_store import store_at
        from runspan.payload.blobs import Blob
        store = store_at("file://{tmp_path}/media")
        store._worker.wake = lambda: True
        store.put(Blob(b"of the parent"))
        if (child := os.fork()) == 0:
            store.put(Blob(b"of the child"))
            emit(store.force_flush())
            os._exit(0)
        os.waitpid(child, 0)
        del store._worker.wake
        emit(store.force_flush())
    """
    assert run_python(program).emitted == [True, True]
    assert sorted(path.read_bytes() for path in (tmp_path / "media").iterdir()) == [b"of the child", b"of the parent"]


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("media", "Give the URL of a folder, such as s3://bucket/media or file:///var/lib/shop/media"),
        (
            "ftp://user:word@host/media",
            "Spans will have this URL, so credentials and options belong into fsspec's own settings",
        ),
        (
            "s3://bucket/media?key=1",
            "Spans will have this URL, so credentials and options belong into fsspec's own settings",
        ),
    ],
)
def test_mistakes_are_errors_of_one_line(url, remedy):
    """A place that can't be used is an error that says what to give."""
    with pytest.raises(ValueError, match=r"^Settings: blob_store = ") as error:
        Settings(blob_store=url)
    assert str(error.value) == f"Settings: blob_store = {url!r} is not allowed. {remedy}."


def test_without_the_package(monkeypatch):
    """Where fsspec is missing the error says how to install it."""
    monkeypatch.setattr("runspan.settings.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"Install fsspec for it: pip install 'runspan\[blobs\]'\.$"):
        Settings(blob_store="s3://bucket/media")
    assert Settings().blob_store is None
