/**
 * Markdown as DOM nodes, built with createElement and text only. A streamed answer is rendered again with every delta, so blocks
 * that have not changed keep their nodes: the work per delta is one block, and a selection in the finished part survives.
 */

import { el } from "./dom.js";
import { inline } from "./inline.js";

const FENCE = /^ {0,3}(```+|~~~+)/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const QUOTE = /^ {0,3}>\s?/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const TOP_LEVEL = 2; // the heading that an answer or a passage stands below
const DEEPEST = 6; // lists and quotes nested deeper are shown flat

/** Makes `container` show `source`, and returns how many blocks it has. `marks` are as for `inline`; a document has none. */
export function render(container, source, marks) {
  const parts = blocks(source);
  const nodes = [...container.children];
  let above = TOP_LEVEL;
  parts.forEach((part, index) => {
    const level = headingLevel(part, above);
    above = level ?? above;
    const before = nodes[index];
    if (before?.source === part && before.level === level) return;
    const node = block(part, marks, 0, level);
    Object.assign(node, { source: part, level });
    if (before) before.replaceWith(node);
    else container.append(node);
  });
  nodes.slice(parts.length).forEach((node) => node.remove());
  return parts.length;
}

/**
 * Returns the level of the heading that `part` is, or null when it is none. Levels go down one at a time from the one `above`: who moves
 * from heading to heading must not think that one is missing.
 */
function headingLevel(part, above) {
  const heading = HEADING.exec(part);
  return heading && Math.min(6, TOP_LEVEL + heading[1].length, above + 1);
}

/** Returns the top-level blocks of `source`, each as its own text. */
export function blocks(source) {
  const lines = source.replace(/\r\n?/g, "\n").split("\n");
  const found = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const end = extent(lines, at);
    found.push(lines.slice(at, end).join("\n"));
    at = end;
  }
  return found;
}

/** Returns the line after the block that begins at `at`. */
function extent(lines, at) {
  const fence = FENCE.exec(lines[at]);
  if (fence) {
    const close = lines.findIndex((line, index) => index > at && line.trim().startsWith(fence[1]));
    return close < 0 ? lines.length : close + 1;
  }
  if (HEADING.test(lines[at]) || RULE.test(lines[at])) return at + 1;
  if (isTable(lines, at)) return skipWhile(lines, at + 2, (line) => line.includes("|") && line.trim() !== "");
  if (QUOTE.test(lines[at])) return skipWhile(lines, at + 1, (line) => line.trim() !== "");
  if (ITEM.test(lines[at])) return listEnd(lines, at);
  return skipWhile(lines, at + 1, (line, index) => line.trim() !== "" && !interrupts(lines, index));
}

function skipWhile(lines, from, holds) {
  let end = from;
  while (end < lines.length && holds(lines[end], end)) end += 1;
  return end;
}

function interrupts(lines, at) {
  const line = lines[at];
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line) || isTable(lines, at);
}

function isTable(lines, at) {
  return lines[at].includes("|") && at + 1 < lines.length && lines[at + 1].includes("|") && DIVIDER.test(lines[at + 1]);
}

/** A list goes on over an empty line when an item or an indented line follows. */
function listEnd(lines, at) {
  return skipWhile(lines, at + 1, (line, index) => {
    if (RULE.test(line)) return false;
    if (line.trim()) return ITEM.test(line) || lines[index - 1].trim() !== "" || /^\s{2,}/.test(line);
    const next = lines[index + 1] ?? "";
    return ITEM.test(next) || /^\s{2,}\S/.test(next);
  });
}

function block(part, marks, depth, level = headingLevel(part, 6)) {
  const lines = part.split("\n");
  const first = lines[0];
  if (FENCE.test(first)) return fenced(lines);
  if (level) return el(`h${level}`, {}, ...inline(HEADING.exec(first)[2], marks));
  if (RULE.test(first)) return el("hr");
  if (isTable(lines, 0)) return table(lines, marks);
  if (QUOTE.test(first) && depth < DEEPEST) return quote(lines, marks, depth);
  if (ITEM.test(first) && depth < DEEPEST) return list(lines, marks, depth);
  return el("p", {}, ...inline(joined(lines), marks));
}

/** Lines of a paragraph flow together; two spaces or a backslash at the end of a line break it. */
function joined(lines) {
  return lines
    .map((line, index) => {
      const text = line.trim();
      if (index === lines.length - 1) return text;
      return / {2}$/.test(line) || text.endsWith("\\") ? `${text.replace(/\\$/, "")}\n` : `${text} `;
    })
    .join("");
}

function fenced(lines) {
  const close = FENCE.exec(lines[0])[1];
  const last = lines.length > 1 && lines.at(-1).trim().startsWith(close) ? -1 : undefined;
  return el("pre", { tabindex: "0" }, el("code", {}, lines.slice(1, last).join("\n")));
}

function quote(lines, marks, depth) {
  const inner = blocks(lines.map((line) => line.replace(QUOTE, "")).join("\n"));
  return el("blockquote", {}, ...inner.map((part) => block(part, marks, depth + 1)));
}

function list(lines, marks, depth) {
  const [, indent, mark] = ITEM.exec(lines[0]);
  const ordered = /\d/.test(mark);
  const items = [];
  for (const line of lines) {
    const found = ITEM.exec(line);
    if (found && found[1].length <= indent.length + 1) items.push([found[3]]);
    else items.at(-1).push(line.replace(/^\s{2,4}/, ""));
  }
  const start = ordered && Number.parseInt(mark, 10) !== 1 ? Number.parseInt(mark, 10) : null;
  return el(ordered ? "ol" : "ul", { start }, ...items.map((item) => listItem(item, marks, depth)));
}

function listItem(lines, marks, depth) {
  const [first, ...rest] = blocks(lines.join("\n"));
  if (first === undefined) return el("li");
  const head = block(first, marks, depth + 1);
  const content = head.tagName === "P" ? [...head.childNodes] : [head];
  return el("li", {}, ...content, ...rest.map((part) => block(part, marks, depth + 1)));
}

function table(lines, marks) {
  const row = (line, tag) => el("tr", {}, ...cells(line).map((cell) => el(tag, {}, ...inline(cell, marks))));
  const body = lines.slice(2).map((line) => row(line, "td"));
  // A wide table scrolls by itself, also by keyboard, and never widens the page.
  return el("div", { class: "wide", tabindex: "0", role: "group", "aria-label": "Table" },
    el("table", {}, el("thead", {}, row(lines[0], "th")), el("tbody", {}, ...body)));
}

function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replace(/\\\|/g, "|"));
}
