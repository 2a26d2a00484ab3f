"""Media in base64 are referred to wherever they stand, and nothing else is."""

import base64
import hashlib
import json
import tracemalloc
from collections import UserDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.documents.base import Blob as DocumentBlob
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command
from pydantic import BaseModel

from runspan import OpenTelemetryCallbackHandler, Settings
from runspan._guard import faults
from runspan.payload import (
    documents,
    input_messages,
    inputs,
    output_messages,
    outputs,
    query,
    to_json,
    tool_arguments,
    tool_result,
)
from runspan.payload.blobs import SHORTEST_BLOB, Blob, may_hold_blobs, without_blobs
from runspan.payload.serialize import without_media
from tests.fakes import Model
from tests.test_evaluations import Logs

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
DATA = base64.b64encode(PNG).decode()


def wrap(text, end="\n"):
    return end.join(text[at : at + 76] for at in range(0, len(text), 76))


LINES = wrap(DATA, "\r\n")
URL = f"data:image/png;base64,{DATA}"
LINED_URL = f"data:image/png;base64,{wrap(DATA)}"
DIGEST = hashlib.sha256(PNG).hexdigest()
IN_WORDS = f"<image/png, {len(PNG)} bytes, sha256:{DIGEST}>"
QUOTED_PNG = PNG + b"'"
QUOTED_IN_WORDS = f"<image/png, {len(QUOTED_PNG)} bytes, sha256:{hashlib.sha256(QUOTED_PNG).hexdigest()}>"

# Image blocks of LangChain, OpenAI, Anthropic, Bedrock, Google and MCP.
BLOCKS = [
    {"type": "image", "base64": DATA, "mime_type": "image/png"},
    {"type": "image", "source_type": "base64", "data": DATA, "mime_type": "image/png"},
    {"type": "image_url", "image_url": {"url": URL}},
    {"type": "image_url", "image_url": URL},
    {"type": "input_image", "image_url": URL},
    {"type": "input_image", "image_url": URL.replace("data:image/png;base64", "DATA:IMAGE/PNG;BASE64")},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
    {"type": "image", "image": {"format": "png", "source": {"bytes": PNG}}},
    {"type": "media", "mime_type": "image/png", "data": PNG},
    {"type": "media", "mime_type": "image/png", "data": DATA},
    {"type": "image_generation_call", "id": "ig_1", "result": DATA},
    {"type": "image", "data": DATA, "mimeType": "image/png"},
    {"type": "resource", "resource": {"uri": "file:///a.png", "mimeType": "image/png", "blob": DATA}},
    {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "image_url", "image_url": URL}]},
    {"type": "of_a_provider", "picture": DATA},
]


class State(BaseModel):
    picture: object


PLACES = {
    "a message": lambda block: input_messages([HumanMessage([block])]),
    "an answer": lambda block: output_messages(LLMResult(generations=[[ChatGeneration(message=AIMessage([block]))]])),
    "what a model reads of a tool": lambda block: input_messages([ToolMessage([block], tool_call_id="1")]),
    "a tool's message": lambda block: tool_result(ToolMessage([block], tool_call_id="1")),
    "a tool's result": tool_result,
    "a tool's result as JSON": lambda block: tool_result(json.dumps(as_json(block))),
    "a tool's result as JSON in JSON": lambda block: tool_result(json.dumps([json.dumps(as_json(block))])),
    "a command": lambda block: tool_result(Command(update={"messages": [ToolMessage([block], tool_call_id="1")]})),
    "a tool's arguments": lambda block: tool_arguments({"block": block}, ""),
    "a tool's arguments as JSON": lambda block: tool_arguments(None, json.dumps(as_json(block))),
    "a state": lambda block: inputs({"messages": [HumanMessage([block])], "block": [block]}),
    "a model of pydantic": lambda block: outputs(State(picture=block)),
    "a document's metadata": lambda block: documents([Document("a", metadata={"block": block})]),
}


def as_json(value):
    """Return a block as JSON can hold it."""
    return json.loads(json.dumps(value, default=lambda data: base64.b64encode(data).decode()))


