// The layer x token graph: nodes as SVG, links on two canvases below them, axes that stay in view.

const scroller = byId("scroller");
const sheet = byId("sheet");
const nodeLayer = byId("nodes");
const back = new LinkLayer(byId("links-back"));
const front = new LinkLayer(byId("links-front"));
let arranged = null;
let background = [];

// Nodes

function outline(kind, radius) {
  const r = kind === "target" ? radius * 1.15 : radius;
  if (kind === "error") return `M0 ${-r * 1.15}L${r * 1.15} 0L0 ${r * 1.15}L${-r * 1.15} 0Z`;
  if (kind === "feature") return `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
  return `M${-r * 0.9} ${-r * 0.9}h${1.8 * r}v${1.8 * r}h${-1.8 * r}Z`;
}

const marks = nodes.map((node) =>
  drawn("path", {
    class: `node ${node.kind}`,
    "data-index": node.index,
    "data-id": node.id,
    role: "button",
    tabindex: -1,
  }),
);
nodeLayer.append(...marks);

const markAt = (event) => event.target.closest?.(".node");

nodeLayer.addEventListener("pointerover", (event) => {
  const mark = markAt(event);
  if (mark) update({ hovered: Number(mark.dataset.index) });
});
nodeLayer.addEventListener("pointerout", (event) => {
  if (markAt(event)) update({ hovered: null });
});
nodeLayer.addEventListener("click", (event) => {
  const mark = markAt(event);
  if (mark) choose(nodes[mark.dataset.index].id, event);
  else if (!state.grouping) update({ clickedId: "" });
});
nodeLayer.addEventListener("focusin", (event) => {
  const mark = markAt(event);
  if (!mark) return;
  if (mark.matches(":focus-visible")) update({ hovered: Number(mark.dataset.index) });
  for (const other of nodeLayer.querySelectorAll('[tabindex="0"]')) other.setAttribute("tabindex", -1);
  mark.setAttribute("tabindex", 0);
});

// What a click on a node, a box or an entry of a list does.
function choose(id, event) {
  const ids = membersOf(id).map((i) => nodes[i].id);
  if (state.grouping) pickForGroup(ids);
  else if (event.ctrlKey || event.metaKey) togglePin(ids);
  else click(id);
}

function placeMarks() {
  const { spots, radius } = arranged;
  for (const node of nodes) {
    const spot = spots[node.index];
    const mark = marks[node.index];
    mark.style.setProperty("display", spot ? "" : "none");
    if (!spot) continue;
    mark.setAttribute("d", outline(node.kind, radius));
    mark.setAttribute("transform", `translate(${spot.x.toFixed(1)} ${spot.y.toFixed(1)})`);
  }
  const entry = nodeLayer.querySelector('[tabindex="0"]'); // where the Tab key enters the graph
  if (entry && spots[entry.dataset.index]) return;
  entry?.setAttribute("tabindex", -1);
  marks[nodes.findLastIndex(isVisible)]?.setAttribute("tabindex", 0);
}

function nameMarks() {
  for (const node of nodes) marks[node.index].setAttribute("aria-label", `${labelOf(node)}: ${placeOf(node)}`);
}

// Shade what the focus is linked to by sign and weight, and step back the rest.
function paintMarks() {
  const members = membersOf(state.clickedId);
  const weight = new Map();
  for (const link of linksAt(members)) {
    const other = members.includes(link.source) ? link.target : link.source;
    weight.set(other, (weight.get(other) || 0) + link.weight);
  }
  const most = Math.max(1e-30, ...[...weight.values()].map(Math.abs));
  const pinned = new Set(state.pinnedIds);
  for (const node of nodes) {
    const mark = marks[node.index];
    const size = weight.get(node.index);
    const focus = members.includes(node.index);
    const missed = state.found ? !state.found.has(node.index) : members.length && size === undefined && !focus;
    mark.classList.toggle("clicked", focus);
    mark.classList.toggle("pinned", pinned.has(node.id));
    mark.classList.toggle("found", Boolean(state.found?.has(node.index)));
    mark.classList.toggle("faded", Boolean(missed));
    mark.classList.toggle("picked", Boolean(state.grouping?.includes(node.id)));
    mark.setAttribute("aria-pressed", focus);
    const colour = size === undefined ? "" : `var(--${size < 0 ? "down" : "up"})`;
    const share = 15 + 85 * (Math.abs(size) / most);
    mark.style.setProperty("fill", colour && `color-mix(in srgb, ${colour} ${share.toFixed(0)}%, var(--card))`);
  }
}

// A node under the pointer shows wherever it stands: in the graph, in the lists and as a box.
function hoverMarks() {
  for (const mark of document.querySelectorAll(".hovered")) mark.classList.remove("hovered");
  if (state.hovered === null) return;
  const named = `[data-id="${CSS.escape(nodes[state.hovered].id)}"]`;
  for (const mark of document.querySelectorAll(named)) mark.classList.add("hovered");
}

// Links

const scrollOf = () => ({ x: scroller.scrollLeft, y: scroller.scrollTop });

function drawBack() {
  const members = membersOf(state.clickedId);
  const focus = linksAt(members).sort(stronger).slice(0, BACKGROUND).reverse();
  back.draw(members.length ? bright(focus) : background.map(faint), arranged.spots, scrollOf());
}

function drawFront() {
  const hover = state.hovered === null ? [] : linksAt([state.hovered]).sort(stronger).slice(0, 400);
  front.draw(bright(hover), arranged.spots, scrollOf());
}

// Axes

function writeAxes() {
  const { base, bands, left, columns, height, width, foot, upright, head } = arranged;
  const middle = (row) => base[row] - bands[row] / 2;
  const every = Math.ceil(13 / Math.min(...bands));
  const names = base.map((_, row) =>
    row === 0 || (row - 1) % every ? null : element("span", { style: { top: `${middle(row)}px` } }, `L${row - 1}`),
  );
  byId("layers").replaceChildren(...names.filter(Boolean));
  byId("layers").style.setProperty("height", `${height}px`);
  const written = tokens.map((token, at) => {
    const place = {
      left: `${left[at]}px`,
      width: `${columns[at]}px`,
      "line-height": `${upright ? columns[at] : 20}px`,
    };
    return element("span", { style: place, title: `${shown(token)} (${at})` }, shown(token));
  });
  const axis = byId("tokens");
  axis.classList.toggle("upright", upright);
  axis.style.setProperty("height", `${foot}px`);
  axis.style.setProperty("width", `${width}px`);
  axis.replaceChildren(...written);
  const lines = base.map((y) => drawn("path", { d: `M${MARGIN.left} ${y.toFixed(1)}H${width - MARGIN.right}` }));
  const posts = left.map((x) => drawn("path", { class: "post", d: `M${x.toFixed(1)} ${head}V${base[0]}` }));
  byId("grid").replaceChildren(...posts, ...lines);
  byId("target-names").replaceChildren(...nodes.filter((node) => node.kind === "target").map(targetLabel));
}

// `Output "Paris" (p=0.123)` is long for a slanted label: the token, and its probability behind it.
function targetName(node) {
  const token = /^Output "(.*)" \(p=[\d.]+\)$/s.exec(labelOf(node))?.[1];
  if (token === undefined) return shortened(shown(labelOf(node)), 22);
  return `${shortened(shown(token), 14)} ${node.probability === null ? "" : node.probability.toFixed(2)}`.trim();
}

function targetLabel(node) {
  const { x, y } = arranged.spots[node.index];
  const place = `translate(${(x + 3).toFixed(1)} ${y - 9}) rotate(42)`;
  const title = drawn("title", {}, `${labelOf(node)}: ${placeOf(node)}`);
  return drawn("text", { transform: place, "text-anchor": "end", "data-id": node.id }, targetName(node), title);
}

// All of it

function arrangeGraph() {
  const view = { width: scroller.clientWidth, height: scroller.clientHeight };
  arranged = arrange(
    nodes.filter((node) => visible[node.index]),
    view,
  );
  const { width, height } = arranged;
  sheet.style.setProperty("width", `${width}px`);
  sheet.style.setProperty("height", `${height}px`);
  const picture = byId("picture");
  picture.setAttribute("width", width);
  picture.setAttribute("height", height);
  back.resize(scroller.clientWidth, scroller.clientHeight);
  front.resize(scroller.clientWidth, scroller.clientHeight);
  background = backgroundLinks().reverse(); // the strongest on top
  placeMarks();
  writeAxes();
  paintMarks();
  drawBack();
  drawFront();
  const drawnLinks = links.filter(linkVisible).length;
  byId("amount").textContent =
    `${count(nodes.filter((node) => visible[node.index]).length, "node")}, ${count(drawnLinks, "link")}` +
    (drawnLinks > BACKGROUND ? ` (the strongest ${BACKGROUND.toLocaleString("en")} drawn)` : "");
}

onChange(["clerps"], () => {
  nameMarks();
  writeAxes();
});
onChange(["pruningThreshold"], arrangeGraph);
onChange(["pinnedIds"], () =>
  nodes.some((node) => visible[node.index] !== Boolean(arranged.spots[node.index])) ? arrangeGraph() : paintMarks(),
);
onChange(["clickedId", "supernodes", "linkType", "found", "grouping"], paintMarks);
onChange(["clickedId", "supernodes", "linkType", "pinnedIds"], drawBack);
onChange(["hovered", "linkType"], () => {
  hoverMarks();
  drawFront();
});
scroller.addEventListener("scroll", () => requestAnimationFrame(() => (drawBack(), drawFront())));
