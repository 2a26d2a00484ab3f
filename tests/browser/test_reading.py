"""The page in a file, as a person uses it."""

import base64

import pytest
from playwright.sync_api import expect

from runspan.recording.otlp_file import read_recording
from runspan.viewer.page import static_page
from tests.browser.traces import QUESTION, agent_trace, expect_chosen
from tests.recorded import link, model_call, recorded, text

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


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
    roles = page.locator(".detail .message .role")
    expect(roles).to_have_text(["System", "User", "Assistant", "Tool", "Assistant"])


def test_the_last_message_is_open_the_system_prompt_is_not(opened):
    """Of a first call the question is open and the system prompt folded; of an agent the last message is open."""
    page = opened(agent_trace())
    messages = page.locator(".detail details.message")
    expect(messages.last).to_have_attribute("open", "")
    expect(messages.first).not_to_have_attribute("open", "")
    page.keyboard.press("]")
    expect_chosen(page, "chat m-1")
    opens = messages.evaluate_all("all => all.map(each => [each.querySelector('.role').textContent, each.open])")
    assert opens == [["System", False], ["User", True], ["Assistant", True]]


def test_long_messages_before_the_last_are_folded(opened):
    """Of what a call has read the last message is open, however long, and long ones before it are folded."""
    long = "a word " * 2000
    read = [text("user", long), text("assistant", "yes"), text("user", long)]
    page = opened([recorded(1, name="chat", attributes=model_call(read, [text("assistant", long)]))])
    opens = page.locator(".detail details.message").evaluate_all("all => all.map(each => each.open)")
    assert opens == [False, True, True, True]


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


def test_a_row_says_what_failed_and_what_was_waited_for(opened):
    """An error is a word and a sign in its row; only what the end waited for is on the critical path."""
    page = opened(
        [
            recorded(1, name="root", end=100),
            recorded(2, 1, "beside", end=40, error="broke"),
            recorded(
                3, 1, "last", end=100, attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-9"}
            ),
        ]
    )
    assert page.locator(".row.critical .name").all_inner_texts() == ["root", "last"]
    assert page.locator(".row", has_text="✕ error").locator(".name").all_inner_texts() == ["beside"]
    expect(page.locator(".row .model-name")).to_have_text(["m-9"])
    bars = page.locator(".row .track i").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().width)")
    assert bars[2] < bars[0] / 2 < bars[1]  # those that start together, the longest first


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        ("asked_by", "Asked by"),
        ("retry_of", "Retry of"),
        ("fallback_for", "Fallback for"),
        ("resumed_from", "Resumed from"),
    ],
)
def test_a_link_is_a_jump(opened, kind, label):
    """A link says why it is there, and leads to its span."""
    page = opened([recorded(1), recorded(2, 1, "there"), recorded(3, 1, "here", start=5, links=[link(2, kind)])])
    page.locator(".row", has_text="here").last.click()
    page.get_by_role("button", name=f"{label} there").click()
    expect_chosen(page, "there")


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


def test_a_trace_in_the_list_is_described(opened):
    """A trace has question, answer, model, tokens, cost, time, errors, session and user in the list."""
    page = opened(
        [*agent_trace(), recorded(8, 1, error="broke", attributes={"user.id": "ada"}), recorded(9, trace_id=5)]
    )
    row = page.locator(".traces a", has_text="Rome")
    expect(row.locator(".question")).to_have_text("Weather in **Rome**?")
    expect(row.locator(".answer")).to_contain_text("Sunny")
    for said in ("m-1", "2,400 → 68 tokens", "$0.04", "10.00 s", "✕ 1 error", "session thread-7", "user ada"):
        expect(row).to_contain_text(said)


def test_slow_traces_are_chosen(opened):
    """The slowest tenth is what Slow leaves."""
    page = opened([recorded(1, name=f"trace {each}", trace_id=each, end=each * 10) for each in range(1, 11)])
    expect(page.locator(".traces a")).to_have_count(10)
    page.get_by_role("button", name="Slow").click()
    expect(page.locator(".traces .question")).to_have_text(["trace 10"])


def test_a_session_has_its_turns_in_their_order(opened):
    """The traces of a session stand together, the first turn first, with sums."""
    spans = [
        recorded(
            1,
            trace_id=each,
            start=each * 100,
            attributes=model_call(
                [text("user", f"turn {each}")],
                [],
                **{"session.id": "odd" if each % 2 else "even", "gen_ai.usage.input_tokens": 3},
            ),
        )
        for each in range(1, 5)
    ]
    page = opened(spans)
    page.get_by_role("button", name="By session").click()
    expect(page.locator(".session h2")).to_have_text(["Session even", "Session odd"])
    expect(page.locator(".traces .question")).to_have_text(["turn 2", "turn 4", "turn 1", "turn 3"])
    expect(page.locator(".session").first).to_contain_text("2 turns")
    expect(page.locator(".session").first).to_contain_text("6 →")


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


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.query.text": "asked"}, "No document was recorded"),
        ({**model_call([QUESTION], []), "gen_ai.operation.name": "invoke_agent"}, "No answer was recorded"),
        (model_call([QUESTION], []), "No answer was recorded"),
    ],
    ids=["retriever", "agent", "model"],
)
def test_what_failed_has_what_it_was_given(opened, attributes, said):
    """Of a run that failed, what it was given is shown; only what is missing is said to be."""
    detail = opened([recorded(1, error="broke", attributes=attributes)]).locator(".detail")
    expect(detail.get_by_text(said)).to_be_visible()
    expect(detail.locator(".hint")).to_have_count(0)


def test_the_spans_can_be_taken_out_again(shown, tmp_path):
    """The download is OTLP JSON with all that a trace was made of, and nothing of another that links to it."""
    spans = agent_trace()
    page = shown([*spans, recorded(1, name="evaluation", trace_id=5, links=[link(7, "evaluates")])])
    page.locator(".traces a", has_text="Rome").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download OTLP").click()
    download.value.save_as(tmp_path / "again.jsonl")
    again = read_recording(tmp_path / "again.jsonl")
    assert [(each.span_id, dict(each.attributes), len(each.links)) for each in again] == [
        (each.span_id, dict(each.attributes), len(each.links)) for each in spans
    ]


def test_the_page_is_small():
    """Without a trace the page has at most 150 KB, all scripts and styles in it."""
    assert len(static_page([]).encode()) <= 150 * 1024
