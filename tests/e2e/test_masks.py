"""The real Collector masks every secret of tests/data/secrets.py, and no harmless text, in every place of a span."""

import json
from urllib.request import Request, urlopen

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from tests.data.masks import COMMAND_LINE, STRUCTURED
from tests.data.places import placed, remains
from tests.data.secrets import HARMLESS, HARMLESS_KEYS, KEYED_SECRETS, SECRET_KEYS, SECRETS
from tests.e2e.collector import Collector
from tests.e2e.program import wait_until

NAMES = sorted(STRUCTURED)


@pytest.fixture
def through(start, tmp_path):
    """Give a function that sends resources with spans through a Collector and returns what came out, as OTLP JSON."""
    written = tmp_path / "masked.jsonl"

    def send(*resources, **variables):
        files = ("base.yaml", "backends/file.yaml")
        collector = start(Collector(tmp_path, files=files, OTELCOL_FILE=written, **variables))
        body = ExportTraceServiceRequest(resource_spans=resources).SerializeToString()
        headers = {"Content-Type": "application/x-protobuf"}
        urlopen(Request(f"{collector.http}/v1/traces", body, headers), timeout=100).close()  # noqa: S310  our own address
        wait_until(lambda: written.exists() and written.read_text().endswith("\n"), 60, lambda: "Nothing is written.")
        return json.loads(written.read_text())["resourceSpans"]

    return send


def value(of):
    """Return anything as a value of OTLP."""
    match of:
        case bool():
            return AnyValue(bool_value=of)
        case int():
            return AnyValue(int_value=of)
        case str():
            return AnyValue(string_value=of)
        case list():
            return AnyValue(array_value={"values": [value(each) for each in of]})
    return AnyValue(kvlist_value={"values": attributes(of)})


def attributes(of):
    """Return a dictionary as attributes of OTLP."""
    return [KeyValue(key=key, value=value(each)) for key, each in of.items()]


def resource(*spans, having=None, scope=None):
    """Return a resource with these spans, and with these attributes of its own and of its scope."""
    within = ScopeSpans(scope={"attributes": attributes(scope or {})}, spans=spans)
    return ResourceSpans(resource={"attributes": attributes(having or {})}, scope_spans=[within])


def span(text, **more):
    """Return a span that has the text as its name and wherever else a span has text, and further attributes."""
    return Span(
        name=text,
        status=Status(code=Status.STATUS_CODE_ERROR, message=text),
        attributes=attributes({"text": text, **more}),
        events=[Span.Event(name=text, attributes=attributes({"text": text}))],
    )


def structured(text):
    """Return messages as runspan structures them, with what is not text."""
    return [{"role": "user", "n": 5, "parts": [{"content": text, "cached": False}, text]}]


def everywhere(text, **more):
    """Return a resource with spans that have the text in all its places, and has them itself."""
    texts = placed(text)
    spans = [
        span(
            each,
            **{NAMES[at % len(NAMES)]: structured(each)},
            **{key: make(each) for key, make in more.items()},
        )
        for at, each in enumerate(texts)
    ]
    plain = {f"text {at}": each for at, each in enumerate(texts)}
    return resource(*spans, having={**plain, COMMAND_LINE: ["serve", *texts]}, scope=plain)


def strings(of):
    """Give all strings within JSON."""
    match of:
        case str():
            yield of
        case list():
            for each in of:
                yield from strings(each)
        case dict():
            for each in of.values():
                yield from strings(each)


def known(of):
    """Return the attributes of a span, an event, a scope or a resource by their keys."""
    return {each["key"]: each["value"] for each in of.get("attributes", [])}


@pytest.mark.parametrize(
    ("secrets", "more"),
    [(SECRETS, {"list": lambda text: ["a", text], "map": lambda text: {"deep": [text]}}), (KEYED_SECRETS, {})],
    ids=["known by themselves", "known by their keys"],
)
def test_secrets_are_masked_in_every_place(through, secrets, more):
    """Nothing of a secret is left in any text of a span, its events, its resource and its scope."""
    came = through(*(everywhere(secret.text, **more) for secret in secrets))
    left = {
        (secret.kind, piece, text)
        for secret, its in zip(secrets, came, strict=True)
        for text in set(strings(its))
        for piece in remains(secret.hidden, text)
    }
    assert left == set()