def holds_data(attributes):
    """Return whether any part of the data is left."""
    written = json.dumps(attributes)
    middle = [DATA[at : at + 40] for at in (40, 1_000, 5_000)]
    return any(part in written for part in (*middle, str(PNG[8:40])[2:-1]))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("block", BLOCKS, ids=lambda _: "")
def test_every_block_in_every_place(block, place):
    """Of the data nothing is left, but for media type and digest; nobody notices."""
    before = faults()
    written = PLACES[place](block)
    assert not holds_data(written)
    assert DIGEST in json.dumps(written)
    assert "image/png" in json.dumps(written)
    assert faults() == before


@pytest.mark.parametrize(
    ("text", "recorded"),
    [
        (DATA, IN_WORDS),
        (URL, IN_WORDS),
        (f"Look: ![a]({URL}) and ![b]({URL}).", f"Look: ![a]({IN_WORDS}) and ![b]({IN_WORDS})."),
        (f"<img src='{URL}'>", f"<img src='{IN_WORDS}'>"),
        (f'{{"picture": "{DATA}", "n": 1}}', f'{{"picture": "{IN_WORDS}", "n": 1}}'),
        (LINES, IN_WORDS),
        (json.dumps({"picture": LINES}), json.dumps({"picture": IN_WORDS})),
        (json.dumps([json.dumps({"picture": LINES + "\r\n"})]), json.dumps([json.dumps({"picture": IN_WORDS})])),
        (str({"picture": LINES.replace("\r", "")}), f"{{'picture': '{IN_WORDS}'}}"),
        (base64.urlsafe_b64encode(PNG).decode(), IN_WORDS),
        (URL.replace("=", "%3D").replace("+", "%2B"), IN_WORDS),
        (URL.replace("image/png;", "image/png;name=a.png;"), IN_WORDS),
        (URL.replace("data:image/png;base64", "DATA:IMAGE/PNG;BASE64"), IN_WORDS),
        (f"Look: {URL.replace('data:image/png;base64', 'Data:image/PNG;Base64')}.", f"Look: {IN_WORDS}."),
        (URL.replace("=", "%3d").replace("+", "%2b").replace("/", "%2f").replace("%2f", "/", 1), IN_WORDS),
        (f"Look: {LINED_URL}\nand so on", f"Look: {IN_WORDS}\nand so on"),
        (f"Look: {LINED_URL} and so on".replace("\n", "\r\n"), f"Look: {IN_WORDS} and so on"),
        (f"- {LINED_URL}\n- next".replace("\n", "\n    "), f"- {IN_WORDS}\n    - next"),
        (f"Look: {wrap(URL)}\n\nHello", f"Look: {IN_WORDS}\n\nHello"),
        (f"Look: data:image/png;base64,\n{wrap(DATA)})", f"Look: {IN_WORDS})"),
        (f"Look: {URL.rstrip('=')}\nHello", f"Look: {IN_WORDS}\nHello"),
        (json.dumps({"a": f"b {LINED_URL}\nc"}), json.dumps({"a": f"b {IN_WORDS}\nc"})),
        (json.dumps([json.dumps({"a": f"b {LINED_URL}"})]), json.dumps([json.dumps({"a": f"b {IN_WORDS}"})])),
        (json.dumps({"a": f"b {URL} c"}).replace("/", r"\/"), json.dumps({"a": f"b {IN_WORDS} c"})),
        (str({"a": f"b {LINED_URL}"}), str({"a": f"b {IN_WORDS}"})),
        (str({"picture": URL}), f"{{'picture': '{IN_WORDS}'}}"),
        (str({"picture": DATA, "n": 1}), f"{{'picture': '{IN_WORDS}', 'n': 1}}"),
        (str((PNG, 1)), f"({IN_WORDS}, 1)"),
        (str([QUOTED_PNG, bytearray(PNG)]), f"[{QUOTED_IN_WORDS}, bytearray({IN_WORDS})]"),
        (f"content='' picture='{DATA}'", f"content='' picture='{IN_WORDS}'"),
        (f"It read {PNG!r}.", f"It read {IN_WORDS}."),
    ],
    ids=lambda _: "",
)
def test_media_in_texts(text, recorded):
    """A text that is a medium becomes a line, and of one that holds some the rest stays."""
    assert tool_result(text) == {"gen_ai.tool.call.result": recorded}
    assert query(text) == {"gen_ai.retrieval.query.text": recorded}
    assert json.loads(documents([Document(text)])["gen_ai.retrieval.documents"])[0]["content"] == recorded
    assert json.loads(to_json({"a": text})) == {"a": recorded}


