"""The page in a file, as a person uses it."""

import base64
import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from runspan.recording.otlp_file import read_recording
from runspan.viewer.page import static_page
from tests.recorded import link, model_call, recorded, text

CALL = {
    "role": "assistant",
    "parts": [{"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Rome"}}],
}
RESULT = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "sunny"}]}
QUESTION, SYSTEM = text("user", "Weather in **Rome**?"), text("system", "Be brief.")
ANSWER = text("assistant", "# Sunny\n\n- warm\n- dry\n\n[more](https://weather.example)")
DEFINITION = [{"type": "function", "name": "weather", "description": "Look outside.", "parameters": {"type": "object"}}]
NODE = {"langchain.run.type": "chain", "langgraph.node": "model", "langgraph.step": 1}


def agent_trace(**fields):
    """An agent that calls a model, a tool, and the model again."""
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.conversation.id": "thread-7", "session.id": "thread-7"}
    tools = {"gen_ai.tool.definitions": json.dumps(DEFINITION)}
    usage = {"gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 34, "gen_ai.usage.cost.amount": 0.02}
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.call.id": "c1",
        "gen_ai.tool.call.arguments": '{"city": "Rome"}',
        "gen_ai.tool.call.result": "sunny",
    }
    return [
        recorded(1, name="invoke_agent helper", end=10_000, attributes=agent, **fields),
        recorded(2, 1, "model", end=1000, attributes=NODE, **fields),
        recorded(
            3, 2, "chat m-1", end=1000, attributes=model_call([SYSTEM, QUESTION], [CALL], **tools, **usage), **fields
        ),
        recorded(
            4,
            1,
            "tools",
            start=1000,
            end=2000,
            attributes={**NODE, "langgraph.node": "tools", "langgraph.step": 2},
            **fields,
        ),
        recorded(
            5, 4, "execute_tool weather", start=1000, end=2000, attributes=tool, links=[link(3, "asked_by")], **fields
        ),
        recorded(6, 1, "model", start=9000, end=10_000, attributes={**NODE, "langgraph.step": 3}, **fields),
        recorded(
            7,
            6,
            "chat m-1",
            start=9000,
            end=10_000,
            attributes=model_call([SYSTEM, QUESTION, CALL, RESULT], [ANSWER], **tools, **usage),
            links=[link(5, "reads")],
            **fields,
        ),
    ]


@pytest.fixture
def opened(open_page, tmp_path):
    """Write a page of spans, open it."""

    def opened(spans, where="", **options):
        path = tmp_path / "trace.html"
        path.write_text(static_page(spans), "utf-8")
        return open_page(path.as_uri() + where, may_ask_for=path.as_uri(), **options)

    return opened


def expect_chosen(page, name):
    """Check which span is shown."""
    expect(page.locator(".detail h2")).to_have_text(name)


def test_a_conversation_reads_from_top_to_bottom(opened):
    """What a call before had is folded, what is new is set apart, the answer is open and its Markdown is rendered."""
    page = opened(agent_trace())
    page.keyboard.press("]")
    page.keyboard.press("]")
    expect_chosen(page, "chat m-1")
    assert page.locator(".detail details.group").first.get_attribute("open") is None
    assert (
        page.locator(".detail details.group > summary").first.inner_text()
        == "3 earlier messages, as in the call before"
    )
    assert page.locator(".detail .divide").all_inner_texts() == ["New in this call", "Answer"]
    assert page.locator(".detail .markdown h3").inner_text() == "Sunny"
    assert page.locator(".detail .markdown li").all_inner_texts() == ["warm", "dry"]
    page.get_by_text("3 earlier messages").click()
    roles = page.locator(".detail .message .role").all_inner_texts()
    assert roles == ["System", "User", "Assistant", "Tool", "Assistant"]


def test_call_result_and_definition_are_one_click_apart(opened):
    """From a call one click shows its definition, its result, and the tool's run, which leads back to the model."""
    page = opened(agent_trace())
    call = page.locator(".call[data-call=c1]")
    call.get_by_role("button", name="Definition").click()
    assert "Look outside." in call.inner_text()
    call.get_by_role("button", name="Result").click()
    assert page.locator(".flash .role").inner_text() == "Tool"
    call.get_by_role("button", name="Its run").click()
    expect_chosen(page, "execute_tool weather")
    page.get_by_role("button", name="Asked by").click()
    expect_chosen(page, "chat m-1")


def test_the_tree_has_totals_and_folds_idle_time(opened):
    """A row has tokens, also of all below, and its duration; an idle gap is folded; the critical path is marked."""
    page = opened(agent_trace())
    first = page.locator(".row").first
    assert [cell.inner_text() for cell in first.locator(".number").all()] == ["2,400 → 68", "10.00 s"]
    assert "1 idle gap folded, 7.00 s" in page.locator(".legend").inner_text()
    assert page.locator(".row.critical").count() == 7
    widths = page.locator(".row .track i").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().width)")
    assert widths[1] > widths[0] / 4  # a second of three, once the gap is folded


