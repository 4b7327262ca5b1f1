/**
 * Markdown inside one block, as DOM nodes. Only these elements can come out: strong, em, del, code, br, span, and what the text's `marks`
 * allow: a link (to this site only), a chip for a marker [n]. Everything else, HTML included, comes out as text.
 */

import { el } from "./dom.js";

const DEEPEST = 8; // nesting beyond this is shown as text, so that hostile input cannot exhaust the stack
const LONGEST_WORD = 24; // characters; a longer one may part from its chip, so that it fits a narrow screen
/** What `chip` is asked for where the answer says [?]. */
export const DOUBT = "?";

const NARROW_SPACE = "\u202f";
const SPECIAL = /[\\`*_~[!\n]/;
const WORD = /[\p{L}\p{N}]/u;
const ESCAPABLE = /[\\`*_{}[\]()#+\-.!|~<>]/;
const PAIRS = [
  ["**", "strong"],
  ["__", "strong"],
  ["~~", "del"],
  ["*", "em"],
  ["_", "em"],
];

/** The marks of a document: its numbers cite nothing here, and its links lead nowhere, least of all to this site's own sign-out. */
const NONE = { chip: () => null, links: false };

/**
 * Returns the nodes of `source`. `marks` is {chip, links}: `chip(n)` returns the node of a known citation, of a mark of doubt for `DOUBT`,
 * or null; `links` says whether a link to this site is one.
 */
export function inline(source, marks = NONE, depth = 0) {
  const context = { marks, depth, unclosed: new Set() };
  const nodes = [];
  let plain = "";
  const flush = () => {
    if (plain) nodes.push(document.createTextNode(plain));
    plain = "";
  };
  let at = 0;
  while (at < source.length) {
    const found = SPECIAL.test(source[at]) && depth < DEEPEST ? token(source, at, context) : null;
    if (found) {
      if (found.node === undefined) plain += found.text;
      else {
        const word = found.marker ? lastWord(plain) : "";
        plain = plain.slice(0, plain.length - word.length);
        flush();
        if (found.marker) tie(nodes, word, found.node);
        else nodes.push(found.node);
      }
      at = found.end;
    } else {
      plain += source[at];
      at += 1;
    }
  }
  flush();
  return nodes;
}

function lastWord(plain) {
  const from = plain.trimEnd().lastIndexOf(" ") + 1;
  return plain.length - from <= LONGEST_WORD ? plain.slice(from) : "";
}

/** Keeps a chip on the line of the word before it, or of the chip before it. */
function tie(nodes, word, chip) {
  const before = nodes.at(-1);
  if (word === "" && before?.className === "tied") before.append(chip);
  else nodes.push(el("span", { class: "tied" }, word.replace(/\s+$/, NARROW_SPACE), chip));
}

/** `context`: {marks, depth, unclosed}; a mark in `unclosed` has no end from here on, so no later one is searched for it again. */
function token(source, at, context) {
  switch (source[at]) {
    case "\\":
      return ESCAPABLE.test(source[at + 1] ?? "") ? { text: source[at + 1], end: at + 2 } : null;
    case "\n":
      return { node: el("br"), end: at + 1 };
    case "`":
      return code(source, at);
    case "!":
      return source[at + 1] === "[" ? image(source, at) : null;
    case "[":
      return marker(source, at, context.marks) ?? link(source, at, context);
    default:
      return emphasis(source, at, context);
  }
}

function code(source, at) {
  const fence = /^`+/.exec(source.slice(at))[0];
  const end = source.indexOf(fence, at + fence.length);
  if (end < 0) return { text: fence, end: at + fence.length };
  return { node: el("code", {}, source.slice(at + fence.length, end).trim()), end: end + fence.length };
}

function marker(source, at, { chip }) {
  const match = /^\[(\d{1,3}|\?)\]/.exec(source.slice(at, at + 6));
  const node = match && chip(match[1] === DOUBT ? DOUBT : Number(match[1]));
  return node ? { node, marker: true, end: at + match[0].length } : null;
}

function emphasis(source, at, { marks, depth, unclosed }) {
  for (const [mark, tag] of PAIRS) {
    if (!source.startsWith(mark, at)) continue;
    const from = at + mark.length;
    const end = opens(source, mark, from) && !unclosed.has(mark) ? closing(source, mark, from) : null;
    if (end === -1) unclosed.add(mark);
    if (end > from) return { node: el(tag, {}, ...inline(source.slice(from, end), marks, depth + 1)), end: end + mark.length };
    return { text: mark, end: from };
  }
  return null;
}

/** A mark neither opens before nor closes after a space, and "_" does neither inside a word. */
function opens(source, mark, from) {
  return !/\s/.test(source[from] ?? " ") && !(mark[0] === "_" && WORD.test(source[from - mark.length - 1] ?? ""));
}

/** Returns where `mark` closes, or -1. */
function closing(source, mark, from) {
  for (let end = source.indexOf(mark, from); end >= 0; end = source.indexOf(mark, end + mark.length)) {
    const after = source[end + mark.length] ?? "";
    if (/\s/.test(source[end - 1])) continue;
    if (mark.length === 1 && after === mark) {
      end += 1; // the first half of a double mark is not a single one
      continue;
    }
    if (mark[0] === "_" && WORD.test(after)) continue;
    return end;
  }
  return -1;
}

/** Returns the parts of `[label](address "title")` at `at`, or null. */
function bracketed(source, at) {
  const match = /^\[([^\]]{0,500})\]\(\s*<?([^\s)>]{0,2000})>?(?:\s+["'(][^)]{0,500})?\)/.exec(source.slice(at, at + 3000));
  return match && { label: match[1], address: match[2], end: at + match[0].length };
}

/** A link leads to this site or is no link: an address that a passage smuggled in is shown, where everyone can read it. */
function link(source, at, { marks, depth }) {
  const found = bracketed(source, at);
  if (!found) return null;
  const label = inline(found.label, marks, depth + 1);
  const href = local(found.address);
  if (href && marks.links) return { node: el("a", { href }, ...label), end: found.end };
  return { node: el("span", {}, ...label, href ? "" : ` (${found.address})`), end: found.end };
}

/** An image is never loaded: its description stands in its place. */
function image(source, at) {
  const found = bracketed(source, at + 1);
  return found && { text: found.label ? `[image: ${found.label}]` : "[image]", end: found.end };
}

/** Returns the path of `address` when it lies on this site, else null. */
export function local(address) {
  if (!address || !URL.canParse(address, location.href)) return null;
  const url = new URL(address, location.href);
  return url.origin === location.origin && /^https?:$/.test(url.protocol) ? url.pathname + url.search + url.hash : null;
}
