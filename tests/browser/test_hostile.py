"""Nothing of a trace runs, loads or stops the page: in a file, and as ``runspan ui`` shows it."""

import json
from contextlib import closing

import pytest
from playwright.sync_api import expect

from runspan.viewer.page import static_page
from tests.browser.traces import hostile_traces
from tests.recorded import model_call, recorded, text


def test_nothing_of_a_trace_runs_or_loads(shown):
    """Hostile texts in every place that a span has run nothing and load nothing, in every view."""
    page = shown(hostile_traces())
    expect(page.locator(".traces a")).to_have_count(2)
    page.locator(".traces a").first.click()
    page.go_back()
    page.locator(".traces a").last.click()
    rows = page.locator(".row")
    expect(rows).to_have_count(len(hostile_traces()) - 1)
    for number in range(rows.count()):
        expect(rows.nth(number)).to_have_attribute("aria-selected", "true")
        page.evaluate("for (const each of document.getElementsByTagName('details')) each.unfold(true)")
        assert page.locator("iframe, img, object, embed, base, form:not([method=dialog])").count() == 0
        page.keyboard.press("ArrowDown")
    for tab in ("Graph", "Text"):
        page.get_by_role("tab", name=tab).click()
    assert page.evaluate("({}).polluted") is None


BREACHES = """() => new Promise(resolve => {
    const found = new Set();
    document.addEventListener("securitypolicyviolation", event => found.add(event.effectiveDirective));
    const add = (tag, attributes) => document.body.append(Object.assign(document.createElement(tag), attributes));
    const attempts = {
        eval: () => eval("window.ran = 1"),
        html: () => (document.body.innerHTML += "<b>x</b>"),
        script: () => add("script", {textContent: "window.ran = 1"}),
        handler: () => document.body.setAttribute("onclick", "window.ran = 1"),
        image: () => add("img", {src: "https://evil.example/x.png"}),
        style: () => add("style", {textContent: "body { display: none }"}),
        frame: () => add("iframe", {src: "https://evil.example/"}),
        base: () => add("base", {href: "https://evil.example/"}),
        object: () => add("object", {data: "https://evil.example/"}),
    };
    const isStopped = name => { try { attempts[name](); } catch { return true; } };
    setTimeout(() => { // later: while a debugger evaluates this, it may
        const thrown = Object.keys(attempts).filter(isStopped);
        fetch("https://evil.example/").catch(() => null);
        document.body.click();
        setTimeout(() => resolve({thrown, found: [...found].sort(), ran: window.ran ?? null}), 1000);
    });
})"""


@pytest.mark.parametrize("kind", ["file", "ui"])
def test_the_policy_is_strict(chromium, request, tmp_path, kind):
    """What would get into the page all the same could neither run, nor write HTML, nor load or send anything."""
    if kind == "ui":
        url = request.getfixturevalue("ui").url
    else:
        (tmp_path / "trace.html").write_text(static_page([recorded(1)]), "utf-8")
        url = (tmp_path / "trace.html").as_uri()
    with closing(chromium.new_context()) as context:
        page = context.new_page()
        page.goto(url)
        page.locator(".row, .empty").first.wait_for()
        outcome = page.evaluate(BREACHES)
    assert outcome == {
        "thrown": ["eval", "html", "script", "handler", "object"],
        "found": ["base-uri", "connect-src", "frame-src", "img-src", "require-trusted-types-for", "style-src-elem"],
        "ran": None,
    }


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
