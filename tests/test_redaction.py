"""Redaction: a function of the user's gets every text before it leaves, and one is ready-made."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain_core.callbacks import dispatch_custom_event
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool

import runspan
from runspan import OpenTelemetryCallbackHandler, Settings, redact_secrets
from runspan._guard import faults
from runspan.payload import to_json
from tests.data.places import placed, remains
from tests.data.secrets import HARMLESS, KEYED_SECRETS, SECRETS
from tests.fakes import Model, Retriever, body
from tests.meaning.test_signals import Logger
from tests.tracing import Tracing

SECRET = "a-secret-of-the-user"
EVERYWHERE = {"capture_content": "span_and_event", "capture_chains": "all", "metadata_keys": ("note",)}


class Redactor:
    """Masks the secret, and notes for which attributes it was asked."""

    def __init__(self, mask="****"):
        self.places = set()
        self.mask = mask

    def __call__(self, text, place):
        self.places.add(place)
        return text.replace(SECRET, self.mask)


def answer(messages):
    """Call a tool with the secret, then repeat it."""
    if isinstance(messages[-1], ToolMessage):
        return AIMessage(f"so {SECRET}")
    return AIMessage(f"I think {SECRET}", tool_calls=[{"name": "look", "args": {"x": SECRET}, "id": "call_1"}])


def fail(value):
    raise ValueError(f"no {SECRET} here")


def run_all(handlers):
    """Run every kind of run with the secret wherever a user's text may stand."""
    config = {"callbacks": handlers, "tags": [SECRET], "metadata": {"note": {"deep": [SECRET]}, "user_id": SECRET}}

    def look(x: str) -> str:
        return f"seen {x}"

    look_tool = StructuredTool.from_function(look, name="look", description="Looks.")
    create_agent(Model(answer=answer), [look_tool], name="helper").invoke({"messages": [("user", SECRET)]}, config)
    (RunnableLambda(lambda x: {SECRET: [x, (x,)]}) | RunnableLambda(lambda x: x)).invoke({"a": SECRET}, config)
    Retriever(found=[Document(SECRET, metadata={"source": SECRET})]).invoke(SECRET, config)
    RunnableLambda(lambda x: dispatch_custom_event("progress", {"step": SECRET})).invoke("x", config)
    Model(answer=SECRET).bind(stop=[SECRET]).invoke(SECRET, config)
    list(Model(answer=SECRET).stream(SECRET, config))
    for failing in (RunnableLambda(fail), Model(answer=fail)):
        with pytest.raises(ValueError, match=SECRET):
            failing.invoke("x", config)


def trace(settings, *more):
    """Return all that leaves of all kinds of runs, on spans and in events."""
    tracing, logger = Tracing(), Logger()
    made = [
        OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, logger_provider=logger, settings=each)
        for each in (settings, *more)
    ]
    run_all(made)
    spans = "".join(span.to_json() for span in tracing.spans)
    return spans, str([record["attributes"] for record in logger.records])


def test_nothing_leaves_unredacted():
    """The redactor hears of every text of content, wherever it stands, and nothing else of it leaves."""
    redact = Redactor()
    spans, events = trace(Settings(redact=redact, **EVERYWHERE))
    assert SECRET not in spans + events
    assert spans.count("****") > 30
    assert events.count("****") > 5
    assert redact.places >= {
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.retrieval.query.text",
        "gen_ai.retrieval.documents",
        "gen_ai.request.stop_sequences",
        "input.value",
        "output.value",
        "langchain.tags",
        "langchain.metadata.note",
        "langchain.event.data",
        "exception.message",
        "exception.stacktrace",
        "user.id",
    }


@pytest.mark.parametrize("is_first", [True, False])
def test_the_redactors_of_all_handlers_count(is_first):
    """Of several handlers of one run each redacts, whichever comes first."""
    plain, redacting = Settings(**EVERYWHERE), Settings(redact=Redactor(), **EVERYWHERE)
    spans, events = trace(*((redacting, plain) if is_first else (plain, redacting)))
    assert SECRET not in spans + events
    both = Settings(redact=lambda text, _: text.replace("****", "++++"), **EVERYWHERE)
    spans, events = trace(redacting, both)
    assert "****" not in spans + events
    assert "++++" in spans


@pytest.mark.parametrize("broken", [lambda *_: 1 / 0, lambda *_: None, lambda text: text, lambda *_: b"x"])
def test_a_redactor_that_fails_withholds(broken):
    """Where a redactor raises or returns no text, the text is withheld and that is counted; the application goes on."""
    before = faults()
    spans, events = trace(Settings(redact=broken, **EVERYWHERE))
    assert SECRET not in spans + events
    assert "[withheld]" in spans
    assert "[withheld]" in events
    assert faults() > before


def test_the_form_of_messages_is_not_redacted():
    """A redactor that leaves nothing gets no roles, types and keys of the conventions: messages can be read still."""
    tracing = Tracing(Settings(redact=lambda *_: "x"))
    Model(answer="an answer").invoke("a question", tracing.config)
    (message,) = json.loads(tracing.one("chat").attributes["gen_ai.input.messages"])
    assert message == {"role": "user", "parts": [{"type": "text", "content": "x"}]}


