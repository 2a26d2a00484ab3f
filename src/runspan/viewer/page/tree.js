"use strict";
/* The spans of a trace as a tree, with bars along the time; long idle gaps are folded. */

const GAP_WIDTH = 0.02;
const ROWS = 300; // in the page at once, however many spans there are
const ROWS_ABOVE = 75; // of these, above what is to be seen

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

/** Make the tree; `choose(index)` is called when a span is chosen. Its rows are those around what is to be seen. */
function makeTree(trace, choose) {
  const closed = new Set(); // ids, as indices change while a trace grows
  let facts = factsOf(trace);
  let shown = []; // the spans that are not folded or filtered away
  let rows = new Map(); // those in the page, by index
  let [from, until] = [0, 0];
  let current = 0;
  let query = "";

  const list = h("div", { role: "tree", "aria-label": "Spans" });
  const filter = h("input", { type: "search", placeholder: "Find spans", "aria-label": "Find spans" });
  const gaps = h("span");
  const legend = h("div.legend", {}, filter, h("span.mark", {}, "on the critical path"), gaps);
  const element = h("section.tree", { "aria-label": "Tree of spans" }, legend, list);

  const rowHeight = () => rows.values().next().value?.offsetHeight || 30;
  const mark = () => {
    const tabStop = rows.get(current) ?? rows.values().next().value;
    for (const [index, row] of rows) {
      row.setAttribute("aria-selected", String(index === current));
      row.setAttribute("tabindex", row === tabStop ? 0 : -1);
      if (!facts.children[index]) continue;
      const isClosed = closed.has(trace.spans[index].id);
      row.setAttribute("aria-expanded", String(!isClosed));
      row.querySelector(".fold").textContent = isClosed ? "▸" : "▾";
    }
  };
  const draw = () => {
    const isFocused = list.contains(document.activeElement);
    from = Math.max(Math.min(Math.floor(element.scrollTop / rowHeight()) - ROWS_ABOVE, shown.length - ROWS), 0);
    until = Math.min(from + ROWS, shown.length);
    rows = new Map(shown.slice(from, until).map((index) => [index, rows.get(index) ?? treeRow(trace, index, facts)]));
    list.style.setProperty("--above", from);
    list.style.setProperty("--below", shown.length - until);
    list.replaceChildren(...rows.values());
    mark();
    if (isFocused) rows.get(current)?.focus({ preventScroll: true });
  };
  const refresh = () => {
    shown = query ? [...trace.spans.keys()].filter((index) => matches(trace.spans[index], query)) : unfolded(trace.spans, closed);
    draw();
  };
  const fold = (index, isClosed) => {
    if (!facts.children[index]) return;
    if (isClosed) closed.add(trace.spans[index].id);
    else closed.delete(trace.spans[index].id);
    refresh();
  };
  const select = (index, isFocused = true) => {
    current = index;
    let parent = trace.spans[index].parent;
    let wasFolded = false;
    for (; parent !== null; parent = trace.spans[parent].parent) wasFolded = closed.delete(trace.spans[parent].id) || wasFolded;
    if (wasFolded) refresh();
    const at = shown.indexOf(index);
    if (at >= 0 && !rows.has(index)) {
      element.scrollTop = at * rowHeight() - element.clientHeight / 2;
      draw();
    }
    mark();
    rows.get(index)?.scrollIntoView({ block: "nearest" });
    if (isFocused) rows.get(index)?.focus({ preventScroll: true });
  };
  const move = (step) => {
    const next = shown[shown.indexOf(current) + step];
    if (next !== undefined) choose(next);
  };
  const left = () => {
    const { parent, id } = trace.spans[current];
    if (facts.children[current] && !closed.has(id)) fold(current, true);
    else if (parent !== null) choose(parent);
  };
  /** Show the same trace with what it has by now; `index` is where the chosen span stands. */
  const update = (fresh, index) => {
    trace = fresh;
    facts = factsOf(fresh);
    current = index;
    rows.clear();
    gaps.textContent = gapsText(fresh.gaps);
    refresh();
  };

  element.onscroll = () => {
    const top = element.scrollTop / rowHeight();
    if ((from > 0 && top < from + ROWS_ABOVE / 4) || (until < shown.length && top > until - ROWS / 2)) draw();
  };
  list.onclick = (event) => {
    const row = event.target.closest(".row");
    if (!row) return;
    const index = Number(row.dataset.index);
    if (event.target.closest(".fold")) fold(index, !closed.has(trace.spans[index].id));
    else choose(index);
  };
  filter.oninput = () => {
    query = filter.value.trim().toLowerCase();
    element.scrollTop = 0;
    refresh();
  };
  update(trace, 0);
  return { element, filter, draw, select, move, left, right: () => fold(current, false), update };
}

/** Return what the rows of a trace share: the scale of time, and each span's number of children and place among its siblings. */
function factsOf(trace) {
  const children = trace.spans.map(() => 0);
  let roots = 0;
  const places = trace.spans.map(({ parent }) => (parent === null ? ++roots : ++children[parent]));
  return { scale: timeScale(trace), children, places, roots };
}

/** Return the spans that are below no closed one; parents come first. */
function unfolded(spans, closed) {
  const isHidden = [];
  spans.forEach(({ parent }, index) => (isHidden[index] = parent !== null && (isHidden[parent] || closed.has(spans[parent].id))));
  return [...spans.keys()].filter((index) => !isHidden[index]);
}

function gapsText(gaps) {
  return gaps.length ? `${plural(gaps.length, "idle gap")} folded, ${duration(gaps.reduce((sum, gap) => sum + gap.end - gap.start, 0))}` : "";
}

function matches(span, query) {
  return [span.name, span.kind, span.model, span.error ?? "", span.error_type, span.outcome, span.node].join(" ").toLowerCase().includes(query);
}

function treeRow(trace, index, { scale, children, places, roots }) {
  const span = trace.spans[index];
  const start = scale.at(span.start);
  const end = scale.at(span.end ?? trace.duration);
  const percent = (fraction) => `${(fraction * 100).toFixed(3)}%`;
  const state = span.error !== null ? ".failed" : span.end === null ? ".open" : "";
  const length = span.end === null ? "running" : duration(span.end - span.start);
  const counts = span.kind === "model" ? span.usage : span.total;
  const modelName = span.model && !span.name.includes(span.model) ? h("span.model-name.cut", {}, span.model) : null;
  return h(`div.row${span.is_critical ? ".critical" : ""}`,
    { role: "treeitem", "aria-level": span.depth + 1, "aria-posinset": places[index], "aria-setsize": span.parent === null ? roots : children[span.parent], "data-index": index },
    h("span.title", { "--depth": Math.min(span.depth, 14) }, h("span.fold", { "aria-hidden": "true" }), kindLabel(span.kind), h("span.name.cut", { title: span.name }, span.label), modelName, badges(span)),
    h(`span.number.tokens${span.kind === "model" ? ".own" : ""}`, { title: `tokens ${span.kind === "model" ? "" : "of all below, "}in → out: ${tokens(counts)}` }, tokens(counts, brief)),
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