@pytest.mark.parametrize(
    "key", [DATA, URL, PNG, URL.replace("data:", "DATA:"), f"![a]({URL})", (PNG,)], ids=lambda _: ""
)
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value], UserDict])
def test_media_as_keys(key, wrap):
    """A medium that is the key of a dictionary is referred to, and the value under it stays."""
    before = faults()
    written = tool_result(wrap({key: "under it", "other": 1}))
    assert not holds_data(written)
    found = json.loads(written["gen_ai.tool.call.result"])
    ((name, value), other) = (found[0] if isinstance(found, list) else found).items()
    assert IN_WORDS in name
    assert (value, other) == ("under it", ("other", 1))
    assert faults() == before


def test_two_keys_of_one_medium():
    """Keys that refer to the same medium are told apart by a number."""
    assert list(json.loads(to_json({DATA: 1, URL: 2}))) == [IN_WORDS, f"{IN_WORDS} (2)"]


def test_a_message_has_a_part_of_the_conventions():
    """The part of a message says where the medium is, of which type, and how many bytes."""
    (message,) = json.loads(input_messages([HumanMessage([BLOCKS[0]])])["gen_ai.input.messages"])
    (part,) = message["parts"]
    assert part == {
        "type": "uri",
        "modality": "image",
        "uri": f"sha256:{DIGEST}",
        "size": len(PNG),
        "mime_type": "image/png",
    }


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"BM\x9a\x00\x00\x00\x00\x00\x00\x00", "image/bmp"),
        (b"II*\x00", "image/tiff"),
        (b"\x00\x00\x00\x1cftypavif", "image/avif"),
        (b"\x00\x00\x00\x18ftypheic", "image/heic"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"ID3\x03\x00\x00", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"OggS\x00\x02", "audio/ogg"),
        (b"fLaC\x00\x00", "audio/flac"),
        (b"\x00\x00\x00\x20ftypM4A ", "audio/mp4"),
        (b"\x00\x00\x00\x20ftypisom", "video/mp4"),
        (b"\x1a\x45\xdf\xa3\x01\x00", "video/webm"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"PK\x03\x04\x14\x00", "application/zip"),
        (b"\x1f\x8b\x08\x00", "application/gzip"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_formats_that_are_known(head, kind):
    """Of each format base64 and bytes are known by how they begin, whatever follows."""
    data = head + bytes(range(200))
    line = f"<{kind}, {len(data)} bytes, sha256:{hashlib.sha256(data).hexdigest()}>"
    assert json.loads(to_json([base64.b64encode(data).decode(), data])) == [line, line]


@pytest.mark.parametrize(
    "text",
    [
        "An ordinary text of some length, with words, data: and base64, in it. " * 50,
        "iVBO is how a picture begins, and this text goes on in words. " * 20,
        base64.b64encode(b"a text that somebody encoded, which has no known format" * 20).decode(),
        "a1b2c3d4" * 500,
        "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0" * 20,
        "//cdn.example.com/" + "a" * 100,
        "data:text/plain,hello%20" + "a" * 100,
        "data:image/png;base64,<the data> " + "b" * 100,
        '{"a": "' + "x" * 5_000 + '"}',
        '{"a": "AA' + "BC" * 500 + '"}',
        '{"path": "//' + "cdn/" * 100 + '", "b": "SU' + "x" * 300 + '"}',
        '["iVBORw0KGgo"]' + " " * 100,
        "GIF89a" + "x" * 100,
        "b'GIF8" + "x" * 100,
        "{'a': b'\\x89PNG\\q" + "x" * 100 + "'}",
        "{'a': b'\\x89PNGé" + "x" * 100 + "'}",
        "{'a': 'iVBO and words', 'b': 64, 'c': '\\x00'}",
        "/9j/" + "words and " * 30,
        "",
        "data:image/png;base64,iVBO",
        "data:image/png;base64,iVBO\nHello\n" + "Words and more of them.\n" * 10,
    ],
    ids=lambda _: "",
)
def test_ordinary_text_stays(text):
    """Long texts, other base64, tokens, and what only begins like a medium are recorded as they are."""
    assert without_media(text) == text


PIECES = st.sampled_from(
    (
        URL,
        DATA,
        DATA[:60],
        "iV",
        "data:;base64,",
        "64,",
        '{"a": "',
        '"',
        "='",
        "'",
        "\\x",
        repr(PNG[:40]),
        "a; b",
        "words ",
    )
)


@given(st.lists(PIECES, min_size=1, max_size=8).map("".join))
def test_what_is_passed_over_has_no_medium(text):
    """A text that a quick look or a closer one finds to be ordinary has no medium."""
    if len(text) >= SHORTEST_BLOB and not may_hold_blobs(text):
        assert without_blobs(text) == text


@pytest.mark.parametrize("length", [300, 301, 302])
def test_json_stays_json(length):
    """An image in JSON, in JSON within JSON, and with escaped slashes, is replaced so that the text is JSON again."""
    png = PNG[:length]
    words = f"<image/png, {length} bytes, sha256:{hashlib.sha256(png).hexdigest()}>"
    value = {"a": [base64.b64encode(png).decode(), 1]}
    once = json.dumps(value)
    twice = json.dumps({"b": once})
    assert json.loads(without_media(once)) == {"a": [words, 1]}
    assert json.loads(without_media(once.replace("/", r"\/"))) == {"a": [words, 1]}
    assert json.loads(json.loads(without_media(twice))["b"]) == {"a": [words, 1]}


@pytest.mark.parametrize(
    "text",
    [
        '{"iV' + "\\" * 300_000,
        '{"iV' + "\\/" * 300_000,
        '{"' + '"iV' * 300_000,
        '{"' + "iV" * 300_000,
        "data:" * 200_000 + ";base64,",
        "data:" + ";a" * 300_000 + ";base64,",
        ("data:a/" + "b" * 100) * 5_000 + ";base64,",
        ";base64," * 100_000,
        "data:;base64," + "\\" * 300_000,
        "data:;base64,\n" * 100_000,
        "data:;base64,AA\\n" * 100_000,
        "b'\\xff\\xd8 b\"\\xff\\xd8" * 50_000,
        "b'\\xff\\xd8" + "\\" * 300_000,
        "{" + "'iV" * 300_000,
    ],
    ids=lambda _: "",
)
def test_no_text_takes_long(text):
    """Texts made to keep a search busy are searched once: else the limit of time of all tests would end this one."""
    assert without_media(text) == text


def test_a_field_that_says_its_type():
    """Data of no known format are a medium where the dictionary says of which type; plain text there is none."""
    pcm = bytes(range(256)) * 4
    data = base64.b64encode(pcm).decode()
    words = f"<audio/pcm, {len(pcm)} bytes, sha256:{hashlib.sha256(pcm).hexdigest()}>"
    text = "What a document says, in plain words. " * 10
    assert json.loads(to_json({"mimeType": "audio/pcm", "data": data})) == {"mimeType": "audio/pcm", "data": words}
    assert json.loads(to_json({"mimeType": "text/plain", "data": text})) == {"mimeType": "text/plain", "data": text}
    assert json.loads(to_json({"data": data})) == {"data": data}
    assert json.loads(to_json(DocumentBlob(data=pcm, mimetype="audio/pcm")))["data"] == words


def test_data_that_can_not_be_decoded():
    """What begins like a medium and is broken has a digest, too, and breaks nothing."""
    broken = DATA[:1_001] + "=" + DATA[1_200:-3]
    (line,) = json.loads(to_json([broken]))
    assert line.startswith("<image/png, ")
    assert not holds_data(line)


@given(st.binary(min_size=40), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"%PDF-", b"RIFF1234WAVE", b"ID3"]))
def test_any_data(data, head):
    """Whatever follows a known beginning, it is referred to with its true size and digest."""
    data = head + data
    line = without_media(base64.b64encode(data).decode())
    if head:
        assert line.endswith(f", {len(data)} bytes, sha256:{hashlib.sha256(data).hexdigest()}>")


