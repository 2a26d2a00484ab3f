"""Settings: each option from its argument, its environment variable or its default."""

import pytest
from opentelemetry.trace import NoOpTracerProvider

import runspan
from runspan import OpenTelemetryCallbackHandler, Settings, redact_secrets
from runspan.settings import variables_of

MEANINGS = [("true", "span"), ("True", "span"), ("1", "span"), ("false", "none"), (" 0 ", "none"), ("", "span")]
STANDARD = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


def test_content_is_captured_by_default():
    """Without a word, content goes on spans."""
    assert Settings().capture_content == "span"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        *(("RUNSPAN_CAPTURE_CONTENT", *each) for each in MEANINGS),
        *(("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", *each) for each in MEANINGS),
        ("RUNSPAN_CAPTURE_CONTENT", "none", "none"),
        ("RUNSPAN_CAPTURE_CONTENT", "SPAN", "span"),
        ("RUNSPAN_CAPTURE_CONTENT", "event", "event"),
        ("RUNSPAN_CAPTURE_CONTENT", "Span_And_Event", "span_and_event"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "NO_CONTENT", "none"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "EVENT_ONLY", "event"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_only", "span"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_AND_EVENT", "span_and_event"),
    ],
)
def test_the_environment_decides(monkeypatch, variable, value, expected):
    """Our own variable and OpenTelemetry's both count, in any case of letters."""
    monkeypatch.setenv(variable, value)
    assert OpenTelemetryCallbackHandler().settings.capture_content == expected


def test_the_nearer_word_wins(monkeypatch):
    """An argument wins over our variable, and that over OpenTelemetry's."""
    monkeypatch.setenv(STANDARD, "SPAN_AND_EVENT")
    assert Settings(capture_content="span").capture_content == "span"
    assert Settings(capture_content="none").capture_content == "none"
    monkeypatch.setenv("RUNSPAN_CAPTURE_CONTENT", "event")
    assert Settings().capture_content == "event"
    assert Settings(capture_content="none").capture_content == "none"


@pytest.mark.parametrize("name", ["RUNSPAN_CAPTURE_CONTENT", "capture_content"])
@pytest.mark.parametrize(
    ("forbidding", "asked", "left"),
    [
        *(("NO_CONTENT", asked, "none") for asked in ("none", "span", "event", "span_and_event")),
        *(("false", asked, "none") for asked in ("none", "span", "event", "span_and_event")),
        ("EVENT_ONLY", "none", "none"),
        ("EVENT_ONLY", "span", "none"),
        ("event_only", "event", "event"),
        ("EVENT_ONLY", "span_and_event", "event"),
    ],
)
def test_what_operations_forbid_holds_over_everything(monkeypatch, name, forbidding, asked, left):
    """OpenTelemetry's variable forbids content that an argument or our variable asks for, and says so."""
    monkeypatch.setenv(STANDARD, forbidding)
    arguments = {}
    if name == "capture_content":
        arguments[name] = asked
    else:
        monkeypatch.setenv(name, asked)
    settings = Settings(**arguments)
    assert settings.capture_content == left
    source = STANDARD if left != asked else "argument" if arguments else name
    assert settings.describe()["capture_content"] == (left, source)


def test_describe_says_what_is_in_force(monkeypatch):
    """A handler says of each option its value and where that comes from."""
    monkeypatch.setenv("RUNSPAN_DETAIL", "all")
    monkeypatch.setenv(STANDARD, "SPAN_AND_EVENT")
    described = OpenTelemetryCallbackHandler(settings=Settings(metadata_keys=("user_id",))).describe()
    assert described.keys() == Settings.model_fields.keys()
    assert described["detail"] == ("all", "RUNSPAN_DETAIL")
    assert described["metadata_keys"] == (("user_id",), "argument")
    assert described["capture_content"] == ("span_and_event", STANDARD)
    assert described["semconv"] == ("latest", "default")
    assert (described["detail"].value, described["detail"].source) == ("all", "RUNSPAN_DETAIL")


@pytest.mark.parametrize("option", Settings.model_fields)
def test_an_argument_wins_over_its_variable(monkeypatch, option):
    """An argument counts whatever its variable says, be it a value that is not allowed."""
    monkeypatch.setenv(f"RUNSPAN_{option.upper()}", "no such value")
    default = Settings.model_fields[option].default
    assert getattr(Settings(**{option: default}), option) == default


def test_a_bad_value_is_named():
    """An error names the option, the value and what is allowed."""
    with pytest.raises(ValueError, match=r"capture_content = 'al'.*'none', 'span', 'event' or 'span_and_event'"):
        Settings(capture_content="al")


def test_a_bad_variable_is_named(monkeypatch):
    """A bad value in the environment is an error that names the variable."""
    monkeypatch.setenv("RUNSPAN_CAPTURE_CONTENT", "yes please")
    with pytest.raises(
        ValueError, match=r"RUNSPAN_CAPTURE_CONTENT.*'yes please'.*'none', 'span', 'event' or 'span_and_event'"
    ):
        OpenTelemetryCallbackHandler()


def test_an_unknown_option_is_named():
    """A misspelt option is an error, not silence."""
    with pytest.raises(ValueError, match="capture_contents"):
        Settings(capture_contents="none")


@pytest.mark.parametrize("option", Settings.model_fields)
def test_an_empty_variable_is_unset(monkeypatch, option):
    """Each variable that is empty leaves the default, whatever its type."""
    for variable in variables_of(option):
        monkeypatch.setenv(variable, "")
    assert getattr(Settings(), option) == Settings.model_fields[option].default


