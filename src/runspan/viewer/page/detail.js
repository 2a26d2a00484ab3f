"use strict";
/* One span: what it read and answered, its jumps, all that was recorded. */

const OPEN_MESSAGE_LIMIT = 4000;
const MESSAGES_SHOWN = 100;
const LINK_LABELS = { asked_by: "Asked by", reads: "Reads the result of", retry_of: "Retry of", fallback_for: "Fallback for", resumed_from: "Resumed from", evaluates: "Evaluates" };
const ROLES = { system: "System", user: "User", assistant: "Assistant", tool: "Tool", developer: "Developer" };

/** Make the pane of a span. `go(index)` shows another one. */
function makeDetail(trace, index, go) {
  const span = trace.spans[index];
  const view = { trace, span, go, pane: null };
  const parts = [detailHead(span), detailChips(trace, span), jumps(view, index)];
  if (span.error !== null) parts.push(h("div.failure", { role: "note" }, `✕ ${[span.error_type, span.error].filter(Boolean).join(": ") || "error"}`));
  if (span.shortened) parts.push(h("p.hint", {}, `This span was too large to be sent, and was shortened; it had ${whole(span.shortened)} bytes. max_request_bytes of configure() sets the limit.`));
  parts.push(...body(view), ...recorded(view));
  view.pane = h("section.detail", { "aria-label": "Span", tabindex: 0 }, parts);
  return view.pane;
}

function detailHead(span) {
  return h("header", {}, kindLabel(span.kind), h("h2", {}, span.name), badges(span));
}

function detailChips(trace, span) {
  const { usage } = span;
  const sum = span.kind === "model" ? {} : span.total;
  return h("div.chips", {},
    chip("took", span.end === null ? "running" : duration(span.end - span.start)),
    chip("after", span.start ? duration(span.start) : ""),
    chip("model", span.kind === "model" ? span.model : ""), chip("by", span.provider),
    chip("tokens in → out", tokens(usage)), chip("cached", usage.cached ? whole(usage.cached) : ""), chip("reasoning", usage.reasoning ? whole(usage.reasoning) : ""),
    span.cost === null ? null : chip("cost", money(span.cost, span.currency)),
    chip("first chunk", span.first_chunk === null ? "" : duration(span.first_chunk * 1000)), chip("chunks", span.chunks === null ? "" : whole(span.chunks)),
    chip("tokens below", tokens(sum)), sum.cost === undefined ? null : chip("cost below", money(sum.cost, trace.currency)),
    chip("node", span.node), chip("step", span.step === null ? "" : whole(span.step)),
    span.thread_id && ["agent", "graph"].includes(span.kind) ? h("span.chip", {}, "thread_id ", h("b.mono", {}, span.thread_id), " ", copyButton(span.thread_id)) : null,
    span.checkpoint_id ? h("span.chip", {}, "checkpoint_id ", h("b.mono", {}, span.checkpoint_id), " ", copyButton(span.checkpoint_id)) : null);
}

function jumps(view, index) {
  const { trace, span, go } = view;
  const calls = trace.spans.flatMap((each, at) => (each.kind === "model" ? [at] : []));
  const position = calls.indexOf(index);
  const button = (label, target) => h("button", { type: "button", onclick: () => go(target) }, label);
  const found = span.links.map((each) => {
    const label = LINK_LABELS[each.type] ?? "Linked to";
    const target = trace.spans.findIndex((other) => other.id === each.span);
    if (each.trace === trace.id && target >= 0) return button(`${label} ${trace.spans[target].name} →`, target);
    return h("a", { href: `#/trace/${each.trace}/${each.span}` }, `${label} a span of trace ${each.trace.slice(0, 8)}… →`);
  });
  if (position > 0) found.push(button("‹ Model call before", calls[position - 1]));
  if (position >= 0 && position + 1 < calls.length) found.push(button("Next model call ›", calls[position + 1]));
  return found.length ? h("div.jumps", {}, found) : null;
}

function body(view) {
  switch (view.span.kind) {
    case "model":
      return modelBody(view);
    case "tool":
      return toolBody(view);
    case "retriever":
      return retrieverBody(view);
    case "agent":
    case "graph":
      return agentBody(view);
    default:
      return inAndOut(view, "In", "Out");
  }
}