def test_keys_that_become_the_same_are_kept_apart():
    """Two keys that are redacted to one text are numbered."""
    assert to_json({"ada": 1, "bob": 2}, redact=lambda _: "****") == '{"****":1,"**** (2)":2}'


def own_redactor(text, place):
    return redact_secrets(text.replace("grace", "****"), place)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    "key", ["password", "API_KEY", "client-secret", "authorization", "db_password", "access_token"]
)
def test_the_ready_made_redactor_knows_passwords_by_their_keys(key, wrapped):
    """A text that is secret by the key that it stands under is masked: in arguments, results, states and prompts."""
    redact = own_redactor if wrapped else redact_secrets
    tracing = Tracing(Settings(redact=redact, capture_chains="all", metadata_keys=("config",)))
    secret, config = "hunter2-and-3", {**tracing.config, "metadata": {"config": {key: "hunter2-and-3"}}}
    deep = [{"of": {key: secret}, "user": "ada"}]
    call = {"name": "log_in", "args": {key: secret}, "id": "1"}
    Model(answer=AIMessage("", tool_calls=[call])).invoke([AIMessage("", tool_calls=[call])], config)
    StructuredTool.from_function(lambda at: {key: secret, "at": at}, name="log_in", description="x").invoke(
        {"at": {key: secret}}, config
    )
    RunnableLambda(lambda _: deep).invoke(deep, config)
    (PromptTemplate.from_template("log in") | Model()).invoke({key: secret}, config)
    spans = "".join(span.to_json() for span in tracing.spans)
    assert secret not in spans
    assert "ada" in spans
    assert spans.count("****") >= 7


@pytest.mark.parametrize(
    ("redact", "left"),
    [
        (lambda text: text, 'a "quote"'),
        (lambda text: text.replace("quote", "*"), 'a "*"'),
        (lambda text: "gone" if text.startswith('"pass') else text, "[withheld]"),
        (lambda text: re.sub('"password": ".+"', '"password": "***"', text), "[withheld]"),
    ],
)
def test_what_is_secret_by_its_key_is_withheld_in_doubt(redact, left):
    """What a redactor changes beside the key, and can't be taken out again, is withheld; other changes count alone."""
    assert json.loads(to_json({"password": 'a "quote"'}, redact=redact)) == {"password": left}


def test_a_redactor_may_call_what_it_redacts():
    """Where a redactor calls a model that is traced, its texts are withheld, as the redactor can't judge for itself."""

    def redact(text, _):
        Model(answer=SECRET).invoke(text, tracing.config)
        return text.replace(SECRET, "****")

    tracing = Tracing(Settings(redact=redact))
    Model(answer=SECRET).invoke(f"see {SECRET}", tracing.config)
    spans = "".join(span.to_json() for span in tracing.spans)
    assert SECRET not in spans
    assert "see ****" in spans
    assert len(tracing.spans) < 10