def test_an_unknown_standard_value_takes_no_content(monkeypatch, caplog):
    """A value of OpenTelemetry's variable that nobody knows is no error: one warning names it, no content is taken."""
    monkeypatch.setenv(STANDARD, "sometimes")
    assert Settings().capture_content == Settings().capture_content == "none"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"{STANDARD} is 'sometimes', which is none of TRUE, 1, SPAN_ONLY" in caplog.text
    monkeypatch.setenv("RUNSPAN_CAPTURE_CONTENT", "span")
    assert Settings().capture_content == "span"
    monkeypatch.setenv("RUNSPAN_CAPTURE_CONTENT", "")
    assert Settings(capture_content="span").capture_content == "span"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RUNSPAN_CAPTURE_CHAINS", "perhaps"),
        ("RUNSPAN_DETAIL", "maximal"),
        ("RUNSPAN_METADATA_KEYS", "user_id"),
        ("RUNSPAN_METADATA_KEYS", "[1]"),
        ("RUNSPAN_METADATA_KEYS", '"user_id"'),
    ],
)
def test_an_error_names_the_variable_that_was_set(monkeypatch, variable, value):
    """A bad variable is an error of one line with the variable, its value and a remedy."""
    monkeypatch.setenv(STANDARD, "SPAN_ONLY")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=variable) as raised:
        OpenTelemetryCallbackHandler()
    assert "\n" not in str(raised.value)
    assert value.strip('[]"') in str(raised.value)
    assert "OTEL_" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("none", "none"),
        ("Root", "root"),
        ("all", "all"),
        ("true", "all"),
        ("1", "all"),
        ("false", "none"),
        ("0", "none"),
    ],
)
def test_which_chains_have_content(monkeypatch, value, expected):
    """The option for chains has three values; True is all, False none, in the variable as in the argument."""
    monkeypatch.setenv("RUNSPAN_CAPTURE_CHAINS", value)
    assert Settings().capture_chains == Settings(capture_chains=value).capture_chains == expected
    assert (Settings(capture_chains=True).capture_chains, Settings(capture_chains=False).capture_chains) == (
        "all",
        "none",
    )


def test_metadata_keys_of_the_environment(monkeypatch):
    """The variable of the keys is a JSON list."""
    monkeypatch.setenv("RUNSPAN_METADATA_KEYS", '["user_id", "tenant"]')
    assert Settings().metadata_keys == ("user_id", "tenant")


class Rude:
    """A value that can't be printed."""

    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize("value", ["user_id", 5, [1], Rude(), "x" * 5000, {"a": 1}])
def test_metadata_keys_of_another_type_are_named(value):
    """An argument that is no list of texts is an error of one short line that names it."""
    with pytest.raises(ValueError, match=r"^Settings: metadata_keys") as raised:
        Settings(metadata_keys=value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("value", [{"capture_content": "none"}, "none", {}, False, Settings, Rude()])
@pytest.mark.parametrize("option", ["settings", "tracer_provider", "meter_provider", "logger_provider"])
def test_an_argument_of_another_type_is_named(option, value):
    """An argument of another kind is an error of one line that names the argument, the value and what to give."""
    with pytest.raises(TypeError, match=rf"^{option} is .+(must be a|pass one)") as raised:
        OpenTelemetryCallbackHandler(**{option: value})
    assert "\n" not in str(raised.value)


def test_a_provider_class_is_no_provider():
    """A class given where an instance should be is an error at once."""
    with pytest.raises(TypeError, match=r"^tracer_provider is <class .*NoOpTracerProvider"):
        OpenTelemetryCallbackHandler(tracer_provider=NoOpTracerProvider)


@pytest.mark.parametrize("value", [[], (), b"spans", 5, None, iter(())])
def test_a_recording_that_is_none_is_named(value):
    """Nothing to replay is an error that names the argument, the value and what to give."""
    with pytest.raises((TypeError, ValueError), match=r"^recording is .+give "):
        runspan.replay(value, callbacks=[])


def test_the_standard_variable_counts_in_any_case(monkeypatch):
    """The names of variables count in any case of letters."""
    monkeypatch.setenv(STANDARD.lower(), "NO_CONTENT")
    assert Settings().capture_content == "none"


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("max_attribute_bytes", "5000", 5000),
        ("max_span_bytes", "6000", 6000),
        ("max_trace_bytes", "7000", 7000),
        ("redact", "Secrets", redact_secrets),
        ("content_form", "structured", "structured"),
        ("history", "new", "new"),
        ("semconv", "latest_and_legacy", "latest_and_legacy"),
        ("returned_tool_errors", "error_type_only", "error_type_only"),
        ("blob_store", "file:///var/lib/shop/media", "file:///var/lib/shop/media"),
        ("trace_url", "http://localhost/{trace_id}", "http://localhost/{trace_id}"),
    ],
)
@pytest.mark.parametrize("change", [str.upper, str.lower])
def test_an_option_is_read_from_its_variable(monkeypatch, option, text, value, change):
    """The text of a variable, whose name is in any case, becomes the option's value, and is named as its source."""
    monkeypatch.setenv(change(f"RUNSPAN_{option}"), text)
    assert Settings().describe()[option] == (value, f"RUNSPAN_{option.upper()}")


def test_no_variable_is_an_argument_of_its_own(monkeypatch):
    """A variable that is none of an option's is left alone, whatever its name and value."""
    monkeypatch.setenv("RUNSPAN_NO_SUCH_OPTION", "1")
    monkeypatch.setenv("capture_content", "none")
    assert Settings().describe()["capture_content"] == ("span", "default")
