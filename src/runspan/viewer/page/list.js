"use strict";
/* The traces: a row for each, or the turns of a session together. */

const SLOW_PERCENTILE = 0.9;
const filters = { text: "", errors: false, slow: false, sessions: false };

/** Show the list; `summaries` come the latest first. Return a function that shows others in their place. */
function showList(main, summaries) {
  const rows = h("div", {});
  const search = h("input", { type: "search", placeholder: "Search questions, answers, models, sessions, users", "aria-label": "Search traces", value: filters.text });
  search.oninput = () => {
    filters.text = search.value;
    fill();
  };
  const toggle = (name, label) => {
    const button = h("button", { type: "button", "aria-pressed": String(filters[name]) }, label);
    button.onclick = () => {
      filters[name] = !filters[name];
      button.setAttribute("aria-pressed", String(filters[name]));
      fill();
    };
    return button;
  };
  const count = h("span.quiet", { role: "status" });
  const fill = () => {
    const focused = document.activeElement?.getAttribute("href");
    const found = chosen(summaries);
    count.textContent = found.length === summaries.length ? plural(found.length, "trace") : `${whole(found.length)} of ${plural(summaries.length, "trace")}`;
    rows.replaceChildren(...(found.length ? (filters.sessions ? sessions(found) : [traceRows(found)]) : [nothing(summaries)]));
    if (focused) rows.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  };
  fill();
  main.replaceChildren(
    h("div.list", {}, h("h1.hidden", {}, "Traces"), h("div.filters", {}, search, toggle("errors", "With errors"), toggle("slow", "Slow"), toggle("sessions", "By session"), count), rows),
  );
  return (others) => {
    summaries = others;
    fill();
  };
}

function nothing(summaries) {
  if (summaries.length) return h("p.empty", {}, "No trace has that.");
  const variable = `OTEL_EXPORTER_OTLP_ENDPOINT=${location.origin}`;
  const python = `runspan.configure(endpoint="${location.origin}")`;
  const way = (code) => h("p", {}, h("code", {}, code), " ", copyButton(code));
  return h("div.empty", {}, h("p", {}, "No traces yet. They appear here as they come, from whatever sends OTLP to this address:"), way(variable), way(python));
}

function chosen(summaries) {
  const words = filters.text.toLowerCase().split(/\s+/).filter(Boolean);
  const durations = summaries.map((each) => each.duration).sort((one, other) => one - other);
  const slow = durations[Math.floor(durations.length * SLOW_PERCENTILE)] ?? 0;
  return summaries.filter((each) => {
    const text = [each.name, each.question, each.answer, each.models.join(" "), each.session, each.user, each.service, each.id].join(" ").toLowerCase();
    return words.every((word) => text.includes(word)) && (!filters.errors || each.total.errors) && (!filters.slow || each.duration >= slow);
  });
}

function sessions(found) {
  const bySession = Map.groupBy(found, (each) => each.session);
  return [...bySession].map(([session, traces]) => {
    const total = (name) => traces.reduce((sum, each) => sum + (each.total[name] ?? 0), 0);
    return h("section", {},
      h("div.session", {}, h("h2", {}, session ? `Session ${session}` : "Without a session"), h("span.quiet", {}, plural(traces.length, "turn")),
        chip("tokens", tokens({ input: total("input"), output: total("output") })), total("cost") ? chip("cost", money(total("cost"), traces[0].currency)) : null),
      traceRows([...traces].reverse()));
  });
}

function traceRows(traces) {
  return h("ol.traces", {}, traces.map((each) => h("li", {}, traceRow(each))));
}

function traceRow(trace) {
  const { total } = trace;
  const ended = trace.is_open ? "running" : duration(trace.duration);
  return h("a", { href: `#/trace/${trace.id}` },
    h("div.question.cut", { dir: "auto" }, trace.question || trace.name),
    h("div.answer.cut", { dir: "auto" }, unmarked(trace.answer) || (trace.question ? "no answer recorded" : "no content recorded")),
    h("div.measures", {},
      h("span.number", {}, ended),
      h("span.number", { title: `tokens in → out: ${tokens(total)}` }, tokens(total) && `${tokens(total, brief)} tokens`),
      h("span.number", {}, total.cost === undefined ? "" : money(total.cost, trace.currency))),
    h("div.about", {},
      total.errors ? h("span.badge.error", {}, `✕ ${plural(total.errors, "error")}`) : null,
      h("span", {}, trace.name), trace.models.map((model) => h("span", {}, model)),
      total.models ? h("span", {}, plural(total.models, "model call")) : null, total.tools ? h("span", {}, plural(total.tools, "tool call")) : null,
      trace.session ? h("span", {}, `session ${trace.session}`) : null, trace.user ? h("span", {}, `user ${trace.user}`) : null,
      h("span", {}, moment(trace.began)), trace.service ? h("span", {}, trace.service) : null));
}