@given(st.integers(0, 1_200), st.integers(100, 1_000))
def test_a_secret_is_not_cut_in_two(at, room):
    """A secret that the cut goes through is redacted as a whole, wherever it stands."""
    secret = "sk-proj-" + "abcDEF0123456789" * 3

    def redact(text):
        return re.sub(r"sk-proj-\w{48}", "****", text)

    text = "word " * (at // 5) + secret + " word" * 400
    assert remains(secret, to_json({"a": text, "b": [text]}, room, redact)) == []
    many = f"{secret} " * 200
    assert remains(secret, to_json(many, room, redact)) == []


class Shown:
    """A value of which there is only a repr."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


@pytest.mark.parametrize("at", [9_900, 9_960, 9_990, 9_999])
def test_no_secret_is_cut_in_two_where_texts_have_a_limit_of_their_own(at):
    """Texts of errors, stack traces, documents and reprs are redacted before they are cut, too."""
    secret = "sk-proj-" + "abcDEF0123456789" * 3
    settings = Settings(
        redact=lambda text, _: text.replace(secret, "****"), capture_chains="all", capture_content="span_and_event"
    )
    tracing, logger = Tracing(), Logger()
    handler = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, logger_provider=logger, settings=settings)
    text = "a" * at + secret + "b" * 20_000

    def fail(_):
        raise ValueError("c" * at + text[:-at])

    for failing in (RunnableLambda(fail), Model(answer=fail)):
        with pytest.raises(ValueError, match="aaa"):
            failing.invoke("x", {"callbacks": [handler]})
    Retriever(found=[Document(text)]).invoke("x", {"callbacks": [handler]})
    RunnableLambda(lambda x: x).invoke(Shown(text), {"callbacks": [handler]})
    left = "".join(span.to_json() for span in tracing.spans) + str([record["attributes"] for record in logger.records])
    assert "aaa" in left
    assert remains(secret, left) == []


@pytest.mark.parametrize("at", [9_970, 9_990, 19_950])
def test_no_secret_is_cut_in_two_where_texts_are_cut_first(at):
    """Tags, stop sequences, metadata and users are cut before a redactor sees them; no part of a secret is left."""
    secret = "sk-proj-" + "abcDEF0123456789" * 3
    tracing = Tracing(
        Settings(redact=lambda text, _: text.replace(secret, "****"), metadata_keys=("note", "deep"), detail="all")
    )
    text = "a" * at + secret + "b" * 20_000
    metadata = {"note": text, "deep": {"a": [text]}, "user_id": text}
    Model().bind(stop=[text]).invoke("x", {"metadata": metadata, "tags": [text], **tracing.config})
    written = dict(tracing.one("chat").attributes)
    for name in ("langchain.metadata.note", "langchain.metadata.deep", "user.id", "langchain.tags"):
        assert "aaa" in str(written[name])
        assert "characters left out]" in str(written[name])
    assert "aaa" in str(written["gen_ai.request.stop_sequences"])
    assert remains(secret, json.dumps(written)) == []


@pytest.mark.parametrize("at", [960, 990])
def test_a_redactor_that_joins_finds_no_half_of_a_secret(at):
    """What another handler has cut before a redactor joined loses its end, in which a part of a secret may be."""
    secret = "sk-proj-" + "abcDEF0123456789" * 3
    first = Tracing(Settings(max_attribute_bytes=1_000, capture_chains="all"))
    second = OpenTelemetryCallbackHandler(
        tracer_provider=first.provider, settings=Settings(redact=lambda text, _: text.replace(secret, "****"))
    )
    text = "word " * (at // 5 - 10) + secret + " word" * 2_000
    RunnableLambda(lambda x: x, name="outer").invoke(text, {"callbacks": [first.handler, second]})
    (span,) = first.spans
    assert remains(secret, span.to_json()) == []
    assert json.loads(span.to_json())["attributes"]["input.value"].endswith(f"… [{len(text):,} characters left out]")


@pytest.mark.parametrize("secret", [*SECRETS, *KEYED_SECRETS], ids=lambda secret: secret.kind)
def test_the_ready_made_redactor_knows_keys_and_tokens(secret):
    """Keys, tokens and passwords are masked in every surrounding, by the Collector's list."""
    for text in placed(secret.text):
        assert remains(secret.hidden, redact_secrets(text)) == []


@pytest.mark.parametrize(
    "hidden",
    [
        "ada@example.com",
        "ada.lovelace+spam@mail.example.co.uk",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "378282246310005",
        "5555555555554444",
        "+49 30 901820",
        "+1 (555) 010-9999",
        "+4915112345678",
        "(555) 010-9999",
        "555-010-9999",
    ],
)
def test_the_ready_made_redactor_knows_cards_and_addresses(hidden):
    """Cards, addresses of e-mail and telephone numbers are masked in a sentence, at its end and in lines."""
    for text in (f"It is {hidden}.", f"({hidden})", f"{hidden}\nnext", f"a: {hidden}, b"):
        assert redact_secrets(text) == text.replace(hidden, "****")


@pytest.mark.parametrize(
    "text",
    [
        *(each for each in HARMLESS if "@" not in each),
        "order 4111111111111112 of 2026-11-27, 1234567890123",
        "3.14159265358979323846, 10.0.0.1, 2001:db8::1, 1,234,567",
        "call 112, room 555-0109, version 1.2.3+4, +5 points",
        "1732723200000000000",
    ],
)
def test_the_ready_made_redactor_leaves_other_texts(text):
    """Numbers, times, ids and words that are no secrets stay."""
    assert redact_secrets(text) == text


def test_the_variable_names_the_ready_made_redactor(monkeypatch):
    """The environment can ask for the ready-made redactor; anything else there is an error with the remedy."""
    monkeypatch.setenv("RUNSPAN_REDACT", "secrets")
    assert Settings().redact is runspan.redact_secrets
    monkeypatch.setenv("RUNSPAN_REDACT", "everything")
    with pytest.raises(ValueError, match=r"^Settings: RUNSPAN_REDACT = 'everything' .* secrets"):
        Settings()


def test_errors_of_embeddings_are_redacted(tracing):
    """The text of an error of an embeddings model goes through the redactor, too."""
    from langchain_core.embeddings import FakeEmbeddings

    class Broken(FakeEmbeddings):
        def embed_query(self, text):
            raise ValueError(f"no {text}")

    traced = runspan.trace_embeddings(
        Broken(size=2), tracer_provider=tracing.provider, settings=Settings(redact=Redactor())
    )
    with pytest.raises(ValueError, match=SECRET):
        traced.embed_query(SECRET)
    assert tracing.spans[0].status.description == "no ****"


def test_bodies_are_redacted_in_structured_form():
    """Content that spans have as lists and objects is redacted as JSON is."""
    tracing = Tracing(Settings(content_form="structured", redact=Redactor(), **EVERYWHERE))
    (body(tracing, "step") | Model(answer=SECRET)).invoke(SECRET, tracing.config)
    assert SECRET not in "".join(span.to_json() for span in tracing.spans)
