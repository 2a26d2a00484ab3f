"use strict";
/* The whole trace as one text, to search, to copy, to read from top to bottom. */

const MOST_MARKS = 5000;

function traceText(trace) {
  const lines = [`trace ${trace.id}  ${trace.began}  ${duration(trace.duration)}`, ""];
  const shown = new Set();
  for (const span of trace.spans) {
    const indent = "  ".repeat(span.depth);
    const time = span.end === null ? "running" : duration(span.end - span.start);
    lines.push(`${indent}${span.kind}  ${span.name}  ${[span.name.includes(span.model) ? "" : span.model, time, tokens(span.usage) && `${tokens(span.usage)} tokens`, span.outcome && `[${span.outcome}]`].filter(Boolean).join("  ")}`);
    const say = (label, text) => {
      for (const [at, line] of String(text).split("\n").entries()) lines.push(`${indent}    ${at ? " ".repeat(label.length + 2) : `${label}: `}${line}`);
    };
    if (span.error !== null) say("error", [span.error_type, span.error].filter(Boolean).join(": "));
    for (const index of span.kind === "model" || !span.total.models ? [...span.input, ...span.output] : []) {
      if (shown.has(index)) continue;
      shown.add(index);
      const each = trace.messages[index];
      for (const part of parts(each)) say(String(each.role ?? "message"), partText(part));
    }
    if (!span.input.length && span.received !== null) say("in", asText(span.received));
    if (!span.output.length && span.returned !== null) say("out", asText(span.returned));
  }
  return lines.join("\n");
}

const asText = (value) => (typeof value === "string" ? value : JSON.stringify(value));

function partText(part) {
  if (part?.type === "tool_call") return `calls ${part.name} ${asText(part.arguments ?? "")}`;
  if (part?.type === "tool_call_response") return asText(part.response ?? part.result ?? "");
  return asText(part?.content ?? part ?? "");
}

function showText(trace) {
  let text = traceText(trace);
  const node = document.createTextNode(text);
  const pre = h("pre", { tabindex: 0, "aria-label": "The trace as text" }, node);
  const search = h("input", { type: "search", placeholder: "Search all of it", "aria-label": "Search the text" });
  const count = h("span.quiet", { role: "status" });
  let found = [];
  let at = -1;
  const find = () => {
    found = ranges(node, text, search.value);
    CSS.highlights.clear();
    if (found.length) CSS.highlights.set("found", new Highlight(...found));
  };
  const show = () => {
    if (found[at]) CSS.highlights.set("current", new Highlight(found[at]));
    count.textContent = found[at] ? `${whole(at + 1)} of ${whole(found.length)}` : found.length ? `${whole(found.length)} found` : search.value ? "not there" : "";
  };
  const step = (by) => {
    if (found.length) at = (at + by + found.length) % found.length;
    show();
    if (!found[at]) return;
    const box = found[at].getBoundingClientRect();
    pre.scrollTop += box.top - pre.getBoundingClientRect().top - pre.clientHeight / 2;
  };
  search.oninput = () => {
    at = -1;
    find();
    step(1);
  };
  search.onkeydown = (event) => {
    if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
  };
  const update = (fresh) => {
    text = node.data = traceText(fresh);
    find();
    show();
  };
  const element = h("section.text", { "aria-label": "Text" }, h("div.filters", {}, search, count, copyButton(() => text, "Copy all")), pre);
  return { element, search, update };
}

function ranges(node, text, query) {
  const found = [];
  const lower = text.toLowerCase();
  const wanted = query.toLowerCase();
  if (!wanted || lower.length !== text.length) return found;
  for (let at = lower.indexOf(wanted); at >= 0 && found.length < MOST_MARKS; at = lower.indexOf(wanted, at + wanted.length)) {
    const range = new Range();
    range.setStart(node, at);
    range.setEnd(node, at + wanted.length);
    found.push(range);
  }
  return found;
}
