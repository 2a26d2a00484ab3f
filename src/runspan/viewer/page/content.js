"use strict";
/* What a text or a value looks like: Markdown, a tree of JSON, or the text itself, by its size. */

const MARKDOWN_LIMIT = 150 * 1024;
const EMPHASIS_LIMIT = 5000; // marks; the library takes a time that grows with their square
const JSON_LIMIT = 2_000_000;
const TEXT_LIMIT = 500_000;
const ENTRIES_LIMIT = 500;
const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'" };

/** Show a value with buttons: preview or raw, copy. */
function content(value, isMarkdown = false) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const shown = typeof value === "string" ? jsonIn(value) : value;
  let preview = null;
  if (shown !== undefined && typeof shown === "object" && shown !== null && text.length <= JSON_LIMIT) {
    preview = () => h("div.json", {}, jsonEntries(shown, 1, text.length < 3000 ? 3 : 1));
  } else if (isMarkdown && typeof value === "string" && isReadableMarkdown(value)) {
    preview = () => markdown(value);
  }
  const body = h("div", {});
  const buttons = h("div.tools", {});
  const show = (isPreview) => {
    body.replaceChildren(isPreview ? preview() : plainText(text));
    for (const button of buttons.querySelectorAll("[data-mode]")) {
      button.setAttribute("aria-pressed", String((button.dataset.mode === "preview") === isPreview));
    }
  };
  if (preview) {
    for (const mode of ["preview", "raw"]) {
      const label = mode === "preview" ? "Preview" : "Raw";
      buttons.append(h("button", { type: "button", "data-mode": mode, onclick: () => show(mode === "preview") }, label));
    }
  }
  buttons.append(copyButton(text));
  show(Boolean(preview));
  return h("div.content", {}, buttons, body);
}

/** A text as it is; of a very long one first the beginning. */
function plainText(text) {
  const pre = h("pre", { dir: "auto" }, text.slice(0, TEXT_LIMIT));
  if (text.length <= TEXT_LIMIT) return pre;
  const more = h("button", { type: "button" }, `Show all ${whole(text.length)} characters`);
  more.onclick = () => {
    pre.textContent = text;
    more.remove();
  };
  return h("div", {}, pre, more);
}

function jsonIn(text) {
  const head = text.trimStart()[0];
  if ((head !== "{" && head !== "[") || text.length > JSON_LIMIT) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A tree whose branches are made when they are opened; `levels` of them are open. */
function jsonTree(value, key, depth, levels) {
  const name = key === null ? [] : [h("span.key", {}, String(key)), ": "];
  if (value === null || typeof value !== "object") {
    const kind = typeof value === "string" ? "string" : "other";
    return h("div.leaf", {}, name, h(`span.${kind}`, {}, typeof value === "string" ? value : String(value)));
  }
  const count = Object.keys(value).length;
  const size = Array.isArray(value) ? `[${count}]` : `{${count}}`;
  if (!count) return h("div.leaf", {}, name, h("span.other", {}, Array.isArray(value) ? "[]" : "{}"));
  return folded("details.branch", [...name, h("span.quiet", {}, size)], () => jsonEntries(value, depth + 1, levels), depth < levels);
}

/** What is in an object or a list; of a very long one first the beginning. */
function jsonEntries(value, depth, levels) {
  const entries = Object.entries(value);
  const shown = (from, to) => entries.slice(from, to).map(([key, each]) => jsonTree(each, key, depth, levels));
  if (!entries.length) return [jsonTree(value, null, depth, levels)];
  if (entries.length <= ENTRIES_LIMIT) return shown();
  const more = h("button", { type: "button" }, `Show all ${whole(entries.length)}`);
  more.onclick = () => more.replaceWith(...shown(ENTRIES_LIMIT));
  return [...shown(0, ENTRIES_LIMIT), more];
}

function isReadableMarkdown(text) {
  return text.length <= MARKDOWN_LIMIT && (text.match(/[*_~]/g) ?? []).length <= EMPHASIS_LIMIT;
}

/** Markdown as elements. The library only takes the text apart; HTML in it stays text, images are not loaded. */
function markdown(text) {
  try {
    return h("div.markdown", { dir: "auto" }, blocks(marked.lexer(text)));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return plainText(text); // nested too deeply
  }
}

function blocks(tokenList) {
  return (tokenList ?? []).map(block);
}

function block(token) {
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "heading":
      return h(`h${Math.min(token.depth + 2, 6)}`, {}, inline(token.tokens));
    case "paragraph":
      return h("p", {}, inline(token.tokens));
    case "code":
      return h("pre", {}, h("code", {}, token.text));
    case "blockquote":
      return h("blockquote", {}, blocks(token.tokens));
    case "list":
      return h(token.ordered ? "ol" : "ul", token.ordered ? { start: token.start } : {}, token.items.map(item));
    case "table":
      return table(token);
    case "hr":
      return h("hr");
    case "html":
      return h("p", {}, token.text);
    default:
      return token.tokens ? h("span", {}, inline(token.tokens)) : h("span", {}, token.text ?? token.raw);
  }
}

function item(token) {
  const box = token.task ? (token.checked ? "☑ " : "☐ ") : "";
  return h("li", {}, box, blocks(token.tokens.filter((each) => each.type !== "checkbox")));
}

function table(token) {
  const row = (tag, cells) => h("tr", {}, cells.map((cell) => h(tag, {}, inline(cell.tokens))));
  return h("div.wide", { tabindex: 0 }, h("table", {}, h("thead", {}, row("th", token.header)), h("tbody", {}, token.rows.map((cells) => row("td", cells)))));
}

const INLINE_TAGS = { strong: "strong", em: "em", del: "del" };

function inline(tokenList) {
  return (tokenList ?? []).map((token) => {
    if (INLINE_TAGS[token.type]) return h(INLINE_TAGS[token.type], {}, inline(token.tokens));
    if (token.type === "codespan") return h("code", {}, token.text);
    if (token.type === "br") return h("br");
    if (token.type === "link") return link(token);
    if (token.type === "image") return `[image: ${token.text}] (${token.href})`;
    if (token.tokens) return h("span", {}, inline(token.tokens));
    return (token.text ?? token.raw).replace(/&(amp|lt|gt|quot|#39);/g, (entity) => ENTITIES[entity]);
  });
}

/** A link that opens beside the page, of those that lead to pages or mail. */
function link(token) {
  if (!/^(https?:|mailto:)/i.test(token.href)) return h("span", {}, inline(token.tokens), ` (${token.href})`);
  const where = { href: token.href, target: "_blank", rel: "noopener noreferrer nofollow", title: token.href };
  return h("a", where, inline(token.tokens));
}
