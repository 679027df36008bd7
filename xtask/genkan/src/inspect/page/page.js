"use strict";
// Draws the module that the element `data` describes: columns, one entry a part.
// `why` is the number of the part that calls it, or words; `old` is there in a
// comparison of two modules.
const data = JSON.parse(document.getElementById("data").textContent);
const isDiff = data.old !== undefined;
const $ = (id) => document.getElementById(id);
const KINDS = ["function", "data", "debug", "custom", "structure", "import"];
const HUES = [255, 150, 60, 310, 200, 25, 105, 345];
// Smaller boxes are not drawn one by one: square pixels.
const SMALLEST = 70;
const ROW = 24;

// Small helpers.
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}
function bytes(size) {
  if (size < 1024) return `${size} B`;
  if (size < 1048576) return `${(size / 1024).toFixed(1)} KiB`;
  return `${(size / 1048576).toFixed(1)} MiB`;
}
const signed = (size) => (size < 0 ? "−" : "+") + bytes(Math.abs(size));
const share = (size) => (data.total ? `${((size * 100) / data.total).toFixed(size * 10 < data.total ? 2 : 1)} %` : "0 %");
const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
function cut(text, width) {
  if (text.length <= width) return text;
  const characters = Array.from(text);
  if (characters.length <= width) return text;
  if (width < 3) return "";
  const head = Math.ceil((width - 1) / 2);
  return characters.slice(0, head).join("") + "…" + characters.slice(characters.length - (width - 1 - head)).join("");
}
// Without the modules: `<Vec<T> as Debug>::fmt`.
const brief = (name) => (name.length > 4000 ? name : name.replace(/(?<![A-Za-z0-9_])(?:[a-z_][a-z0-9_]*::)+(?=[A-Za-z_]|<impl )/g, ""));
// As much of a text as there is room for, in pixels.
const pen = document.createElement("canvas").getContext("2d");
const FAMILY = getComputedStyle(document.body).fontFamily;
function fit(text, room, font) {
  pen.font = `${font} ${FAMILY}`;
  const sample = text.length > 400 ? text.slice(0, 400) : text;
  const character = pen.measureText(sample).width / sample.length;
  if (character * text.length <= room) return text;
  let shown = cut(text, Math.floor(room / character));
  for (let less = 1; shown.length > 3 && pen.measureText(shown).width > room; less++) shown = cut(text, Math.floor(room / character) - less);
  return shown;
}
const change = (node) => node.size - node.old;
function sizeText(it) {
  if (!isDiff) return `${bytes(it.size)}, ${share(it.size)}`;
  if (it.size === it.old) return `${bytes(it.size)}, unchanged`;
  return `${bytes(it.old)} → ${bytes(it.size)} (${signed(change(it))})`;
}