def test_the_keyboard_alone_is_enough(opened):
    """Arrows move and fold, digits change the view, a slash searches, Escape leaves the field."""
    page = opened(agent_trace())
    expect_chosen(page, "invoke_agent helper")
    page.keyboard.press("ArrowDown")
    expect_chosen(page, "model")
    page.keyboard.press("ArrowLeft")
    assert page.locator(".row:visible").count() == 6
    page.keyboard.press("ArrowRight")
    assert page.locator(".row:visible").count() == 7
    page.keyboard.press("/")
    page.keyboard.type("weather")
    assert page.locator(".row:visible").all_inner_texts()[0].split() == ["tool", "weather", "1.00", "s"]
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    assert page.locator("svg [role=button]").count() == 2
    page.keyboard.press("3")
    page.keyboard.press("/")
    page.keyboard.type("sunny")
    assert page.locator(".text [role=status]").inner_text().endswith("of 3")
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()


def test_the_graph_counts_visits_and_leads_to_them(opened):
    """A node of the graph says how often it ran and how long; a click shows its span."""
    page = opened(agent_trace())
    page.get_by_role("tab", name="Graph").click()
    node = page.get_by_role("button", name="model, 2 visits, 2.00 s")
    node.click()
    expect_chosen(page, "model")


def test_the_list_filters_and_groups_by_session(opened):
    """Of several traces there is a list: filtered by words and by errors, grouped into the turns of a session."""
    failed = recorded(9, name="chain", trace_id=5, error="broke", attributes={"session.id": "thread-7"})
    page = opened([*agent_trace(), failed])
    assert page.locator(".traces a").count() == 2
    page.get_by_role("searchbox").fill("rome weather")
    assert page.locator(".traces .question").all_inner_texts() == ["Weather in **Rome**?"]
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="With errors").click()
    assert page.locator(".traces a").count() == 1
    page.get_by_role("button", name="With errors").click()
    page.get_by_role("button", name="By session").click()
    assert page.locator(".session").inner_text().startswith("Session thread-7")


def test_a_trace_that_is_not_in_the_file_is_named(opened):
    """A link to a trace that the file lacks leads to a page that says so, and back to all traces."""
    page = opened([*agent_trace(), recorded(1, name="resumed", trace_id=5, links=[link(7, "resumed_from", 6)])])
    page.locator(".traces a", has_text="resumed").click()
    page.get_by_role("link", name="Resumed from").click()
    page.get_by_text("is not here").wait_for()
    page.get_by_role("link", name="All traces").click()
    expect(page.locator(".traces a")).to_have_count(2)


def test_a_stored_image_is_shown(opened, tmp_path):
    """An image that the run has put aside on this machine is part of the page."""
    path = tmp_path / f"{'a' * 32}.png"
    path.write_bytes(base64.b64decode(PIXEL))
    parts = [
        {"type": "uri", "modality": "image", "uri": path.as_uri()},
        {"type": "blob", "mime_type": "image/png", "content": PIXEL},
    ]
    page = opened([recorded(1, attributes=model_call([{"role": "user", "parts": parts}], []))])
    expect(page.locator(".detail img")).to_have_count(2)
    page.wait_for_function("[...document.images].every(image => image.naturalWidth === 1)")


def test_content_that_is_not_there_is_explained(opened):
    """Where no content was recorded the page says which switch is for it; what was shortened is named, too."""
    ours = {"langchain.run.id": "1", "gen_ai.operation.name": "chat", "runspan.shortened.original_size": 5_000_000}
    page = opened([recorded(1, name="chat", attributes=ours)])
    said = page.locator(".detail").inner_text()
    assert "RUNSPAN_CAPTURE_CONTENT" in said
    assert "it had 5,000,000 bytes" in said


def test_the_spans_can_be_taken_out_again(opened, tmp_path):
    """The download is OTLP JSON with all that the page was made of."""
    spans = agent_trace()
    page = opened(spans)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download OTLP").click()
    download.value.save_as(tmp_path / "again.jsonl")
    again = read_recording(tmp_path / "again.jsonl")
    assert [(each.span_id, dict(each.attributes), len(each.links)) for each in again] == [
        (each.span_id, dict(each.attributes), len(each.links)) for each in spans
    ]


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>",
    "![x](https://evil.example/pixel.png)",
    "[click](javascript:alert(1))",
    "<a href='javascript:alert(1)'>x</a>",
    "{{policy}} {{scripts}} ${alert(1)} `",
    "\u202e\u2028\u2029\x00\x1b[31m",
    "__proto__",
    '"><iframe src=https://evil.example></iframe>',
]