@given(st.text() | st.from_regex(r"data:[a-z/;=,0-9 ]{0,50}base64,[A-Za-z0-9+/=%_-]{0,100}", fullmatch=True))
def test_any_text(text):
    """No text is an error, and one without base64 stays."""
    before = faults()
    found = json.loads(to_json([text]))
    assert faults() == before
    if ";base64," not in text and not text.isascii():
        assert found == json.loads(to_json([text.encode("utf-8", "replace").decode()]))


def test_a_large_image_in_a_text():
    """One of more than a million characters is found whole, in JSON and in what ``repr`` makes of it, too."""
    png = PNG + bytes(range(256)) * 5_000
    words = f"<image/png, {len(png)} bytes, sha256:{hashlib.sha256(png).hexdigest()}>"
    data = base64.b64encode(png).decode()
    assert without_media(json.dumps([data, data])) == json.dumps([words, words])
    assert without_media(f"Two: data:;base64,{data} data:;base64,{data}") == f"Two: {words} {words}"
    assert without_media(str([png, png])) == f"[{words}, {words}]"


def test_no_more_is_searched_than_a_million_characters():
    """A URL that begins within them is found and ends where it ends; what lies behind is not searched."""
    near, far = "x" * 999_000 + URL, "x" * 1_100_000 + URL
    assert without_media(near) == "x" * 999_000 + IN_WORDS
    assert without_media(far) == far


