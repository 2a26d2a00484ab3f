"""Microsoft's Presidio as a redactor, by the lines of docs/content.md."""

import json
import re
from functools import partial
from pathlib import Path

import presidio_analyzer
import pytest
import spacy
from langchain_core.runnables import RunnableLambda
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import EmailRecognizer

from runspan import OpenTelemetryCallbackHandler, Settings
from tests.data.secrets import SECRETS
from tests.tracing import Tracing

CONTENT = Path(__file__).parent.parent.parent / "docs" / "content.md"


class EngineWithoutNames(SpacyNlpEngine):
    """A model of English that package registries have: it knows words, and no names of persons."""

    def __init__(self):
        super().__init__()
        self.nlp = {"en": spacy.blank("en")}


@pytest.fixture(scope="module")
def redact():
    """Make the function of the documents."""
    with pytest.MonkeyPatch.context() as patch:
        made = partial(presidio_analyzer.AnalyzerEngine, nlp_engine=EngineWithoutNames())
        patch.setattr(presidio_analyzer, "AnalyzerEngine", made)
        # It asks a server for the endings of domains.
        patch.setattr(EmailRecognizer, "validate_result", lambda *_: True)
        (lines,) = re.findall(r"```python\n(import runspan\nfrom presidio.*?)```", CONTENT.read_text(), re.DOTALL)
        names = {}
        exec(lines, names)  # noqa: S102  what the documents say
        yield names["redact"]


def test_what_only_presidio_knows_is_masked(redact):
    """Numbers of accounts and addresses of machines are named by their kind, keys are masked, and the rest stays."""
    tracing = Tracing()
    handler = OpenTelemetryCallbackHandler(
        tracer_provider=tracing.provider, settings=Settings(redact=redact, capture_chains="all")
    )
    asked = {"q": "IBAN DE89 3704 0044 0532 0130 00, host 10.1.2.3, card 4111 1111 1111 1111", "key": SECRETS[0].text}
    RunnableLambda(lambda _: "all is well with the cats", name="look").invoke(asked, {"callbacks": [handler]})
    attributes = tracing.one("look").attributes
    recorded = json.loads(attributes["input.value"])
    assert recorded["q"].startswith("IBAN <IBAN_CODE>, host <IP_ADDRESS>, card ")
    assert "4111" not in recorded["q"]
    assert SECRETS[0].text not in recorded["key"]
    assert attributes["output.value"] == "all is well with the cats"
