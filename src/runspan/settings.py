"""Every option of the handler."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator
from pydantic_core import ErrorDetails, from_json

from runspan.arguments import LARGEST, shown
from runspan.content_switch import (
    DESTINATIONS,
    STANDARD_VARIABLE,
    CaptureContent,
    Destination,
    meant,
    permitted,
    standard_choice,
    variables,
)
from runspan.cost import CostSource, is_source_installed

CaptureChains: TypeAlias = Literal["none", "root", "all", True, False]
Redactor: TypeAlias = Callable[[str, str], str]
"""Returns what may be seen of a text, given the text and the name of the attribute that it goes into."""
ContentForm: TypeAlias = Literal["json", "structured"]
Detail: TypeAlias = Literal["minimal", "normal", "all"]
Semconv: TypeAlias = Literal["latest", "latest_and_legacy"]
History: TypeAlias = Literal["full", "new"]
ReturnedToolErrors: TypeAlias = Literal["error_status", "error_type_only"]

_TRACE_ID: Final = "{trace_id}"
_CAPTURE_CHAINS: Final[dict[str, CaptureChains]] = {
    "none": "none",
    "root": "root",
    **dict.fromkeys(("all", "true", "1", "yes", "on"), "all"),
    **dict.fromkeys(("false", "0", "no", "off"), "none"),
}


class Option(NamedTuple):
    """What is in force of one option, and why."""

    value: object
    source: str
    """``argument``, ``default``, or the environment variable that decides."""


class _OfEnvironment(BaseModel):
    """Options that are read from the environment where they are no arguments; a mistake is one line.

    pydantic's errors are several lines with an address, and pydantic-settings takes a third of what it costs to import
    a handler. The constructor stands here and not in ``Settings``, so that type checkers make that one from its fields.
    """

    # Where the value of each option comes from.
    _sources: dict[str, str] = PrivateAttr(default_factory=dict)

    def __init__(self, **arguments: Any) -> None:
        options, environment = type(self).model_fields, variables()
        sources = {name: "argument" if name in arguments else _variable(name, environment) for name in options}
        read = {name: _read(each, environment[each]) for name, each in sources.items() if each in environment}
        try:
            super().__init__(**read, **arguments)
        except ValidationError as error:
            raise ValueError(" ".join(_explain(each, sources) for each in error.errors())) from None
        asked = {**read, **arguments}
        self._sources = {name: _source(name, sources[name], asked, getattr(self, name)) for name in options}


class Settings(_OfEnvironment):
    """The options of a handler, each from its argument, else from its environment variable, else the default.

    The variables are named after the options, in capitals with ``RUNSPAN_`` before them. An empty one counts as unset.

    Args:
        capture_content: where content goes, that is messages, tool arguments and results, queries, documents, tags and
            texts of errors: onto spans (``span``), into events (``event``), both (``span_and_event``) or nowhere
            (``none``). Where ``RUNSPAN_CAPTURE_CONTENT`` is unset,
            ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` counts. In addition that variable forbids content,
            whatever the argument is: ``NO_CONTENT`` everywhere, ``EVENT_ONLY`` on spans.
        capture_chains: for which chains, graphs and the like content includes what goes in and comes out: ``root`` is
            what is at the top, agents and prompts; ``all``, or True, adds nodes, chains and parsers, where each node
            repeats the state of its graph; ``none``, or False. Agents and graphs have messages, and the last one as
            output, where their state has messages; all others ``input.value`` and ``output.value``, a text as it is and
            all else as JSON.
        max_attribute_bytes: the most that the content of one attribute may take; what is longer is cut, with a note of
            how much that was. Its default is what Jaeger with Badger holds. OpenTelemetry's variable for the length of
            attributes lowers it; a limit that a provider was given in code does not, so it has to be given here, too.
        max_span_bytes: the most that the content of one span may take.
        max_trace_bytes: the most that the content of an invocation may take, all its spans together.
        redact: is called with each text of content, of tags and of metadata that would be recorded, and the name of the
            attribute that it is for (``exception.message`` for texts of errors); returns what is recorded instead. It
            gets what is kept of a long text and a margin. If it raises, or returns no text, ``[withheld]`` is recorded.
            ``runspan.redact_secrets`` is ready-made; in the variable it is ``secrets``. If a run has several handlers,
            all of them redact.
        content_form: the form in which spans have messages, tool arguments, documents and the like: ``json``, which
            backends read today, or ``structured`` values, which the conventions prefer. Events always have the latter.
        detail: which runs have spans: ``minimal`` are models, tools, retrievers, agents, graphs and what is at the top;
            ``normal`` is what LangChain and LangGraph show; ``all`` are also those that they hide. The children of a
            run without a span move up.
        metadata_keys: the keys of metadata that go onto each span, as ``langchain.metadata.*``; in the variable as
            JSON, ``["user_id"]``. At most 32, since beyond 128 attributes OpenTelemetry drops the first.
        semconv: which names of the GenAI conventions are written: the ``latest``, or ``latest_and_legacy``, with those
            that older backends read: ``gen_ai.system``, and the metrics ``gen_ai.client.token.usage`` and
            ``gen_ai.client.operation.duration``.
        returned_tool_errors: how a tool is recorded that returned an error message instead of raising:
            ``error_status`` sets the status of its span to error, and ``error.type``; ``error_type_only`` sets
            ``error.type`` alone. The spans above it stay as they are.
        history: which messages the span of a chat model has: ``full`` means all that it reads; ``new`` those that no
            model of the trace had before, with ``runspan.history.span_id`` and ``runspan.history.messages``, which say
            where the others are. Callback handlers and ``replay`` get whole messages either way.
        blob_store: the folder that images, audio, video and files in content are uploaded to, as an fsspec URL such
            as ``s3://bucket/media``; spans refer to them by their URI there. With None they have media type, size and
            digest alone. Needs the extra ``blobs`` and the package that fsspec has for the storage.
        trace_url: where a backend shows a trace, with ``{trace_id}`` in place of the id:
            ``http://localhost:16686/trace/{trace_id}`` for Jaeger. ``handler.trace_url_for`` makes links from it; the
            console prints them if the variable is set.
        cost: what model calls cost: a function of a model's name and a ``ModelUsage``, which returns a ``Cost``, an
            amount in US dollars, or None if it is unknown; or ``genai-prices``, the list prices of that package
            (the extra ``prices``). With None nothing is recorded.

    Raises:
        ValueError: if there is no such option, or a value is not allowed; one line names the argument or variable, the
            value and what is allowed.

    Example:
        ``OpenTelemetryCallbackHandler(settings=Settings(capture_content="none"))``
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    capture_content: CaptureContent = "span"
    capture_chains: CaptureChains = "root"
    max_attribute_bytes: int = Field(default=60_000, gt=0, le=LARGEST)
    max_span_bytes: int = Field(default=240_000, gt=0, le=LARGEST)
    max_trace_bytes: int = Field(default=4_000_000, gt=0, le=LARGEST)
    redact: Redactor | None = None
    content_form: ContentForm = "json"
    detail: Detail = "normal"
    metadata_keys: tuple[str, ...] = Field(default=(), max_length=32)
    semconv: Semconv = "latest"
    returned_tool_errors: ReturnedToolErrors = "error_status"
    history: History = "full"
    blob_store: str | None = None
    trace_url: str | None = None
    cost: CostSource | None = None

    @field_validator("cost", mode="before")
    @classmethod
    def _find_cost_source(cls, value: object) -> object:
        if value is not None and value != "genai-prices" and not callable(value):
            raise ValueError('Give a function, "genai-prices" or None')
        if not is_source_installed(value):
            raise ValueError("Install its package: pip install 'runspan[prices]'")
        return value

    @field_validator("capture_content", mode="before")
    @classmethod
    def _read_capture_content(cls, value: object) -> object:
        return meant(value)

    @field_validator("capture_content", mode="after")
    @classmethod
    def _obey_standard_variable(cls, value: CaptureContent) -> CaptureContent:
        """Leave what OpenTelemetry's variable does not forbid."""
        return permitted(value)

    @field_validator("capture_chains", mode="before")
    @classmethod
    def _read_capture_chains(cls, value: object) -> object:
        return _CAPTURE_CHAINS.get(str(value).strip().lower(), value) if isinstance(value, str | int) else value

    @field_validator("max_attribute_bytes", "max_span_bytes", "max_trace_bytes", mode="before")
    @classmethod
    def _refuse_bool(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError("Give a whole number of bytes above 0")  # noqa: TRY004  pydantic takes these alone
        return value

    @field_validator("metadata_keys", mode="before")
    @classmethod
    def _read_metadata_keys(cls, value: object) -> object:
        try:
            return from_json(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError('Give a list of texts, such as ("user_id",); in the variable JSON: ["user_id"]') from None

    @field_validator("redact", mode="before")
    @classmethod
    def _read_redact(cls, value: object) -> object:
        if isinstance(value, str) and value.strip().lower() == "secrets":
            from runspan.redaction import redact_secrets  # noqa: PLC0415  few need it, and it compiles many patterns

            return redact_secrets
        if value is not None and not callable(value):
            raise ValueError("Give a function of a text and the name of its attribute; in the variable: secrets")
        return value

    @field_validator("blob_store")
    @classmethod
    def _check_blob_store(cls, value: str | None) -> str | None:
        if value is None:
            return value
        url = urlsplit(value)
        if not url.scheme or "://" not in value:
            raise ValueError("Give the URL of a folder, such as s3://bucket/media or file:///var/lib/shop/media")
        if url.username is not None or url.query or url.fragment:
            raise ValueError("Spans will have this URL, so credentials and options belong into fsspec's own settings")
        if find_spec("fsspec") is None:
            raise ValueError("Install fsspec for it: pip install 'runspan[blobs]'")
        return value

    @field_validator("trace_url")
    @classmethod
    def _check_trace_url(cls, value: str | None) -> str | None:
        if value is not None and _TRACE_ID not in value:
            raise ValueError(
                f"Write {_TRACE_ID} where the id belongs, such as http://localhost:16686/trace/{_TRACE_ID}"
            )
        return value

    @property
    def content_destinations(self) -> frozenset[Destination]:
        """Where content may go."""
        return DESTINATIONS[self.capture_content]

    @property
    def redactors(self) -> tuple[Redactor, ...]:
        """What gets content before it is recorded."""
        return (self.redact,) if self.redact is not None else ()

    def describe(self) -> dict[str, Option]:
        """Return each option with the value in force and where that comes from.

        Example:
            >>> Settings(detail="all").describe()["detail"]
            Option(value='all', source='argument')
        """
        return {name: Option(getattr(self, name), source) for name, source in self._sources.items()}


def variables_of(option: str) -> tuple[str, ...]:
    """Return the environment variables that an option is read from, the first that is set."""
    own = f"RUNSPAN_{option.upper()}"
    return (own, STANDARD_VARIABLE) if option == "capture_content" else (own,)


def _variable(option: str, environment: Mapping[str, str]) -> str:
    """Return the first variable of an option that is set; ``default`` if none is."""
    return next((each for each in variables_of(option) if each in environment), "default")


def _read(variable: str, value: str) -> str:
    """Return what a variable says; a value of OpenTelemetry's own that we don't know means no content."""
    return standard_choice(value) if variable == STANDARD_VARIABLE else value


def _source(option: str, source: str, asked: Mapping[str, object], value: object) -> str:
    """Return where the value of an option comes from: OpenTelemetry's variable may forbid what is asked for."""
    is_forbidden = option == "capture_content" and meant(asked.get(option, value)) != value
    return STANDARD_VARIABLE if is_forbidden else source


def trace_link(template: str | None, trace_id: str) -> str | None:
    """Return the link to a trace by its id of 32 hex digits; None without a template, as ``Settings.trace_url`` has."""
    return template.replace(_TRACE_ID, trace_id) if template is not None else None


def checked_settings(settings: object) -> Settings:
    """Return settings that were given, else those of the environment.

    Raises:
        TypeError: if they are none.
        ValueError: if a variable has a value that is not allowed.
    """
    if settings is None:
        return Settings()
    if not isinstance(settings, Settings):
        raise TypeError(f"settings is {shown(settings)}; it must be a runspan.Settings, or None")
    return settings


def _explain(problem: ErrorDetails, sources: Mapping[str, str]) -> str:
    """Return a line that says which option or variable has which value, and what is allowed."""
    option, *within = map(str, problem["loc"])
    source = sources.get(option, "argument")
    named = ".".join((option if source == "argument" else source, *within))
    remedy = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        remedy = f"There is no such option; those there are: {', '.join(Settings.model_fields)}"
    return f"Settings: {named} = {shown(problem['input'])} is not allowed. {remedy}."