def test_the_same_image_is_decoded_once(monkeypatch):
    """A message comes in every turn of a conversation; its digest is known from the first one on."""
    decoded = []
    data = base64.b64encode(PNG + b"once").decode()
    monkeypatch.setattr("runspan.payload.blobs.Blob.decoded", lambda blob: decoded.append(blob) or b"")
    for _ in range(3):
        input_messages([HumanMessage([{"type": "image", "base64": data, "mime_type": "image/png"}])])
    assert len(decoded) == 1


def test_an_image_that_is_known_is_not_copied():
    """LangChain makes a data URL of an image for each call; to say which image it is takes no memory of its size."""
    url = f"data:image/png;base64,{base64.b64encode(PNG * 200).decode()}"
    message = HumanMessage([{"type": "image_url", "image_url": {"url": url}}])
    known = input_messages([message])
    tracemalloc.start()
    try:
        assert input_messages([message]) == known
        assert tracemalloc.get_traced_memory()[1] < len(url) / 10
    finally:
        tracemalloc.stop()


def test_a_text_is_not_taken_for_the_same_bytes():
    """Base64 and bytes of the same characters, whose hashes are equal, have each its own digest."""
    blobs = Blob(DATA), Blob(DATA.encode())
    assert hash(blobs[0].data) == hash(blobs[1].data)
    assert [blob.digest() for blob in blobs] == [DIGEST, hashlib.sha256(DATA.encode()).hexdigest()]


def test_nothing_of_an_image_leaves_a_graph(tracing):
    """Spans and events of a graph that passes an image around hold references alone; callbacks hear the image."""
    logs = Logs()
    handler = OpenTelemetryCallbackHandler(
        tracer_provider=tracing.provider,
        logger_provider=logs.provider,
        settings=Settings(capture_content="span_and_event", capture_chains="all"),
    )
    graph = StateGraph(MessagesState)
    graph.add_node("ask", lambda state: {"messages": [Model().invoke(state["messages"])]})
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    graph.compile().invoke({"messages": [HumanMessage([BLOCKS[0]])]}, {"callbacks": [handler]})
    written = [dict(span.attributes) for span in tracing.spans] + [str(event) for event in logs.events]
    assert len(written) >= 4
    assert not holds_data(written)
    assert json.dumps(written).count(DIGEST) >= 4
