"use strict";
/* Where traces come from, which one is shown, and the keys. */

const main = document.getElementById("main");
const embedded = document.getElementById("traces");
const isLive = embedded === null;
const known = new Map((isLive ? [] : JSON.parse(embedded.textContent)).map((trace) => [trace.id, trace]));
let view = null;
let updateList = null;
let tab = null;

const FIRST_LISTED = 50; // the rest follows, as a server may have to make what a list shows of a thousand traces

async function summaries(limit = "") {
  if (!isLive) return [...known.values()];
  return (await fetch(`api/traces?limit=${limit}`)).json();
}

async function traceWith(id) {
  if (!isLive) return known.get(id);
  const answer = await fetch(`api/traces/${id}`);
  return answer.ok ? answer.json() : undefined;
}

async function route() {
  const { hash } = location;
  const [, what, id, spanId] = hash.split("/");
  if (what === "trace") {
    if (view?.trace.id !== id) {
      const trace = await traceWith(id);
      if (location.hash !== hash) return; // one has gone elsewhere meanwhile
      if (trace) openTrace(trace);
      else showMissing(id);
    }
    if (view?.trace.id === id) view.show(Math.max(view.trace.spans.findIndex((span) => span.id === spanId), 0));
  } else if (!isLive && known.size === 1) {
    location.replace(`#/trace/${[...known.keys()][0]}`);
  } else {
    const latest = await summaries(FIRST_LISTED);
    if (location.hash !== hash) return;
    view = null;
    path("Traces");
    updateList = showList(main, latest);
    if (isLive) refresh();
  }
}

function setPlace(hash) {
  try {
    history.replaceState(null, "", hash);
  } catch {
    // Within a notebook the page has no address of its own.
  }
}

function showMissing(id) {
  view = null;
  main.replaceChildren(h("p.empty", {}, `Trace ${id} is not here. `, h("a", { href: "#/" }, "All traces")));
}

function path(...names) {
  document.title = `${names.at(-1)} · runspan`;
  document.getElementById("path").replaceChildren(...names.map((name, at) => h("li.cut", {}, at + 1 < names.length ? h("a", { href: "#/" }, name) : name)));
}

/* One trace. */

function openTrace(trace) {
  path(...(isLive || known.size > 1 ? ["Traces"] : []), trace.name);
  const go = (index) => {
    showTab("spans");
    // The place is in the address, to be shared; going back leads to where one was before this trace.
    setPlace(`#/trace/${trace.id}/${view.trace.spans[index].id}`);
    view.show(index);
  };
  const stage = h("div.trace", {});
  view = { trace, tree: makeTree(trace, go), go, stage, text: null, index: 0 };
  view.show = (index) => {
    view.index = index;
    view.tree.select(index, !document.activeElement?.matches("input"));
    stage.querySelector(".detail")?.replaceWith(makeDetail(view.trace, index, go));
  };
  main.replaceChildren(traceHead(trace), tabs(trace), stage);
  tab = null;
  showTab("spans");
}

function traceHead(trace) {
  const { total } = trace;
  return h("div.head", {}, h("h1.cut", { dir: "auto" }, trace.question || trace.name),
    h("div.chips", { tabindex: 0, role: "group", "aria-label": "About the trace" }, total.errors ? h("span.badge.error", {}, `✕ ${plural(total.errors, "error")}`) : null,
      chip("took", trace.is_open ? "running" : duration(trace.duration)), chip("models", trace.models.join(", ")), chip("tokens", tokens(total)),
      total.cost === undefined ? null : chip("cost", money(total.cost, trace.currency)),
      chip("session", trace.session), chip("user", trace.user), chip("began", moment(trace.began)), chip("service", trace.service)));
}

const TABS = { spans: "Spans", graph: "Graph", text: "Text" };

function tabs(trace) {
  const buttons = Object.entries(TABS).map(([name, label]) => h("button", { type: "button", role: "tab", "data-tab": name, onclick: () => showTab(name) }, label));
  return h("div.tabs", {}, h("div", { role: "tablist", "aria-label": "Views" }, buttons),
    h("div.rest", {}, h("span.wide-only", {}, copyButton(trace.id, "Copy trace id")), h("button", { type: "button", onclick: () => download(trace) }, "Download OTLP")));
}

function showTab(name) {
  const { stage, trace, tree, go } = view;
  for (const button of main.querySelectorAll("[data-tab]")) button.setAttribute("aria-selected", String(button.dataset.tab === name));
  if (tab === name) return;
  tab = name;
  view.text = name === "text" ? showText(trace) : null;
  if (name === "spans") {
    stage.replaceChildren(h("div.panes", {}, tree.element, makeDetail(trace, view.index, go)));
    tree.draw(); // it was scrolled to its top when it was taken out
    tree.select(view.index, false);
  } else stage.replaceChildren(name === "graph" ? showGraph(trace, go) : view.text.element);
}

