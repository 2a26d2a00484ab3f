import base64

import pytest
from langchain_core.messages import HumanMessage

from runspan import Settings
from runspan.recording.otlp_file import read_recording
from runspan.viewer.media import embed_media
from runspan.viewer.trace import trace_of
from tests.fakes import SyncModel
from tests.recorded import model_call, recorded
from tests.tracing import Tracing
from tests.waiting import wait_until

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def embedded(uri):
    """Return what is embedded of a reference in a trace."""
    part = {"type": "uri", "modality": "image", "uri": uri}
    trace = trace_of([recorded(1, attributes=model_call([{"role": "user", "parts": [part]}], []))])
    (found,) = embed_media(trace).messages[0]["parts"]
    return found.get("embedded")


def test_what_was_stored_is_shown(tmp_path):
    """An image that a run has put into a folder of this machine is in the page's data."""
    tracing = Tracing(Settings(blob_store=tmp_path.as_uri()))
    picture = {"type": "image", "base64": base64.b64encode(PNG).decode(), "mime_type": "image/png"}
    SyncModel().invoke([HumanMessage([picture])], tracing.config)
    wait_until(lambda: [each for each in tmp_path.iterdir() if each.stat().st_size == len(PNG)])
    trace = embed_media(trace_of(read_recording(tracing.spans)))
    part = next(part for part in trace.messages[0]["parts"] if part["type"] == "uri")
    assert (part["mime_type"], base64.b64decode(part["embedded"])) == ("image/png", PNG)
    tracing.settle()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("secret.png", PNG),  # not named by the store
        ("0" * 32, b"root:x:0:0"),  # no medium
        ("0" * 32 + ".svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
        ("0" * 32 + ".png", PNG + b"x" * 30_000_000),  # too large
    ],
    ids=["name", "text", "svg", "size"],
)
def test_other_files_are_not(tmp_path, name, content):
    """A trace can't have any file of the machine shown."""
    (tmp_path / name).write_bytes(content)
    assert embedded((tmp_path / name).as_uri()) is None


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/" + "0" * 32,
        "file://evil.example/" + "0" * 32,
        "file:///nothing/" + "0" * 32,
        "//[",
        "file:///" + "0" * 32 + "%00",
    ],
)
def test_nothing_else_is_asked_for(uri):
    """What is elsewhere, or nowhere, stays a reference."""
    assert embedded(uri) is None


def test_the_store_s_name_and_a_medium_are_enough(tmp_path):
    """A file of that name with the beginning of an image is shown."""
    path = tmp_path / f"{'a' * 32}.png"
    path.write_bytes(PNG)
    assert base64.b64decode(embedded(path.as_uri())) == PNG