function modelBody(view) {
  const { span, trace } = view;
  if (!span.input.length && !span.output.length) return [noContent(span)];
  const known = Math.min(span.known, span.input.length);
  const parts = [];
  if (known) {
    const before = () => span.input.slice(0, known).map((each) => message(view, each, false));
    const where = span.previous === null ? "" : ", as in the call before";
    parts.push(folded("details.group", `${plural(known, "earlier message")}${where}`, before));
    parts.push(h("div.divide", {}, "New in this call"));
  }
  const fresh = span.input.slice(known);
  parts.push(...messageList(view, fresh));
  parts.push(...answer(view));
  if (span.tools.length) parts.push(folded("details.group", `${plural(span.tools.length, "tool")} could be called`, () => span.tools.map((each) => definition(trace, trace.tools[each]))));
  return parts;
}

function answer(view) {
  const { output } = view.span;
  return output.length ? [h("div.divide", {}, "Answer"), ...output.map((each) => message(view, each, true))] : [noAnswer("No answer was recorded")];
}

function noAnswer(text) {
  return h("div.divide", {}, text);
}

/** The last of the messages is open, and so are short ones; of very many the earlier ones are folded together. */
function messageList(view, indices) {
  const earlier = indices.slice(0, -MESSAGES_SHOWN);
  const latest = indices.slice(-MESSAGES_SHOWN);
  return [
    earlier.length ? folded("details.group", plural(earlier.length, "earlier message"), () => earlier.map((each) => message(view, each, false))) : null,
    ...latest.map((each, at) => message(view, each, at === latest.length - 1 || isShort(view.trace.messages[each]))),
  ];
}

function isShort(each) {
  return each.role !== "system" && JSON.stringify(each).length < OPEN_MESSAGE_LIMIT;
}

function agentBody(view) {
  const { span, trace } = view;
  const last = trace.spans.findLastIndex((each, at) => each.kind === "model" && isBelow(trace, at, span));
  const call = last >= 0 ? trace.spans[last] : null;
  const graph = hasNodes(trace, span) ? [h("p.jumps", {}, h("button", { type: "button", onclick: () => showTab("graph") }, "Its graph →"))] : [];
  if (span.kind === "agent" && call && (call.input.length || call.output.length)) {
    const own = [...call.input, ...call.output];
    return [...graph, h("p.part", {}, "The whole conversation"), ...messageList(view, own)];
  }
  if (span.input.length || span.output.length) {
    return [...graph, ...messageList(view, span.input), ...answer(view)];
  }
  return [...graph, ...inAndOut(view, "In", "Out")];
}

function isBelow(trace, index, ancestor) {
  for (let at = index; at !== null; at = trace.spans[at].parent) if (trace.spans[at] === ancestor) return true;
  return false;
}

function toolBody(view) {
  const parts = inAndOut(view, "Arguments", "Result");
  const found = view.trace.tools.find((each) => toolName(each) === view.span.tool);
  if (found) parts.push(h("p.part", {}, "Definition"), definition(view.trace, found));
  return parts;
}

function retrieverBody(view) {
  const { received, returned } = view.span;
  const documents = Array.isArray(returned) ? returned : null;
  const parts = received === null ? [] : [h("p.part", {}, "Query"), content(received)];
  if (returned === null) return parts.length ? [...parts, noAnswer("No document was recorded")] : [noContent(view.span)];
  if (!documents) return [...parts, h("p.part", {}, "Documents"), content(returned)];
  return [...parts, h("p.part", {}, plural(documents.length, "document")), ...documents.map((each, at) => {
    const { content: text, page_content: page, ...rest } = each ?? {};
    const name = rest.id ?? `document ${at + 1}`;
    const score = rest.score === undefined ? "" : `, score ${rest.score}`;
    return folded("details.message", [h("span.role", {}, `${name}${score}`), h("span.glimpse.cut", {}, glimpse(text ?? page))], () =>
      h("div.inside", {}, content(text ?? page ?? "", true), Object.keys(rest).length ? content(rest) : null), at < 3);
  })];
}

