"""Every option of the handler."""

from typing import Any, Literal, TypeAlias

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

CaptureContent: TypeAlias = Literal["none", "span"]
ContentForm: TypeAlias = Literal["json", "structured"]
Detail: TypeAlias = Literal["minimal", "normal", "all"]
Names: TypeAlias = Literal["current", "both"]
SoftErrors: TypeAlias = Literal["error", "marked"]

# The values of the variable that OpenTelemetry's own GenAI packages read. Content in events alone is none on spans.
_STANDARD_VALUES = {"no_content": "none", "event_only": "none", "span_only": "span", "span_and_event": "span"}


class Settings(BaseSettings):
    """The options of a handler, each from its argument, else from its environment variable, else the default.

    Raises:
        ValueError: if a value is not allowed; it names the option, the value and what is allowed.

    Example:
        ``OpenTelemetryCallbackHandler(settings=Settings(capture_content="none"))``
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    capture_content: CaptureContent = Field(
        default="span",
        validation_alias=AliasChoices("RUNSPAN_CAPTURE_CONTENT", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"),
        description=(
            "Where messages, tool arguments and results, queries, documents, tags and texts of errors go:"
            " `span` puts them on the spans, `none` leaves them out."
        ),
    )

    capture_chains: bool = Field(
        default=False,
        validation_alias=AliasChoices("RUNSPAN_CAPTURE_CHAINS"),
        description=(
            "Whether content includes what goes into chains, prompts, parsers, graphs and nodes and comes out of them:"
            " `langchain.inputs` and `langchain.outputs`, as JSON. A graph's state is told again at each node."
        ),
    )

    content_form: ContentForm = Field(
        default="json",
        validation_alias=AliasChoices("RUNSPAN_CONTENT_FORM"),
        description=(
            "The form in which spans have messages, tool arguments, documents and the like: `json`, which backends read"
            " today, or `structured` values, which the conventions prefer. Events have structured values always."
        ),
    )
    detail: Detail = Field(
        default="normal",
        validation_alias=AliasChoices("RUNSPAN_DETAIL"),
        description=(
            "Which runs have spans: `minimal` are models, tools, retrievers, agents, graphs and what is at the top;"
            " `normal` is what LangChain and LangGraph show; `all` are also those that they hide. The children of a run"
            " without a span move up."
        ),
    )
    metadata_keys: tuple[str, ...] = Field(
        default=(),
        validation_alias=AliasChoices("RUNSPAN_METADATA_KEYS"),
        description='Keys of metadata that go onto each span, as `langchain.metadata.*`; in JSON: `["user_id"]`.',
    )
    names: Names = Field(
        default="current",
        validation_alias=AliasChoices("RUNSPAN_NAMES"),
        description=(
            "Which names of the GenAI conventions are written: the `current` ones, or `both`, with those of before that"
            " older backends read: `gen_ai.system`, and the metrics `gen_ai.client.token.usage` and"
            " `gen_ai.client.operation.duration`."
        ),
    )
    soft_errors: SoftErrors = Field(
        default="error",
        validation_alias=AliasChoices("RUNSPAN_SOFT_ERRORS"),
        description=(
            "What a tool is that returned an error message instead of raising: an `error`, or `marked` by `error.type`"
            " alone. What is above it is not concerned."
        ),
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ValueError(_explain(error)) from None

    @field_validator("capture_content", mode="before")
    @classmethod
    def _read_standard_value(cls, value: object) -> object:
        return _STANDARD_VALUES.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        option = ".".join(str(part) for part in problem["loc"])
        lines.append(f"Settings: {option} = {problem['input']!r} is not allowed. {problem['msg']}.")
    return "\n".join(lines)