// The tree: groups have `children`, parts their number as `part`.
const root = { name: isDiff ? "both modules" : "file", children: [], groups: new Map(), parent: null, path: "" };
const leaves = data.name.map((name, part) => {
  let group = root;
  for (const step of data.paths[data.path[part]]) {
    let next = group.groups.get(step);
    if (!next) {
      const path = (group.path && group.path + "/") + encodeURIComponent(step);
      next = { name: step, children: [], groups: new Map(), parent: group, path };
      group.groups.set(step, next);
      group.children.push(next);
    }
    group = next;
  }
  const leaf = { name, part, size: data.size[part], old: isDiff ? data.old[part] : 0, parent: group, kind: data.kind[part] };
  leaf.path = (group.path && group.path + "/") + encodeURIComponent(name.slice(0, 200));
  group.children.push(leaf);
  return leaf;
});
let byChange = false;
const area = (it) => (!isDiff ? it.size : byChange ? Math.abs(change(it)) : Math.max(it.size, it.old));
function total(node) {
  if (!node.children) {
    node.area = area(node);
    node.count = 1;
    return;
  }
  node.size = node.old = node.area = node.count = 0;
  for (const child of node.children) {
    total(child);
    node.size += child.size;
    node.old += child.old;
    node.area += child.area;
    node.count += child.count;
  }
  node.children.sort((a, b) => b.area - a.area || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
total(root);

// Colours: a hue for each of the largest crates; none for what is not code.
function paint(node, hue, chroma) {
  node.hue = hue;
  node.chroma = chroma;
  for (const child of node.children || []) paint(child, hue, chroma);
}
const code = root.groups.get("code");
if (!isDiff) {
  paint(root, 260, 0.012);
  const sand = root.groups.get("data");
  if (sand) paint(sand, 85, 0.045);
  for (const [place, group] of (code ? code.children : []).entries()) {
    if (place < HUES.length) paint(group, HUES[place], undefined);
  }
  if (code && code.children.length === 1) for (const [place, child] of code.children[0].children.entries()) {
    if (child.children && place < HUES.length) paint(child, HUES[place], undefined);
  }
}
// What grew is orange, what shrank is blue, the more of it the stronger.
function color(node) {
  if (!isDiff) return [node.hue, node.chroma];
  const by = change(node);
  if (by === 0) return [260, 0.006];
  const strength = Math.min(1, Math.abs(by) / Math.max(node.old, node.size, 1));
  return [by > 0 ? 50 : 255, 0.03 + 0.1 * strength];
}
function tint(target, node) {
  const [hue, chroma] = color(node);
  target.style.setProperty("--h", hue);
  if (chroma !== undefined) target.style.setProperty("--c", chroma);
}
function swatch(node) {
  const made = element("span", { class: "swatch" });
  tint(made, node);
  made.style.background = "oklch(var(--leaf) var(--c, var(--chroma)) var(--h, 0))";
  return made;
}

// The state, which the address's fragment keeps.
let view = root;
let chosen = null;
let query = "";
let hits = null;

function find(path) {
  let node = root;
  for (const step of path ? path.split("/") : []) {
    const next = (node.groups || new Map()).get(decodeURIComponent(step));
    if (!next) break;
    node = next;
  }
  return node;
}
function remember() {
  const state = new URLSearchParams();
  if (view !== root) state.set("zoom", view.path);
  if (query) state.set("q", query);
  if (chosen) state.set("part", chosen.part);
  if (byChange) state.set("by", "change");
  const text = state.toString();
  try {
    history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
  } catch {
    // A page from a file may not be allowed to.
  }
}

// Search: each word has to be somewhere in the name or the path.
let haystack = null;
function search() {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) {
    hits = null;
    return;
  }
  haystack ??= leaves.map((leaf) => (data.paths[data.path[leaf.part]].join("::") + "\n" + leaf.name).toLowerCase());
  hits = new Set();
  for (const leaf of leaves) {
    if (words.every((word) => haystack[leaf.part].includes(word))) {
      for (let it = leaf; it && !hits.has(it); it = it.parent) hits.add(it);
    }
  }
}

// The treemap: squarified, children within their parents.
function squarify(nodes, x, y, w, h, place) {
  let rest = nodes.reduce((sum, node) => sum + node.area, 0);
  let from = 0;
  while (from < nodes.length && rest > 0) {
    const wide = w >= h;
    const side = wide ? h : w;
    const scale = (w * h) / rest;
    let sum = 0, best = Infinity, to = from;
    for (; to < nodes.length; to++) {
      const more = sum + nodes[to].area;
      const length = (more * scale) / side;
      const ratio = (area) => { const other = (area * scale) / length; return Math.max(length / other, other / length); };
      const worst = Math.max(ratio(nodes[from].area), ratio(nodes[to].area));
      if (worst > best) break;
      best = worst;
      sum = more;
    }
    const length = (sum * scale) / side;
    let at = 0;
    for (let i = from; i < to; i++) {
      const part = (nodes[i].area / sum) * side;
      if (wide) place(nodes[i], x, y + at, length, part);
      else place(nodes[i], x + at, y, part, length);
      at += part;
    }
    if (wide) { x += length; w -= length; } else { y += length; h -= length; }
    rest -= sum;
    from = to;
  }
}
function worthDrawing(node, w, h) {
  const nodes = node.children.filter((child) => child.area > 0);
  const scale = (w * h) / (node.area || 1);
  let count = nodes.findIndex((child) => child.area * scale < SMALLEST);
  if (count < 0 || nodes.length - count < 2) return nodes;
  const small = nodes.slice(count);
  const rest = { name: `${small.length.toLocaleString("en")} smaller`, rest: node, parent: node, hue: node.hue, chroma: node.chroma, size: 0, old: 0, area: 0, small };
  for (const child of small) {
    rest.size += child.size;
    rest.old += child.old;
    rest.area += child.area;
  }
  nodes.length = count;
  // In order, so that it does not disturb the shapes of the others.
  const before = nodes.findIndex((child) => child.area < rest.area);
  nodes.splice(before < 0 ? count : before, 0, rest);
  return nodes;
}
const boxes = new Map();
function draw() {
  const map = $("map");
  const { width, height } = map.getBoundingClientRect();
  const made = document.createDocumentFragment();
  boxes.clear();
  let number = 0;
  const box = (node, x, y, w, h, depth) => {
    const left = Math.round(x), top = Math.round(y);
    const right = Math.round(x + w), bottom = Math.round(y + h);
    w = right - left;
    h = bottom - top;
    if (w < 2 || h < 2) return;
    const it = element("div", { class: "box", role: "button", tabindex: "-1", "data-box": number });
    boxes.set(number++, node);
    it.style.cssText = `left:${left}px;top:${top}px;width:${w}px;height:${h}px`;
    tint(it, node);
    const parts = node.rest ? "" : node.children ? `, ${plural(node.count, "part")}` : "";
    it.setAttribute("aria-label", `${cut(node.name, 200)}, ${sizeText(node)}${parts}`);
    const isHit = hits && (node.rest ? node.small.some((child) => hits.has(child)) : hits.has(node));
    if (isHit) it.classList.add("hit");
    if (node.rest) it.classList.add("rest");
    if (isDiff && node.size === 0 && node.old > 0) it.classList.add("gone");
    if (node === chosen) it.classList.add("chosen");
    made.append(it);
    const inside = node.children && depth < 12 && w > 24 && h > 34;
    if (node.children) it.classList.add("group");
    const head = depth === 1 ? 21 : 18;
    if (node.children && depth === 1) it.classList.add("top");
    if (w > 26 && h >= 14) label(it, node, w, inside ? 0 : h, node.children ? (depth === 1 ? "600 13px" : "600 12px") : "11px");
    if (inside) squarify(worthDrawing(node, w - 4, h - head - 2), left + 2, top + head, w - 4, h - head - 2,
      (child, x, y, w, h) => box(child, x, y, w, h, depth + 1));
  };
  if (view.children) {
    squarify(worthDrawing(view, width - 2, height - 2), 0, 0, width - 2, height - 2, (child, x, y, w, h) => box(child, x, y, w, h, 1));
  }
  map.classList.toggle("searching", hits !== null);
  map.replaceChildren(made);
  if (map.firstChild) map.firstChild.setAttribute("tabindex", "0");
  else map.append(element("p", { style: "padding:12px" }, byChange ? "Nothing differs here." : "There is nothing here."));
}
function label(it, node, w, h, font) {
  const size = isDiff ? (change(node) === 0 ? bytes(node.size) : signed(change(node))) : bytes(node.size);
  const room = w - 9;
  const name = node.children || node.rest ? node.name : brief(node.name);
  const shown = fit(name, room, font);
  if (node.rest && shown !== name) {
    it.append(fit(`+${node.small.length}`, room, font));
    return;
  }
  // A few letters say nothing.
  if (shown !== name && shown.length < 6) return;
  it.append(shown);
  if (h >= 32) {
    if (fit(size, room, "11px") === size) it.append(element("div", {}, size));
  } else if (shown === name && fit(`${name}   ${size}`, room - 2, font).length > name.length + size.length + 2) {
    it.append(element("small", {}, size));
  }
}

// The side: details of what is chosen, and a list of which only what is seen is there.
let listed = [];
function list() {
  const within = (leaf) => {
    for (let it = leaf; it; it = it.parent) if (it === view) return true;
    return false;
  };
  listed = leaves.filter((leaf) => (!hits || hits.has(leaf)) && (view === root || within(leaf)));
  if (isDiff) listed = listed.filter((leaf) => hits || change(leaf) !== 0);
  const order = {
    size: (a, b) => b.size - a.size || a.part - b.part,
    change: (a, b) => Math.abs(change(b)) - Math.abs(change(a)) || a.part - b.part,
    name: (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.part - b.part),
  };
  listed.sort(order[$("sort").value]);
  const size = listed.reduce((sum, leaf) => sum + leaf.size, 0);
  const by = listed.reduce((sum, leaf) => sum + change(leaf), 0);
  const what = isDiff ? `${plural(listed.length, hits ? "part" : "difference")}, ${signed(by)}`
    : `${plural(listed.length, "part")}, ${bytes(size)}, ${share(size)}`;
  $("listed").textContent = what;
  $("found").textContent = hits ? (listed.length ? `found ${what}` : "nothing found") : "";
  // Browsers limit an element's height.
  $("rows").style.height = `${Math.min(listed.length * ROW, 15000000)}px`;
  $("list").scrollTop = 0;
  rows();
}
function rows() {
  const list = $("list");
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
  const last = Math.min(listed.length, first + Math.ceil(list.clientHeight / ROW) + 10);
  const room = Math.max(40, list.clientWidth - (isDiff ? 137 : 196));
  const made = [];
  for (let i = first; i < last; i++) {
    const leaf = listed[i];
    const by = change(leaf);
    const size = element("span", { class: "size" + (isDiff && by ? (by > 0 ? " grown" : " shrunk") : "") }, isDiff ? signed(by) : bytes(leaf.size));
    const row = element("div", { class: "row", role: "option", id: `row${i}`, "data-row": i, "aria-selected": String(leaf === chosen), "aria-setsize": listed.length, "aria-posinset": i + 1 },
      size, isDiff ? "" : element("span", { class: "share" }, share(leaf.size)), swatch(leaf), element("span", { class: "label" }, fit(brief(leaf.name), room, "14px")));
    row.style.top = `${i * ROW}px`;
    made.push(row);
  }
  $("rows").replaceChildren(...made);
  const at = listed.indexOf(chosen);
  if (at >= first && at < last) list.setAttribute("aria-activedescendant", `row${at}`);
  else list.removeAttribute("aria-activedescendant");
}
const partLink = (leaf) => (leaf === chosen ? element("span", { "aria-current": "true" }, cut(leaf.name, 300)) : element("button", { type: "button", "data-part": leaf.part }, cut(leaf.name, 300)));
function chain(leaf) {
  const seen = new Set();
  const steps = [];
  let at = leaf.part;
  while (typeof at === "number" && !seen.has(at)) {
    seen.add(at);
    steps.unshift(leaves[at]);
    at = data.why[at];
  }
  return [typeof at === "string" ? at : "", steps];
}
function details() {
  const panel = $("details");
  if (!chosen) {
    panel.replaceChildren(element("h2", {}, view === root ? "Whole file" : cut(view.name, 200)), element("p", {}, `${sizeText(view)}, ${plural(view.count, "part")}. Choose a box or a line to see what it is and why it is there.`));
    return;
  }
  const facts = [];
  const fact = (term, value) => facts.push(element("dt", {}, term), element("dd", {}, value));
  const path = data.paths[data.path[chosen.part]].join(" › ");
  fact("Size", KINDS[chosen.kind] === "import" ? "none: the host has it" : isDiff ? sizeText(chosen) : `${chosen.size.toLocaleString("en")} bytes, ${share(chosen.size)}`);
  fact("In", path);
  if (data.index[chosen.part] !== null) fact("Function", `index ${data.index[chosen.part]}`);
  const content = [element("p", { class: "name" }, chosen.name), element("dl", {}, ...facts)];
  if (data.why[chosen.part] !== null) {
    const [begin, steps] = chain(chosen);
    const skipped = Math.max(0, steps.length - 60);
    const items = steps.slice(skipped).map((leaf) => element("li", {}, partLink(leaf)));
    if (skipped) items.unshift(element("li", {}, `… ${skipped} callers more`));
    content.push(element("h2", {}, "Why it is here"), element("ol", { id: "why" }, element("li", {}, begin), ...items));
  }
  panel.replaceChildren(...content);
}
function crumbs() {
  const steps = [];
  for (let it = view; it; it = it.parent) steps.unshift(it);
  const made = steps.map((node, place) => (place === steps.length - 1 ? element("span", { "aria-current": "true" }, cut(node.name, 60)) : element("button", { type: "button", "data-zoom": node.path }, cut(node.name, 60))));
  $("crumbs").replaceChildren(...made.flatMap((it, place) => (place ? [" › ", it] : [it])));
}
function heading() {
  $("facts").textContent = data.facts.join(" · ");
  if (isDiff) {
    const by = data.total - data.old_total;
    $("facts").append(" · ", element("b", { class: by > 0 ? "grown" : by < 0 ? "shrunk" : "" }, signed(by)));
  }
  const tops = root.children.filter((node) => node.size || node.old);
  const bar = [], legend = [];
  const entry = (node, size) => {
    const text = isDiff ? (change(node) ? signed(change(node)) : "same") : share(size);
    legend.push(element("button", { type: "button", "data-zoom": node.path }, swatch(node), element("b", {}, cut(node.name, 40)), ` ${isDiff ? "" : bytes(size) + " · "}${text}`));
  };
  const segment = (node) => {
    const it = element("i");
    it.style.flex = `${node.size} 0 0`;
    tint(it, node);
    it.style.background = "oklch(var(--group) var(--c, var(--chroma)) var(--h, 0))";
    bar.push(it);
  };
  for (const node of tops) {
    const crates = !isDiff && node === code ? node.children : [];
    entry(node, node.size);
    for (const child of crates.slice(0, HUES.length)) segment(child);
    if (crates.length > HUES.length) segment({ ...node, size: crates.slice(HUES.length).reduce((sum, it) => sum + it.size, 0) });
    if (!crates.length) segment(node);
  }
  if (!isDiff && code) {
    legend.push(element("span", { role: "separator" }, ""));
    for (const child of code.children.slice(0, HUES.length)) entry(child, child.size);
  }
  $("bar").replaceChildren(...bar);
  $("legend").replaceChildren(...legend);
  const sorts = isDiff ? ["change", "size", "name"] : ["size", "name"];
  $("sort").replaceChildren(...sorts.map((name) => element("option", { value: name }, name)));
}
function modes() {
  if (!isDiff) return;
  const made = [[false, "larger size"], [true, "change"]].map(([value, name]) => element("button", { type: "button", "aria-pressed": String(value === byChange), "data-by": String(value) }, name));
  $("modes").replaceChildren("Boxes by ", made[0], " ", made[1], " ", swatch({ old: 0, size: 9 }), "grew ", swatch({ old: 9, size: 0 }), "shrank");
}

// What people do.
function zoom(node) {
  view = node.children ? node : node.parent || root;
  chosen = null;
  show();
}
function choose(leaf, reveal) {
  chosen = leaf;
  if (reveal && leaf.area > 0) {
    const isWithin = (() => { for (let it = leaf; it; it = it.parent) if (it === view) return true; return false; })();
    if (!isWithin) {
      view = leaf.parent;
      show();
      return;
    }
  }
  const isDrawn = [...boxes.values()].includes(leaf);
  if (reveal && !isDrawn && leaf.area > 0 && view !== leaf.parent) {
    view = leaf.parent;
    draw();
    crumbs();
  } else {
    for (const it of $("map").children) if (it.dataset.box) it.classList.toggle("chosen", boxes.get(+it.dataset.box) === leaf);
  }
  details();
  rows();
  remember();
}
function show() {
  crumbs();
  details();
  draw();
  list();
  remember();
}
function open(node) {
  if (node.rest) {
    if (node.rest !== view) zoom(node.rest);
  } else if (node.children) zoom(node);
  else choose(node);
}
const boxOf = (event) => event.target.closest && event.target.closest("[data-box]");
$("map").addEventListener("click", (event) => {
  const it = boxOf(event);
  if (it) open(boxes.get(+it.dataset.box));
});
$("map").addEventListener("keydown", (event) => {
  const it = boxOf(event);
  const next = { ArrowRight: "nextElementSibling", ArrowDown: "nextElementSibling", ArrowLeft: "previousElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  if (next && it && it[next]) it[next].focus();
  else if ((event.key === "Enter" || event.key === " ") && it) {
    open(boxes.get(+it.dataset.box));
    if (!document.activeElement || document.activeElement === document.body) $("map").firstChild.focus();
  } else if (!next) return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && view !== root && document.activeElement !== $("search")) {
    zoom(view.parent);
    if ($("map").firstChild.focus) $("map").firstChild.focus();
  } else if (event.key === "/" && !["INPUT", "SELECT"].includes(document.activeElement.tagName)) {
    $("search").focus();
    event.preventDefault();
  }
});
document.addEventListener("click", (event) => {
  const it = event.target.closest && event.target.closest("[data-zoom],[data-part],[data-by],[data-row]");
  if (!it) return;
  if (it.dataset.zoom !== undefined) zoom(find(it.dataset.zoom));
  else if (it.dataset.part) choose(leaves[+it.dataset.part], true);
  else if (it.dataset.row) choose(listed[+it.dataset.row], true);
  else {
    byChange = it.dataset.by === "true";
    total(root);
    modes();
    show();
  }
});
$("list").addEventListener("scroll", rows);
$("list").addEventListener("keydown", (event) => {
  const page = Math.floor($("list").clientHeight / ROW);
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
  if (by === undefined || !listed.length) return;
  event.preventDefault();
  const at = Math.max(0, Math.min(listed.length - 1, listed.indexOf(chosen) + by));
  const list = $("list");
  if (at * ROW < list.scrollTop) list.scrollTop = at * ROW;
  if ((at + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (at + 1) * ROW - list.clientHeight;
  choose(listed[at]);
});
let waiting = 0;
$("search").addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    query = $("search").value;
    search();
    draw();
    list();
    remember();
  }, 80);
});
$("sort").addEventListener("change", list);
$("map").addEventListener("pointermove", (event) => {
  const it = boxOf(event);
  const tip = $("tip");
  tip.hidden = !it;
  if (!it) return;
  const node = boxes.get(+it.dataset.box);
  tip.textContent = `${cut(node.name, 240)} — ${sizeText(node)}`;
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 6))}px`;
  tip.style.top = `${event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18}px`;
});
$("map").addEventListener("pointerleave", () => { $("tip").hidden = true; });
let resizing = 0;
addEventListener("resize", () => {
  cancelAnimationFrame(resizing);
  resizing = requestAnimationFrame(() => { draw(); rows(); });
});

// The first picture, or the one that the address asks for.
function begin() {
  const state = new URLSearchParams(location.hash.slice(1));
  byChange = isDiff && state.get("by") === "change";
  if (byChange) total(root);
  query = state.get("q") || "";
  $("search").value = query;
  try {
    view = find(state.get("zoom"));
  } catch {
    view = root;
  }
  chosen = state.has("part") ? leaves[+state.get("part")] || null : null;
  heading();
  modes();
  search();
  show();
}
addEventListener("hashchange", begin);
begin();