function inAndOut(view, inLabel, outLabel) {
  const { received, returned, kind } = view.span;
  const parts = [];
  if (received !== null) parts.push(h("p.part", {}, inLabel), content(received, true));
  if (returned !== null) parts.push(h("p.part", {}, outLabel), content(returned, true));
  if (!parts.length && ["tool", "agent", "graph"].includes(kind)) parts.push(noContent(view.span));
  return parts;
}

function noContent(span) {
  const ours = "runspan records it unless RUNSPAN_CAPTURE_CONTENT or Settings(capture_content=...) says otherwise: unset them, or say “span”.";
  const others = `Its instrumentation, ${span.scope || "unknown"}, has a switch for it; often OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=SPAN_ONLY.`;
  return h("p.hint", {}, `No content was recorded. ${span.scope === "runspan" ? ours : others}`);
}

/* Messages. */

function message(view, index, isOpen) {
  const each = view.trace.messages[index];
  const role = String(each.role ?? "message");
  const name = each.name ? ` ${each.name}` : "";
  const known = Object.hasOwn(ROLES, role);
  const element = folded(`details.message.${known ? role : "other"}`,
    [h("span.role", {}, `${known ? ROLES[role] : role}${name}`), h("span.glimpse.cut", {}, glimpse(each))],
    () => h("div.inside", {}, parts(each).map((part) => messagePart(view, part, role))), isOpen);
  element.dataset.message = index;
  return element;
}

function parts(each) {
  if (Array.isArray(each.parts)) return each.parts;
  return each.content === undefined ? [] : [{ type: "text", content: each.content }];
}

function glimpse(each) {
  if (typeof each === "string") return unmarked(each);
  if (!each) return "";
  const texts = parts(each).map((part) => {
    if (part?.type === "tool_call") return `calls ${part.name}`;
    if (part?.type === "tool_call_response") return typeof part.response === "string" ? part.response : JSON.stringify(part.response);
    return typeof part?.content === "string" && part.type !== "reasoning" ? part.content : "";
  });
  return unmarked(texts.filter(Boolean).join(" · "));
}

function messagePart(view, part, role) {
  switch (part?.type) {
    case "text":
      return content(part.content ?? "", role === "assistant" || role === "user" || role === "system");
    case "reasoning":
      return folded("details.more", "Reasoning", () => h("div.reasoning", {}, content(part.content ?? "", true)));
    case "tool_call":
      return toolCall(view, part);
    case "tool_call_response":
      return toolResponse(view, part);
    case "blob":
    case "uri":
    case "file":
      return medium(part);
    default:
      return content(part ?? null);
  }
}

function toolCall(view, part) {
  const { trace, go } = view;
  const target = trace.spans.findIndex((each) => each.kind === "tool" && each.call_id && each.call_id === part.id);
  const tool = trace.tools.find((each) => toolName(each) === part.name);
  const answer = trace.messages.findIndex((each) => parts(each).some((other) => other?.type === "tool_call_response" && other.id === part.id));
  return h("div.call", { "data-call": part.id },
    h("div.top", {}, h("span.quiet", {}, "calls"), h("span.what", {}, String(part.name ?? "")),
      target >= 0 ? h("button.small", { type: "button", onclick: () => go(target) }, "Its run →") : null,
      answer >= 0 ? h("button.small", { type: "button", onclick: () => showMessage(view, answer) }, "Result ↓") : null,
      tool ? h("button.small", { type: "button", onclick: (event) => toggleAfter(event.target.closest(".call"), () => definition(trace, tool)) }, "Definition") : null),
    content(part.arguments ?? null));
}

function toolResponse(view, part) {
  const asked = view.trace.messages.findIndex((each) => parts(each).some((other) => other?.type === "tool_call" && other.id && other.id === part.id));
  const target = view.trace.spans.findIndex((each) => each.kind === "tool" && each.call_id && each.call_id === part.id);
  return h("div.call", {},
    h("div.top", {}, h("span.quiet", {}, "result of"), h("span.what", {}, String(part.id ?? "a call")),
      asked >= 0 ? h("button.small", { type: "button", onclick: () => showMessage(view, asked) }, "Call ↑") : null,
      target >= 0 ? h("button.small", { type: "button", onclick: () => view.go(target) }, "Its run →") : null),
    content(part.response ?? part.result ?? null, true));
}