def test_harmless_texts_are_left_whole_in_every_place(through):
    """What only looks like a secret stays as it is, and lists and maps stay lists and maps."""
    sent = [everywhere(text, map=lambda text: {"deep": [text]}) for text in HARMLESS]
    for before, after in zip(map(MessageToDict, sent), through(*sent), strict=True):
        assert known(after["resource"]) == known(before["resource"])
        ((scope,), (scope_before,)) = after["scopeSpans"], before["scopeSpans"]
        assert known(scope["scope"]) == known(scope_before["scope"])
        for its, own in zip(scope["spans"], scope_before["spans"], strict=True):
            assert (its.get("name"), its["status"].get("message")) == (own.get("name"), own["status"].get("message"))
            assert known(its) == known(own)
            ((event,), (event_before,)) = its["events"], own["events"]
            assert (event.get("name"), known(event)) == (event_before.get("name"), known(event_before))


def test_values_of_secret_keys_are_masked(through):
    """An attribute with the key of a secret is masked whole, whatever it is but a flag; others are not."""
    secret = dict.fromkeys(SECRET_KEYS, "abc") | {"db.password": 1234, "credentials": {"user": ["ada"]}}
    harmless = dict.fromkeys(HARMLESS_KEYS, "abc") | {"gen_ai.usage.input_tokens": 12, "forgot_password": True}
    (its,) = through(resource(span("chat", **secret, **harmless), having=secret | harmless))
    (scope,) = its["scopeSpans"]
    expected = {key: {"stringValue": "****"} for key in secret} | known(MessageToDict(span("", **harmless)))
    assert known(its["resource"]) | {"text": {}} == expected | {"text": {}}
    assert known(scope["spans"][0]) | {"text": {}} == expected | {"text": {}}


def test_only_the_secret_of_a_text_is_masked(through):
    """What is around a secret stays, JSON stays JSON, and a list or map with a secret in it becomes JSON."""
    key = "sk-proj-" + "abcdefghijklmnopqrstuvwx"
    arguments = {"password": "abc", "n": 5, "nested": [{"apiKey": 'a"b'}]}
    (its,) = through(
        resource(
            span(
                f"chat {key}",
                tags=["a", key],
                messages=json.dumps([{"content": f"Bearer {key} of ada@example.com\n{key}\nok"}]),
                address="postgresql://ada:abc@db.example.com/runs",
                line="DB_PASSWORD=hunter22 API_KEY='a1b2c3' serve",
                result=json.dumps(arguments),
                **{"gen_ai.tool.call.arguments": arguments, "langchain.subtree.output_tokens": 7},
            )
        ),
        MASK_ALSO=r"[\w.]+@[\w.]+",
    )
    ((masked,),) = ([scope["spans"][0]] for scope in its["scopeSpans"])
    masks = {"password": "****", "n": 5, "nested": [{"apiKey": "****"}]}
    assert (masked["name"], masked["status"]["message"], masked["events"][0]["name"]) == ("chat ****",) * 3
    assert known(masked) == {
        "text": {"stringValue": "chat ****"},
        "tags": {"stringValue": '["a","****"]'},
        "messages": {"stringValue": '[{"content": "Bearer **** of ********\\nok"}]'},
        "address": {"stringValue": "postgresql****db.example.com/runs"},
        "line": {"stringValue": "DB_PASSWORD=**** API_KEY='****' serve"},
        "result": {"stringValue": json.dumps(masks)},
        "gen_ai.tool.call.arguments": {"stringValue": json.dumps(masks, sort_keys=True, separators=(",", ":"))},
        "langchain.subtree.output_tokens": {"intValue": "7"},
    }
