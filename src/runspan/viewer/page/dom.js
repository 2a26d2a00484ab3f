"use strict";
/* Elements are made, never parsed: no text of a trace is read as HTML. */

/** Make an element: h("a.link", {href: "#/"}, "text", child). Listeners are properties such as onclick. */
function h(what, properties = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  element.className = classes.join(" ");
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("--")) element.style.setProperty(name, value);
    else if (name.startsWith("on")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A part that is made when it is first opened; its summary is there at once. */
function folded(what, summary, make, isOpen = false) {
  const element = h(what, {}, h("summary", {}, summary));
  let isMade = false;
  const fill = () => {
    if (!isMade && element.open) element.append(...[make()].flat());
    isMade ||= element.open;
  };
  element.addEventListener("toggle", fill);
  element.unfold = (opens) => {
    element.open = opens;
    fill();
  };
  element.unfold(isOpen);
  return element;
}

/** Put an element in the place of one that shows the same: with what was unfolded, its scrolling and the focus. */
function replaceAlike(old, fresh) {
  const wasOpen = new Map([...namedFolds(old)].map(([name, fold]) => [name, fold.open]));
  for (const [name, fold] of namedFolds(fresh)) if (wasOpen.has(name)) fold.unfold(wasOpen.get(name));
  const controls = (element) => [element, ...element.querySelectorAll("button, summary, a")];
  const focused = controls(old).indexOf(document.activeElement);
  const top = old.scrollTop;
  old.replaceWith(fresh);
  fresh.scrollTo({ top, behavior: "instant" });
  if (focused >= 0) controls(fresh)[focused]?.focus({ preventScroll: true });
}

/** Yield the folds of an element by what they say, and which of those that say it they are. */
function* namedFolds(element) {
  const seen = new Map();
  for (const fold of element.getElementsByTagName("details")) { // also those that are made meanwhile
    const said = fold.firstChild.textContent;
    seen.set(said, (seen.get(said) ?? 0) + 1);
    yield [`${said} ${seen.get(said)}`, fold];
  }
}

/** Return a function that works again and again while it is asked to, never twice at once, and half of the time at most. */
function oneAtATime(work) {
  let isWorking = false;
  let isWanted = false;
  return async () => {
    isWanted = true;
    if (isWorking) return;
    isWorking = true;
    try {
      while (isWanted) {
        isWanted = false;
        const began = performance.now();
        await work();
        await new Promise((resolve) => setTimeout(resolve, performance.now() - began));
      }
    } finally {
      isWorking = false;
    }
  };
}

/** A button that copies a text, and says so. */
function copyButton(text, label = "Copy") {
  const button = h("button", { type: "button", title: "Copy to the clipboard" }, label);
  button.onclick = async (event) => {
    event.stopPropagation();
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "The browser refuses";
    }
    setTimeout(() => (button.textContent = label), 1500);
  };
  return button;
}

function duration(milliseconds) {
  if (milliseconds < 9.95) return `${milliseconds.toFixed(1)} ms`;
  if (milliseconds < 999.5) return `${milliseconds.toFixed(0)} ms`;
  if (milliseconds < 60000) return `${(milliseconds / 1000).toFixed(2)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return seconds < 3600
    ? `${Math.floor(seconds / 60)} min ${seconds % 60} s`
    : `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

const whole = (number) => Number(number).toLocaleString("en");

function money(amount, currency) {
  const digits = amount && Math.abs(amount) < 0.01 ? 6 : 4;
  return currency && currency !== "USD" ? `${amount.toFixed(digits)} ${currency}` : `$${amount.toFixed(digits)}`;
}

/** Input and output tokens: "1,204 → 87". */
function tokens(counts, number = whole) {
  if (counts.input === undefined && counts.output === undefined) return "";
  return `${number(counts.input ?? 0)} → ${number(counts.output ?? 0)}`;
}

const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

/** A number for a narrow column: "9,999", "12.3K". */
const brief = (number) => (number < 10000 ? whole(number) : COMPACT.format(number));

function plural(number, one, many = `${one}s`) {
  return `${whole(number)} ${number === 1 ? one : many}`;
}

function chip(label, value, kind = "") {
  return value === "" || value === undefined || value === null
    ? null
    : h(`span.chip${kind}`, {}, `${label} `, h("b", {}, value));
}

function kindLabel(kind) {
  return h(`span.kind.${kind}`, {}, kind);
}

/** A line of a text without the marks of Markdown. */
function unmarked(text) {
  return text.slice(0, 500).replace(/[*`]+/g, "").replace(/(^|\s)(#+|\||-{3,})(?=\s|$)/g, " ").replace(/\s+/g, " ").trim();
}

/** When a trace began, in the reader's own time zone. */
function moment(began) {
  const date = new Date(began);
  return Number.isNaN(date.valueOf()) ? "" : date.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
}
