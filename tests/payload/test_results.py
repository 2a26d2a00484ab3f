"""What tools and retrievers get and give."""

import json

import pytest
from langchain_core.documents import Document
from langchain_core.messages import ToolMessage
from langgraph.types import Command

from runspan.payload import documents, query, tool_arguments, tool_result
from runspan.payload.inputs_outputs import returned_tool_error


@pytest.mark.parametrize(
    ("inputs", "input_str", "arguments"),
    [
        ({"city": "Oslo", "days": 2}, "{'city': 'Oslo', 'days': 2}", '{"city":"Oslo","days":2}'),
        ({}, "", "{}"),
        (None, '{"city": "Oslo", "id": 123456789012345678901234567890}', None),
        (None, "Oslo", '{"input":"Oslo"}'),
        (None, "{'city': 'Oslo'}", "{\"input\":\"{'city': 'Oslo'}\"}"),
        (None, "[1]", '{"input":"[1]"}'),
        (None, "{\ud800", '{"input":"{\ufffd"}'),
        (None, None, '{"input":null}'),
    ],
)
def test_arguments_are_an_object(inputs, input_str, arguments):
    """Arguments are the dictionary given, or the object that a text holds, digit for digit, or else the text."""
    assert tool_arguments(inputs, input_str) == {
        "gen_ai.tool.call.arguments": input_str if arguments is None else arguments
    }


@pytest.mark.parametrize(
    ("output", "result"),
    [
        (ToolMessage("Rain", tool_call_id="1", name="weather"), "Rain"),
        (ToolMessage('{"sky": "grey"}', tool_call_id="1"), '{"sky": "grey"}'),
        (ToolMessage([{"type": "text", "text": "Rain"}], tool_call_id="1"), '[{"type":"text","text":"Rain"}]'),
        ("Rain \ud800", "Rain \ufffd"),
        ({"sky": "grey"}, '{"sky":"grey"}'),
        (None, "null"),
        (
            Command(goto="w", update={"messages": [ToolMessage("done", tool_call_id="1")]}),
            '{"graph":null,"update":{"messages":[{"type":"tool","content":"done","tool_call_id":"1"}]},"resume":null,"goto":"w"}',
        ),
        (
            [ToolMessage("a", tool_call_id="1"), ToolMessage("b", tool_call_id="2")],
            '[{"type":"tool","content":"a","tool_call_id":"1"},{"type":"tool","content":"b","tool_call_id":"2"}]',
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_results_are_readable(output, result):
    """A result is the text that the model will see, or JSON."""
    assert tool_result(output) == {"gen_ai.tool.call.result": result}


def test_a_query_is_text():
    """A query is told as it is; what is no text as JSON."""
    assert query("a book \ud800") == {"gen_ai.retrieval.query.text": "a book \ufffd"}
    assert query({"text": "a book"}) == {"gen_ai.retrieval.query.text": '{"text":"a book"}'}


class Scored(Document):
    """A document with a score of its own, as some stores return."""

    score: float


def test_documents_have_id_score_content_and_metadata():
    """Documents are told with their score where the metadata holds a number, and with an id if they have one."""
    found = [
        Document("a", id="1", metadata={"score": 0.5, "source": "x"}),
        Document("b", metadata={"relevance_score": 1}),
        Document("c", metadata={"score": "high"}),
        Document("d", metadata={"score": True}),
        Scored("e", score=0.25),
    ]
    (written,) = documents(found).values()
    assert json.loads(written) == [
        {"content": "a", "metadata": {"score": 0.5, "source": "x"}, "id": "1", "score": 0.5},
        {"content": "b", "metadata": {"relevance_score": 1}, "score": 1},
        {"content": "c", "metadata": {"score": "high"}},
        {"content": "d", "metadata": {"score": True}},
        {"content": "e", "metadata": {}, "score": 0.25},
    ]
    assert documents([]) == {"gen_ai.retrieval.documents": "[]"}
    assert documents(["bare"]) == {"gen_ai.retrieval.documents": '["bare"]'}


def test_scores_stand_beside_documents_or_in_their_metadata():
    """A score is that of a pair, or a number in the metadata; a distance is none."""
    found = [
        (Document("a", metadata={"score": 0.1}), 0.9),
        Document("b", metadata={"similarity_score": 0.8}),
        Document("c", metadata={"_score": 12}),
        Document("d", metadata={"distance": 0.7}),
        (Document("e"), None),
        (1, 2),
    ]
    (written,) = documents(found).values()
    assert [each.get("score") if isinstance(each, dict) else each for each in json.loads(written)] == [
        0.9,
        0.8,
        12,
        None,
        None,
        [1, 2],
    ]


def test_documents_are_capped():
    """Long documents are cut and marked; beyond a hundred an entry says how many are left out."""
    (written,) = documents([Document("é" * 10_001), Document("b" * 10_000)]).values()
    long, short = json.loads(written)
    kept, note = long["content"].split("…")
    assert 9_900 < len(long["content"]) <= 10_000
    assert note == f" [{10_001 - len(kept)} characters left out]"
    assert long["truncated"] is True
    assert short == {"content": "b" * 10_000, "metadata": {}}
    (written,) = documents([Document("a")] * 103).values()
    assert json.loads(written) == [{"content": "a", "metadata": {}}] * 100 + [{"truncated": True, "left_out": 3}]


BAD = ToolMessage("No such city", tool_call_id="1", status="error")
GOOD = ToolMessage("Rain", tool_call_id="2")


@pytest.mark.parametrize(
    ("output", "error_type"),
    [
        (BAD, "tool_error"),
        ([GOOD, BAD], "tool_error"),
        ((GOOD, BAD), "tool_error"),
        (Command(update={"messages": [GOOD, BAD]}), "tool_error"),
        (Command(update={"last": BAD}), "tool_error"),
        (Command(update=[("messages", [BAD])]), "tool_error"),
        ([Command(update={"messages": [BAD]}), GOOD], "tool_error"),
        (GOOD, None),
        ([GOOD], None),
        (Command(update={"messages": [GOOD], "status": "error"}), None),
        (Command(goto="next"), None),
        ({"status": "error", "messages": [BAD]}, None),
        ("error", None),
        (None, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_result_that_says_that_the_tool_failed(output, error_type):
    """A message with an error status is a soft error, wherever a tool may put it; a word in a result is none."""
    assert returned_tool_error(output) == error_type


@pytest.mark.parametrize("text", ["Äpfel und Öl", "東京の天気", "погода 🌧", "\u2028"])
def test_text_of_all_languages_is_readable(text):
    """No text is escaped beyond what JSON demands."""
    assert tool_arguments({"city": text}, "") == {"gen_ai.tool.call.arguments": f'{{"city":"{text}"}}'}
    assert tool_result([text]) == {"gen_ai.tool.call.result": f'["{text}"]'}
    (written,) = documents([Document(text)]).values()
    assert written == f'[{{"content":"{text}","metadata":{{}}}}]'