/** Open a message of this span, or go to the span that has it. */
function showMessage(view, index) {
  for (const group of view.pane.querySelectorAll("details.group")) group.open = true;
  requestAnimationFrame(() => {
    const element = view.pane.querySelector(`[data-message="${index}"]`);
    if (element) {
      element.open = true;
      element.scrollIntoView({ block: "center" });
      element.classList.remove("flash");
      void element.offsetWidth; // starts the animation again
      element.classList.add("flash");
      return;
    }
    const holder = view.trace.spans.findIndex((each) => each.kind === "model" && (each.output.includes(index) || each.input.slice(each.known).includes(index)));
    if (holder >= 0) view.go(holder);
  });
}

function toggleAfter(element, make) {
  const shown = element.querySelector(":scope > .definition");
  if (shown) shown.remove();
  else element.append(make());
}

const toolName = (tool) => tool?.name ?? tool?.function?.name;

/** A tool as the model was given it; often its run alone says what it is for. */
function definition(trace, tool) {
  const { description, parameters } = tool.function ?? tool;
  const name = toolName(tool) ?? "unnamed";
  const run = trace.spans.find((each) => each.kind === "tool" && each.tool === name);
  const purpose = description ?? run?.attributes["gen_ai.tool.description"];
  return h("div.call.definition", {}, h("div.top", {}, h("span.quiet", {}, "tool"), h("span.what", {}, String(name))),
    purpose ? h("p", {}, String(purpose)) : null,
    parameters === undefined ? h("p.quiet", {}, "Its parameters were not recorded.") : content(parameters));
}

/** An image or a sound if the page has its data; else what is known of it. The page loads nothing. */
function medium(part) {
  const type = String(part.mime_type ?? "");
  const data = part.type === "blob" ? part.content ?? part.data : part.embedded;
  if (typeof data === "string" && /^[A-Za-z0-9+/=\s_-]+$/.test(data)) {
    const source = `data:${type};base64,${data}`;
    if (/^image\/(png|jpeg|gif|webp|avif)$/.test(type)) return h("img", { src: source, alt: `image, ${type}` });
    if (/^audio\/[\w.+-]+$/.test(type)) return h("audio", { src: source, controls: true });
    if (/^video\/[\w.+-]+$/.test(type)) return h("video", { src: source, controls: true });
  }
  const { content: _, data: __, embedded: ___, ...known } = part;
  return h("div.call", {}, h("div.top", {}, h("span.quiet", {}, `${part.modality ?? "file"}, not stored with the trace`)), content(known));
}

/* All that was recorded. */

function recorded(view) {
  const { span, trace } = view;
  const names = Object.keys(span.attributes);
  const found = [h("p.part", {}, "Recorded"),
    folded("details.more", plural(names.length, "attribute"), () => facts(span.attributes))];
  if (span.events.length) found.push(folded("details.more", plural(span.events.length, "event"), () => span.events.map((event) => h("div", {}, h("p", {}, h("b", {}, event.name), ` after ${duration(event.at)}`), facts(event.attributes)))));
  const raw = () => ({ ...span, input: span.input.map((each) => trace.messages[each]), output: span.output.map((each) => trace.messages[each]), tools: span.tools.map((each) => trace.tools[each]) });
  found.push(folded("details.more", "The span as JSON", () => content(raw())));
  found.push(h("p.quiet.mono", {}, "span ", span.id, " ", copyButton(span.id), " trace ", trace.id, " ", copyButton(trace.id)));
  return found;
}

function facts(attributes) {
  const row = ([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, isLong(value) ? content(value) : h("span.mono", {}, typeof value === "string" ? value : JSON.stringify(value))));
  return h("table.facts", {}, h("tbody", {}, Object.entries(attributes).sort(([one], [other]) => (one < other ? -1 : 1)).map(row)));
}

function isLong(value) {
  return typeof value === "string" ? value.length > 120 : typeof value === "object" && value !== null && JSON.stringify(value).length > 120;
}