/** The spans as OTLP JSON: from the server, or packed within this page. */
async function download(trace) {
  const packed = document.getElementById("otlp");
  let stream;
  if (packed) {
    const bytes = Uint8Array.from(atob(packed.textContent), (character) => character.charCodeAt(0));
    stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  } else {
    stream = (await fetch(`api/traces/${trace.id}/otlp`)).body;
  }
  const lines = (await new Response(stream).text()).split("\n").filter(Boolean);
  const ofTrace = lines.filter((line) => JSON.parse(line).resourceSpans[0].scopeSpans[0].spans[0].traceId === trace.id); // a span is a line
  const link = h("a", { href: URL.createObjectURL(new Blob([`${ofTrace.join("\n")}\n`], { type: "application/json" })), download: `trace-${trace.id}.jsonl` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/* Keys, theme, news. */

const MODEL_KEYS = { "[": -1, "]": 1 };
const TRACE_KEYS = {
  ArrowDown: () => view.tree.move(1), j: () => view.tree.move(1),
  ArrowUp: () => view.tree.move(-1), k: () => view.tree.move(-1),
  ArrowLeft: () => view.tree.left(), ArrowRight: () => view.tree.right(),
  1: () => showTab("spans"), 2: () => showTab("graph"), 3: () => showTab("text"),
  "/": () => (view.text?.search ?? view.tree.filter).focus(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.getElementById("keys").open) return;
  if (event.target.matches("input")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.target.closest(".detail, summary, .text pre") && event.key.startsWith("Arrow")) return;
  if (event.key === "?") document.getElementById("keys").showModal();
  else if (event.key === "t") changeTheme();
  else if (event.key === "Escape" && (isLive || known.size > 1)) location.hash = "#/";
  else if (view && MODEL_KEYS[event.key]) nextModel(MODEL_KEYS[event.key]);
  else if (view && TRACE_KEYS[event.key]) TRACE_KEYS[event.key]();
  else if (!view && event.key === "/") main.querySelector("input").focus();
  else if (!view && ["ArrowDown", "ArrowUp", "j", "k"].includes(event.key)) nextRow(["ArrowDown", "j"].includes(event.key) ? 1 : -1);
  else return;
  event.preventDefault();
});

function nextModel(step) {
  const { trace, index, go } = view;
  for (let at = index + step; trace.spans[at]; at += step) {
    if (trace.spans[at].kind === "model") return go(at);
  }
}

function nextRow(step) {
  const rows = [...main.querySelectorAll(".traces a")];
  const at = rows.indexOf(document.activeElement);
  rows[at < 0 ? 0 : Math.min(Math.max(at + step, 0), rows.length - 1)]?.focus();
}

function changeTheme() {
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  const { dataset } = document.documentElement;
  dataset.theme = (dataset.theme ?? (isDark ? "dark" : "light")) === "dark" ? "light" : "dark";
}

document.getElementById("theme").onclick = changeTheme;
document.getElementById("help").onclick = () => document.getElementById("keys").showModal();
window.addEventListener("hashchange", route);
function listen() {
  const live = document.getElementById("live");
  const news = new EventSource("api/news");
  news.onopen = () => {
    live.textContent = "● live";
    refresh(); // what came before, or while the connection was lost
  };
  news.onerror = () => (live.textContent = "○ not connected");
  news.onmessage = (event) => {
    if (!view || JSON.parse(event.data).includes(view.trace.id)) refresh();
  };
}

const refresh = oneAtATime(async () => {
  if (view) await refreshTrace(view);
  else if (updateList) updateList(await summaries());
});

/** Show what a trace has by now: what was chosen, folded, scrolled and typed stays. */
async function refreshTrace(shown) {
  const fresh = await traceWith(shown.trace.id);
  if (!fresh || view !== shown) return;
  const spanId = view.trace.spans[view.index].id;
  view.trace = fresh;
  view.index = Math.max(fresh.spans.findIndex((span) => span.id === spanId), 0);
  main.querySelector(".head").replaceWith(traceHead(fresh));
  view.tree.update(fresh, view.index);
  if (tab === "spans") replaceAlike(view.stage.querySelector(".detail"), makeDetail(fresh, view.index, view.go));
  else if (tab === "text") view.text.update(fresh);
  else view.stage.replaceChildren(showGraph(fresh, view.go));
}

if (isLive) listen();
route();
