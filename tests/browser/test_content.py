"""How the page shows what was said: Markdown, JSON, text, reasoning, sound; what can be copied; colours."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.traces import agent_trace, expect_chosen
from tests.recorded import TRACE_ID, model_call, recorded, text

CLIPBOARD = ["clipboard-read", "clipboard-write"]


def answered(*parts):
    """Make a trace of one call of a model."""
    return [
        recorded(1, name="chat", attributes=model_call([text("user", "?")], [{"role": "assistant", "parts": parts}]))
    ]


def test_preview_raw_and_copy(opened):
    """An answer is a preview or what was recorded, by a button each; the third copies what was recorded."""
    said = "# Title\n\n- one"
    page = opened(answered({"type": "text", "content": said}), permissions=CLIPBOARD)
    answer = page.locator(".message.assistant .content")
    expect(answer.locator("h3")).to_have_text("Title")
    answer.hover()
    answer.get_by_role("button", name="Raw").click()
    expect(answer.locator("pre")).to_have_text(said)
    answer.get_by_role("button", name="Copy").click()
    expect(answer.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == said
    answer.get_by_role("button", name="Preview").click()
    expect(answer.locator("h3")).to_have_text("Title")


@pytest.mark.parametrize("width", [400, 1400])
@pytest.mark.parametrize("content", ["a word " * 60, "word\n" * 5 + "a word " * 60, json.dumps(["a word " * 60] * 3)])
def test_buttons_cover_no_text(opened, width, content):
    """The lines of a text go around the buttons that it has, as a preview and raw."""
    page = opened(answered({"type": "text", "content": content}), width=width)
    answer = page.locator(".message.assistant .content")
    covered = """content => {
        const buttons = content.querySelector(".tools").getBoundingClientRect();
        const range = new Range();
        const texts = document.createTreeWalker(content.lastChild, NodeFilter.SHOW_TEXT);
        const lines = [];
        while (texts.nextNode()) {
            range.selectNodeContents(texts.currentNode);
            lines.push(...range.getClientRects());
        }
        const isCovered = line => line.right > buttons.left + 1 && line.top < buttons.bottom - 5;
        return [lines.length, lines.filter(isCovered).length];
    }"""
    for name in ("Preview", "Raw"):
        answer.hover()
        answer.get_by_role("button", name=name).click()
        lines, covered_lines = answer.evaluate(covered)
        assert lines > 1
        assert covered_lines == 0


@pytest.mark.parametrize(
    ("content", "shown_as"),
    [
        ("*x* " * 1000, "markdown"),
        ("a word " * 21_500, "markdown"),
        ("a word " * 22_000, "pre"),
        (json.dumps({"rows": [{"a": 1, "b": [2, 3]}]}), "json"),
        (json.dumps(["x" * 1000] * 1900), "json"),
        (json.dumps(["x" * 1000] * 2100), "pre"),
    ],
    ids=["marks", "150 KB", "more than 150 KB", "JSON", "2 million characters", "more than 2 million"],
)
def test_the_size_decides_how_a_text_is_shown(opened, content, shown_as):
    """Markdown up to 150 KB is rendered, JSON up to 2 million characters is a tree, the rest is text."""
    page = opened(answered({"type": "text", "content": content}))
    body = page.locator(".message.assistant .content > div:last-child")
    expect(body.locator("> .markdown, > .json, > pre, > div > pre")).to_have_count(1)
    expect(body.locator("> .markdown")).to_have_count(int(shown_as == "markdown"))
    expect(body.locator("> .json")).to_have_count(int(shown_as == "json"))


def test_a_tree_of_json_unfolds(opened):
    """A branch is made when it is opened."""
    page = opened(answered({"type": "text", "content": json.dumps({"filler": "x" * 4000, "deep": {"leaf": 7}})}))
    expect(page.get_by_text("leaf: 7")).to_have_count(0)
    page.locator(".branch summary", has_text="deep").click()
    expect(page.get_by_text("leaf: 7")).to_be_visible()


def test_reasoning_is_folded(opened):
    """What a model thought is there, folded; a click shows it."""
    page = opened(answered({"type": "reasoning", "content": "First, the weather."}, {"type": "text", "content": "Go."}))
    expect(page.get_by_text("First, the weather.")).to_have_count(0)
    page.locator("summary", has_text="Reasoning").click()
    expect(page.get_by_text("First, the weather.")).to_be_visible()


def test_a_stored_sound_can_be_played(opened):
    """Audio whose data the span has is played by the page; what it can not show is named."""
    sound = {"type": "blob", "mime_type": "audio/wav", "modality": "audio", "content": "UklGRiQAAABXQVZF"}
    elsewhere = {"type": "uri", "modality": "video", "uri": "https://videos.example/1"}
    page = opened(answered(sound, elsewhere))
    expect(page.locator(".detail audio[controls]")).to_have_count(1)
    expect(page.get_by_text("video, not stored with the trace")).to_be_visible()


def test_calls_of_models_are_a_button_apart(opened):
    """From each call of a model buttons lead to the one before and the next."""
    page = opened(agent_trace())
    page.keyboard.press("]")
    expect(page.get_by_role("button", name="Model call before")).to_have_count(0)
    page.get_by_role("button", name="Next model call").click()
    expect(page.locator(".row[aria-selected=true] .number").first).to_have_text("1,200 → 34")
    expect(page.get_by_role("button", name="Next model call")).to_have_count(0)
    page.get_by_role("button", name="Model call before").click()
    expect_chosen(page, "chat m-1")
    expect(page.get_by_role("button", name="Next model call")).to_have_count(1)


def test_thread_and_checkpoint_are_copied(opened):
    """What a graph is resumed by is shown, each with a button that copies it."""
    graph = {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.conversation.id": "thread-7",
        "langgraph.checkpoint.id": "1ef-c",
    }
    page = opened([recorded(1, name="invoke_workflow refund", attributes=graph)], permissions=CLIPBOARD)
    for name, value in (("thread_id", "thread-7"), ("checkpoint_id", "1ef-c")):
        page.locator(".detail .chip", has_text=name).get_by_role("button").click()
        page.wait_for_function("value => navigator.clipboard.readText().then(text => text === value)", arg=value)


def test_light_and_dark_can_be_chosen(opened):
    """The page follows the system; a key and a button change it."""
    page = opened(agent_trace(), color_scheme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(colour)
    page.keyboard.press("t")
    light = page.evaluate(colour)
    page.get_by_role("button", name="Light or dark").click()
    assert (dark, light, page.evaluate(colour)) == ("rgb(20, 23, 28)", "rgb(255, 255, 255)", "rgb(20, 23, 28)")


@pytest.mark.parametrize(("width", "height"), [(400, 800), (900, 800), (1280, 800), (3840, 2160)])
def test_nothing_overlaps_at_any_width(opened, width, height):
    """From 400 pixels to 4K the page scrolls in no direction, and no text or cell covers another or leaves its box."""
    failed = recorded(8, 1, error="broke", attributes={"user.id": "ada"})
    usage = {"gen_ai.usage.input_tokens": 999_499, "gen_ai.usage.output_tokens": 99_949}
    long = recorded(
        9, 1, "chat", end=3_599_000, scope="a.library", attributes={"gen_ai.operation.name": "chat", **usage}
    )
    named = {**long.attributes, "session.id": "f" * 80}
    other = recorded(10, trace_id=TRACE_ID + 1, end=3_599_000, attributes=named)
    spans = [*agent_trace(resource={"service.name": "a-service"}), failed, long, other]
    page = opened(spans, f"#/trace/{TRACE_ID:032x}", width=width, height=height)
    page.keyboard.press("]")
    page.wait_for_function("document.activeElement.matches('.row')")
    overlaps = """selector => [...document.querySelectorAll(selector)].flatMap(parent => {
        const box = child => {
            const range = new Range();
            range.selectNodeContents(child);
            return (child.matches(".chip, .number") ? range : child).getBoundingClientRect();
        };
        const boxes = [...parent.children].map(box).filter(box => box.width);
        const covers = (one, other) => one.left < other.right - 1 && other.left < one.right - 1
            && one.top < other.bottom - 1 && other.top < one.bottom - 1;
        const isCovered = boxes.some((one, at) => boxes.slice(at + 1).some(other => covers(one, other)));
        return isCovered ? [parent.textContent] : [];
    })"""
    for selector in (".head .chips", ".detail .chips", ".row", ".tabs", ".row .title"):
        assert page.evaluate(overlaps, selector) == [], selector
    for side in ("Width", "Height"):
        scrolled, client = page.evaluate(
            f"[document.documentElement.scroll{side}, document.documentElement.client{side}]"
        )
        assert scrolled <= client
    leaving = """selector => [...document.querySelectorAll(`${selector} *`)].filter(each => each.clientWidth
        && getComputedStyle(each).overflowX === "visible" && each.scrollWidth > each.clientWidth + 1
    ).map(each => each.textContent)"""
    page.locator(".row", has_text="59 min 59 s").last.click()
    page.locator(".hint").wait_for()
    assert page.evaluate(leaving, ".detail") == []
    page.goto(page.url.partition("#")[0])
    page.locator(".traces").wait_for()
    assert page.evaluate(overlaps, ".traces .measures") == []
    assert page.evaluate(leaving, ".traces") == []
