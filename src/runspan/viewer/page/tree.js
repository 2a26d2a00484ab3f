"use strict";
/* The spans of a trace as a tree, with bars along the time; long idle gaps are folded. */

const GAP_WIDTH = 0.02;

/** Return a function from milliseconds to a fraction of the width, and the gaps as they are drawn. */
function timeScale(trace) {
  const idle = trace.gaps.reduce((sum, gap) => sum + gap.end - gap.start, 0);
  const busy = Math.max(trace.duration - idle, 1e-6);
  const room = 1 - GAP_WIDTH * trace.gaps.length;
  const at = (time) => {
    let passed = time;
    let folds = 0;
    for (const gap of trace.gaps) {
      if (time <= gap.start) break;
      const inGap = Math.min(time, gap.end) - gap.start;
      passed -= inGap;
      folds += GAP_WIDTH * (inGap / (gap.end - gap.start));
    }
    return Math.min(Math.max((passed / busy) * room + folds, 0), 1);
  };
  return { at, gaps: trace.gaps.map((gap) => [at(gap.start), at(gap.end)]) };
}

/** Make the tree; `choose(index)` is called when a span is chosen. */
function makeTree(trace, choose) {
  const scale = timeScale(trace);
  const hasChildren = new Set(trace.spans.map((span) => span.parent));
  const closed = new Set();
  const rows = trace.spans.map((span, index) => treeRow(trace, span, index, scale, hasChildren.has(index)));
  const tree = h("div", { role: "tree", "aria-label": "Spans" }, rows);
  let current = -1;
  let query = "";

  const isShown = (index) => {
    for (let parent = trace.spans[index].parent; parent !== null; parent = trace.spans[parent].parent) {
      if (closed.has(parent)) return false;
    }
    return true;
  };
  const refresh = () => {
    rows.forEach((row, index) => {
      row.hidden = query ? !matches(trace.spans[index], query) : !isShown(index);
      if (hasChildren.has(index)) {
        row.setAttribute("aria-expanded", String(!closed.has(index)));
        row.querySelector(".fold").textContent = closed.has(index) ? "▸" : "▾";
      }
    });
  };
  const fold = (index, isClosed) => {
    if (!hasChildren.has(index)) return;
    if (isClosed) closed.add(index);
    else closed.delete(index);
    refresh();
  };
  const select = (index, isFocused = true) => {
    rows[current]?.setAttribute("aria-selected", "false");
    rows[current]?.setAttribute("tabindex", "-1");
    for (let parent = trace.spans[index].parent; parent !== null; parent = trace.spans[parent].parent) closed.delete(parent);
    if (rows[index].hidden) refresh();
    current = index;
    rows[index].setAttribute("aria-selected", "true");
    rows[index].setAttribute("tabindex", "0");
    rows[index].scrollIntoView({ block: "nearest" });
    if (isFocused) rows[index].focus({ preventScroll: true });
  };
  const move = (step) => {
    let index = current + step;
    while (rows[index]?.hidden) index += step;
    if (rows[index]) choose(index);
  };
  tree.onclick = (event) => {
    const row = event.target.closest(".row");
    if (!row) return;
    const index = rows.indexOf(row);
    if (event.target.closest(".fold")) fold(index, !closed.has(index));
    else choose(index);
  };
  const left = () => {
    const { parent } = trace.spans[current];
    if (hasChildren.has(current) && !closed.has(current)) fold(current, true);
    else if (parent !== null) choose(parent);
  };
  refresh();
  const filter = h("input", { type: "search", placeholder: "Find spans", "aria-label": "Find spans" });
  filter.oninput = () => {
    query = filter.value.trim().toLowerCase();
    refresh();
  };
  const legend = h("div.legend", {}, filter, h("span.mark", {}, "on the critical path"),
    trace.gaps.length ? h("span", {}, `${plural(trace.gaps.length, "idle gap")} folded, ${duration(trace.gaps.reduce((sum, gap) => sum + gap.end - gap.start, 0))}`) : null);
  const element = h("section.tree", { "aria-label": "Tree of spans" }, legend, tree);
  return { element, filter, select, move, left, right: () => fold(current, false), current: () => current };
}

function matches(span, query) {
  return [span.name, span.kind, span.model, span.error ?? "", span.error_type, span.outcome, span.node].join(" ").toLowerCase().includes(query);
}

function treeRow(trace, span, index, scale, isParent) {
  const start = scale.at(span.start);
  const end = scale.at(span.end ?? trace.duration);
  const percent = (fraction) => `${(fraction * 100).toFixed(3)}%`;
  const state = span.error !== null ? ".failed" : span.end === null ? ".open" : "";
  const length = span.end === null ? "running" : duration(span.end - span.start);
  const counts = span.kind === "model" ? span.usage : span.total;
  const modelName = span.model && !span.name.includes(span.model) ? h("span.model-name.cut", {}, span.model) : null;
  return h(`div.row${span.is_critical ? ".critical" : ""}`,
    { role: "treeitem", "aria-level": span.depth + 1, "aria-selected": "false", tabindex: index ? -1 : 0, "data-span": span.id },
    h("span.title", { "--depth": Math.min(span.depth, 14) }, h("span.fold", { "aria-hidden": "true" }, isParent ? "▾" : ""), kindLabel(span.kind), h("span.name.cut", { title: span.name }, span.label), modelName, badges(span)),
    h(`span.number.tokens${span.kind === "model" ? ".own" : ""}`, { title: span.kind === "model" ? "tokens in → out" : "tokens of all below, in → out" }, tokens(counts)),
    h("span.number.own", {}, length),
    h("span.track", { "aria-hidden": "true" }, scale.gaps.map(([from, to]) => h("u", { "--from": percent(from), "--long": percent(to - from) })),
      h(`i.${span.kind}${state}`, { "--from": percent(Math.min(start, 0.995)), "--long": percent(Math.max(end - start, 0)) })));
}

function badges(span) {
  return [
    span.error !== null ? h("span.badge.error", {}, "✕ error") : null,
    span.outcome && span.outcome !== "error" ? h("span.badge", {}, `${OUTCOME_SIGNS[span.outcome] ?? "•"} ${span.outcome.replace("_", " ")}`) : null,
    span.attempt > 1 ? h("span.badge", {}, `↻ attempt ${span.attempt}`) : null,
    span.end === null ? h("span.badge", {}, "… running") : null,
  ];
}

const OUTCOME_SIGNS = { cancelled: "⊘", abandoned: "⇥", interrupted: "‖", handed_off: "⇢" };
