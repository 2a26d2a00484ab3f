"use strict";
/* The graph of a LangGraph run, from its spans: nodes with visits and times, edges as they were taken. */

const BOX = { width: 190, height: 46, gapX: 40, gapY: 44, left: 90 };
const MOST_GRAPHS = 20; // at first
const SVG = "http://www.w3.org/2000/svg";

function hasNodes(trace, span) {
  const index = trace.spans.indexOf(span);
  return trace.spans.some((each) => each.parent === index && each.kind === "node");
}

function showGraph(trace, go) {
  const visits = Map.groupBy([...trace.spans.keys()].filter((at) => trace.spans[at].kind === "node" && trace.spans[at].parent !== null), (at) => trace.spans[at].parent);
  const graphs = [...visits].sort(([one], [other]) => one - other);
  if (!graphs.length) return h("section.drawing", { "aria-label": "Graph" }, h("p.empty", {}, "No LangGraph run is in this trace."));
  const parts = (some) => some.map(([index, at]) => [h("h2", {}, trace.spans[index].name), drawing(graphOf(trace, at), go)]);
  const more = h("button", { type: "button" }, `Show all ${plural(graphs.length, "graph")}`);
  more.onclick = () => more.replaceWith(...parts(graphs.slice(MOST_GRAPHS)).flat());
  return h("section.drawing", { "aria-label": "Graph", tabindex: 0 }, parts(graphs.slice(0, MOST_GRAPHS)), graphs.length > MOST_GRAPHS ? more : null);
}

/** Return the nodes of a graph, given the spans of their visits, and how often each edge was taken. */
function graphOf(trace, visits) {
  const nodes = new Map();
  const bySteps = new Map();
  for (const at of visits) {
    const span = trace.spans[at];
    const name = span.node || span.name;
    const node = nodes.get(name) ?? { name, visits: [], time: 0, failed: false, waits: false };
    node.visits.push(at);
    node.time += span.end === null ? 0 : span.end - span.start;
    node.failed ||= span.error !== null;
    node.waits ||= span.outcome === "interrupted";
    nodes.set(name, node);
    const step = span.step ?? at;
    bySteps.set(step, (bySteps.get(step) ?? new Set()).add(name));
  }
  const edges = new Map();
  const steps = [...bySteps].sort(([one], [other]) => one - other).map(([, names]) => [...names]);
  steps.slice(1).forEach((names, at) => {
    for (const from of steps[at]) for (const to of names) edges.set(`${from}\n${to}`, { from, to, count: (edges.get(`${from}\n${to}`)?.count ?? 0) + 1 });
  });
  return { nodes, edges: [...edges.values()], rows: layers(steps) };
}

/** Each node stands in the row of its first step. */
function layers(steps) {
  const seen = new Set();
  const rows = steps.map((names) => names.filter((name) => !seen.has(name) && seen.add(name)));
  return rows.filter((names) => names.length);
}

function drawing(graph, go) {
  const place = new Map();
  graph.rows.forEach((names, row) => names.forEach((name, column) => place.set(name, { x: BOX.left + column * (BOX.width + BOX.gapX), y: 8 + row * (BOX.height + BOX.gapY), row })));
  const width = BOX.left * 2 + Math.max(...graph.rows.map((names) => names.length)) * (BOX.width + BOX.gapX);
  const height = graph.rows.length * (BOX.height + BOX.gapY) + 8;
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": "Nodes and the edges that were taken" });
  const arrow = s("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, s("path", { d: "M0 0 8 4 0 8z" }));
  svg.append(s("defs", {}, arrow), ...graph.edges.map((edge, at) => edgeShape(edge, place, at)));
  for (const node of graph.nodes.values()) svg.append(nodeShape(node, place.get(node.name), go));
  return svg;
}

function s(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function edgeShape({ from, to, count }, place, at) {
  const start = place.get(from);
  const end = place.get(to);
  const middle = BOX.width / 2;
  const isDown = end.row > start.row;
  const side = BOX.left - 24 - (at % 3) * 14;
  const [x1, y1] = isDown ? [start.x + middle, start.y + BOX.height] : [start.x, start.y + BOX.height / 2];
  const [x2, y2] = isDown ? [end.x + middle, end.y] : [end.x, end.y + BOX.height / 2];
  const d = isDown ? `M${x1} ${y1} C${x1} ${y1 + 26} ${x2} ${y2 - 26} ${x2} ${y2}` : `M${x1} ${y1} C${x1 - side} ${y1} ${x2 - side} ${y2} ${x2} ${y2}`;
  const label = count > 1 ? [s("text", { class: "small-text", x: isDown ? (x1 + x2) / 2 + 6 : Math.min(x1, x2) - side * 0.75 - 16, y: (y1 + y2) / 2 + 4 }, `${count}×`)] : [];
  return s("g", {}, s("path", { class: "edge", d, "marker-end": "url(#arrow)" }), ...label);
}

function nodeShape(node, { x, y }, go) {
  const state = node.failed ? " failed" : node.waits ? " waits" : "";
  const sign = node.failed ? "✕ " : node.waits ? "‖ " : "";
  const name = node.name.length > 22 ? `${node.name.slice(0, 21)}…` : node.name;
  let next = 0;
  const visit = () => go(node.visits[next++ % node.visits.length]);
  const shape = s("g", { class: "jump", tabindex: 0, role: "button", "aria-label": `${node.name}, ${plural(node.visits.length, "visit")}, ${duration(node.time)}` },
    s("rect", { class: `box${state}`, x, y, width: BOX.width, height: BOX.height, rx: 9 }),
    s("text", { x: x + 12, y: y + 19 }, `${sign}${name}`),
    s("text", { class: "small-text", x: x + 12, y: y + 36 }, `${plural(node.visits.length, "visit")} · ${duration(node.time)}`));
  shape.onclick = visit;
  shape.onkeydown = (event) => {
    if (event.key === "Enter") visit();
  };
  return shape;
}
