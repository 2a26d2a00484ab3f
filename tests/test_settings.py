"""Settings: each option from its argument, its environment variable or its default."""

import pytest

from runspan import OpenTelemetryCallbackHandler, Settings


def test_content_is_captured_by_default():
    """Without a word, content goes on spans."""
    assert Settings().capture_content == "span"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("RUNSPAN_CAPTURE_CONTENT", "none", "none"),
        ("RUNSPAN_CAPTURE_CONTENT", "SPAN", "span"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "NO_CONTENT", "none"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "EVENT_ONLY", "none"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "span_only", "span"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_AND_EVENT", "span"),
    ],
)
def test_the_environment_decides(monkeypatch, variable, value, expected):
    """Our own variable and OpenTelemetry's both count, in any case of letters."""
    monkeypatch.setenv(variable, value)
    assert OpenTelemetryCallbackHandler().settings.capture_content == expected


def test_the_nearer_word_wins(monkeypatch):
    """An argument wins over our variable, and that over OpenTelemetry's."""
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "NO_CONTENT")
    assert Settings(capture_content="span").capture_content == "span"
    monkeypatch.setenv("RUNSPAN_CAPTURE_CONTENT", "span")
    assert Settings().capture_content == "span"
    assert Settings(capture_content="none").capture_content == "none"


def test_a_bad_value_is_named():
    """An error names the option, the value and what is allowed."""
    with pytest.raises(ValueError, match=r"capture_content = 'al'.*'none' or 'span'"):
        Settings(capture_content="al")


def test_a_bad_variable_is_named(monkeypatch):
    """A bad value in the environment is an error that names the variable."""
    monkeypatch.setenv("RUNSPAN_CAPTURE_CONTENT", "yes please")
    with pytest.raises(ValueError, match=r"RUNSPAN_CAPTURE_CONTENT.*'yes please'.*'none' or 'span'"):
        OpenTelemetryCallbackHandler()


def test_an_unknown_option_is_named():
    """A misspelt option is an error, not silence."""
    with pytest.raises(ValueError, match="capture_contents"):
        Settings(capture_contents="none")