def test_nothing_of_a_trace_runs_or_loads(opened):
    """Hostile texts in every place that a span has run nothing and load nothing, in every view."""
    evil = "\n\n".join(HOSTILE)
    tool = {"name": evil, "description": evil, "parameters": {evil: evil}}
    medium = {"type": "blob", "mime_type": "text/html", "content": "PHNjcmlwdD4="}
    picture = {"type": "uri", "modality": "image", "uri": "https://evil.example/x.png"}
    message = {
        "role": evil,
        "name": evil,
        "parts": [{"type": "text", "content": evil}, medium, picture, {"type": evil}],
    }
    attributes = model_call(
        [message, text("user", evil)],
        [
            text("assistant", evil),
            {**CALL, "parts": [{"type": "tool_call", "id": evil, "name": evil, "arguments": evil}]},
        ],
        **{"gen_ai.tool.definitions": json.dumps([tool]), "session.id": evil, "user.id": evil, evil: evil},
        **{"gen_ai.request.model": evil, "langchain.run.outcome": evil, "error.type": evil, "gen_ai.agent.name": evil},
    )
    node = {**NODE, "langgraph.node": evil, "input.value": evil, "output.value": f'{{"__proto__": {json.dumps(evil)}}}'}
    page = opened(
        [
            recorded(
                1, name=evil, attributes={"gen_ai.operation.name": "invoke_workflow"}, resource={"service.name": evil}
            ),
            recorded(2, 1, evil, attributes=node, error=evil, events=[(evil, {evil: evil})], links=[link(9, evil, 77)]),
            recorded(3, 2, evil, attributes=attributes, error=evil, scope=evil),
            recorded(4, name=evil, trace_id=8, attributes={"input.value": evil}),
        ]
    )
    page.locator(".traces a").first.click()
    page.go_back()
    page.locator(".traces a").last.click()
    for _ in range(3):
        for summary in page.locator("summary").all():
            summary.evaluate("summary => summary.parentElement.open = true")
        page.wait_for_timeout(100)
        page.keyboard.press("ArrowDown")
    for tab in ("Graph", "Text"):
        page.get_by_role("tab", name=tab).click()
    assert (
        page.evaluate("document.querySelectorAll('iframe, img, object, embed, base, form:not([method=dialog])').length")
        == 0
    )
    assert page.evaluate("({}).polluted") is None


@pytest.mark.parametrize(
    "text_of_a_message",
    [
        "a_" * 70_000,
        "> " * 70_000,
        "[" * 150_000,
        "x" * 3_000_000,
        json.dumps(list(range(100_000))),
        "[" * 5000 + "]" * 5000,
    ],
    ids=["emphasis", "quotes", "brackets", "long", "list", "nested"],
)
def test_no_text_stops_the_page(opened, text_of_a_message):
    """Texts that are very long, or nested very deeply, are shown all the same, in one way or another."""
    page = opened([recorded(1, attributes=model_call([text("user", "?")], [text("assistant", text_of_a_message)]))])
    expect(page.locator(".detail .message.assistant .inside > .content")).to_be_visible()
    page.keyboard.press("3")
    expect(page.locator(".text pre")).to_contain_text("assistant: ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
def test_people_can_use_it(opened, width, scheme):
    """The axe finds no serious fault in list, spans, graph and text: narrow and wide, light and dark."""
    failed = recorded(9, name="chain", trace_id=5, error="broke", attributes={"langchain.run.outcome": "cancelled"})
    page = opened([*agent_trace(), failed], width=width, color_scheme=scheme, bypass_csp=True)
    found = serious(page)
    page.locator(".traces a", has_text="Rome").click()
    page.keyboard.press("]")
    found += serious(page)
    for tab in ("Graph", "Text"):
        page.get_by_role("tab", name=tab).click()
        found += serious(page)
    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def serious(page):
    """Return what the axe calls serious or worse, with the element."""
    violations = Axe().run(page).response["violations"]
    return [
        (each["id"], node["html"][:200], node["failureSummary"][-160:])
        for each in violations
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def test_a_large_trace_opens(opened, chromium, record_property):
    """A thousand spans with five megabytes of text open; how long scripts worked is reported."""
    long = "All work and no play. " * 1000
    spans = [recorded(1, name="invoke_agent", end=1000, attributes={"gen_ai.operation.name": "invoke_agent"})]
    for number in range(2, 1001):
        call = model_call([text("user", f"{number} {long[:5000]}")], [text("assistant", str(number))])
        spans.append(recorded(number, 1, "chat m-1", start=number - 1, end=number, attributes=call))
    page = opened(spans)
    chromium.start_tracing(page=page, categories=["devtools.timeline"])
    page.reload()
    page.wait_for_selector(".row")
    assert page.locator(".row").count() == 1000
    seconds = script_seconds(json.loads(chromium.stop_tracing())["traceEvents"])
    print(f"1,000 spans, {len(static_page(spans)) / 1e6:.1f} MB: {seconds:.2f} s of scripts")
    record_property("script_seconds", seconds)
    page.get_by_role("tab", name="Text").click()
    page.get_by_role("searchbox").fill("999 All work")
    assert page.locator(".text [role=status]").inner_text() == "1 of 1"


def script_seconds(events):
    """Return how long scripts worked, of the outermost events of the browser's trace."""
    worked = sorted(
        (each["ts"], each["ts"] + each["dur"])
        for each in events
        if each.get("name") in ("EvaluateScript", "FunctionCall") and "dur" in each
    )
    total, reached = 0, 0
    for start, end in worked:
        total += max(end - max(start, reached), 0)
        reached = max(reached, end)
    return total / 1e6


def test_the_page_is_small():
    """Without a trace the page has at most 150 KB, all scripts and styles in it."""
    assert len(static_page([]).encode()) <= 150 * 1024
