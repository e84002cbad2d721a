// The panel of pinned nodes: one box a node or supernode, and the summed links between them.

const BOX = { width: 128, height: 40, gap: 10 };
const subgraph = byId("subgraph-boxes");
const subgraphLinks = byId("subgraph-links");

// Boxes in the order of the pinned nodes; a supernode stands where its first member does.
function boxOrder() {
  const boxes = new Map();
  for (const id of state.pinnedIds) {
    const at = state.supernodes.findIndex((group) => group.includes(id, 1));
    const key = at < 0 ? id : `supernode-${at}`;
    if (!boxes.has(key)) boxes.set(key, { id: key, group: at, members: membersOf(key) });
  }
  return [...boxes.values()];
}

const mean = (list) => list.reduce((sum, one) => sum + one, 0) / list.length;

// Later layers above, later tokens to the right; boxes of a line are pushed apart.
function boxSpots(boxes, width, height) {
  const rowOf = (box) => Math.round(mean(box.members.map((i) => nodes[i].row)));
  const placeOfBox = (box) => mean(box.members.map((i) => nodes[i].position));
  const places = [...new Set(boxes.map(placeOfBox))].sort((one, other) => one - other);
  const rows = [...new Set(boxes.map(rowOf))].sort((one, other) => other - one);
  const perLine = Math.max(1, Math.floor((width - BOX.gap) / (BOX.width + BOX.gap)));
  const lines = [];
  for (const row of rows) {
    const line = boxes
      .filter((box) => rowOf(box) === row)
      .map((box) => ({ box, x: (places.indexOf(placeOfBox(box)) + 0.5) / places.length }))
      .sort((one, other) => one.x - other.x);
    while (line.length) lines.push(line.splice(0, perLine));
  }
  const pitch = Math.max(BOX.height + 14, (height - BOX.gap) / Math.max(1, lines.length));
  const spots = new Map();
  lines.forEach((line, at) => {
    const wishes = line.map(({ x }) => x * width - BOX.width / 2);
    const lefts = [];
    for (const wish of wishes) lefts.push(Math.max(wish, lefts.length ? lefts.at(-1) + BOX.width + BOX.gap : wish));
    // Pushing went to the right alone: move the line back to the middle of what was wished, inside the panel.
    const back = mean(wishes) - mean(lefts);
    const [least, most] = [BOX.gap - lefts[0], width - BOX.gap - BOX.width - lefts.at(-1)];
    const shift = Math.max(least, Math.min(back, most));
    const y = BOX.gap / 2 + at * pitch + (pitch - BOX.height) / 2;
    line.forEach(({ box }, i) => spots.set(box.id, { x: lefts[i] + shift, y }));
  });
  for (const [id, [x, y]] of state.places) {
    if (spots.has(id)) spots.set(id, { x: (x / 1000) * width, y: (y / 1000) * height });
  }
  return spots;
}

// Where all boxes stand, as public graph files have it: x and y in thousandths of the panel, box by box.
function boxPlaces() {
  const boxes = boxOrder();
  const { clientWidth, clientHeight } = byId("subgraph");
  const spots = boxSpots(boxes, clientWidth, clientHeight);
  const place = ({ x, y }) => [(1000 * x) / clientWidth, (1000 * y) / clientHeight].map(Math.round);
  return boxes.flatMap((box) => place(spots.get(box.id))).join(" ");
}

// Between boxes: the sum of the links between their members, and its share of what goes into the upper box.
function boxLinks(boxes) {
  const boxAt = new Map(boxes.flatMap((box) => box.members.map((i) => [i, box])));
  const sums = new Map();
  for (const box of boxes) {
    for (const link of box.members.flatMap((i) => inputs[i])) {
      const from = boxAt.get(link.source);
      if (!from || from === box || !linkVisible(link)) continue;
      const key = `${from.id} ${box.id}`;
      const sum = sums.get(key) || { from, to: box, weight: 0 };
      sum.weight += link.weight;
      sums.set(key, sum);
    }
  }
  const into = (box) => box.members.reduce((sum, i) => sum + absoluteInput[i], 0) || 1;
  return [...sums.values()].map((link) => ({ ...link, share: Math.abs(link.weight) / into(link.to) }));
}

let spots = new Map();

function writeSubgraph() {
  if (subgraph.querySelector("input")) return; // a name is being written; the end of that draws anew
  const boxes = boxOrder();
  const panel = byId("subgraph");
  byId("subgraph-empty").hidden = boxes.length > 0;
  spots = boxSpots(boxes, panel.clientWidth, panel.clientHeight);
  refill(subgraph, ...boxes.map(boxElement));
  drawBoxLinks(boxes);
}

function drawBoxLinks(boxes) {
  const panel = byId("subgraph");
  const lowest = Math.max(panel.clientHeight, ...[...spots.values()].map((spot) => spot.y + BOX.height + 4));
  subgraphLinks.setAttribute("height", lowest);
  const sums = boxLinks(boxes);
  const most = Math.max(1e-30, ...sums.map((link) => link.share));
  const paths = sums.map(({ from, to, weight, share }) => {
    const [a, b] = [spots.get(from.id), spots.get(to.id)];
    const [x1, y1, x2, y2] = [a.x + BOX.width / 2, a.y, b.x + BOX.width / 2, b.y + BOX.height];
    const middle = (y1 + y2) / 2;
    const title = `${nameOf(from)} → ${nameOf(to)}: ${signed(weight)} (${percent(share)} of the inputs)`;
    const style = {
      "stroke-width": (0.8 + (6 * share) / most).toFixed(1),
      "stroke-opacity": (0.35 + (0.5 * share) / most).toFixed(2),
    };
    const d = `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`;
    return drawn(
      "path",
      { class: weight < 0 ? "down" : "up", d, style, "data-weight": weight },
      drawn("title", {}, title),
    );
  });
  subgraphLinks.replaceChildren(...paths);
}

function nameOf(box) {
  if (box.group >= 0) return state.supernodes[box.group][0];
  const node = nodes[box.members[0]];
  return node.kind === "target" ? targetName(node) : labelOf(node);
}

function boxElement(box) {
  const { x, y } = spots.get(box.id);
  const only = nodes[box.members[0]];
  const where = box.group >= 0 ? count(box.members.length, "node") : whereOf(only);
  const picked = state.grouping && box.members.every((i) => state.grouping.includes(nodes[i].id));
  const kind = box.group >= 0 ? "supernode" : only.kind;
  const made = element(
    "div",
    {
      class: `box ${kind}${box.id === state.clickedId ? " clicked" : ""}${picked ? " picked" : ""}`,
      "data-id": box.id,
      style: { left: `${x}px`, top: `${y}px` },
    },
    element(
      "button",
      {
        type: "button",
        class: "grip",
        "data-key": box.id,
        title: `${nameOf(box)}\n${where}`,
        onclick: (event) => boxClick(box, made, event),
      },
      element("span", { class: "name" }, nameOf(box)),
      element("span", { class: "where" }, where),
    ),
    box.group >= 0
      ? element(
          "button",
          {
            type: "button",
            class: "small rename",
            "aria-label": `Rename ${nameOf(box)}`,
            title: "Rename",
            onclick: () => rename(box, made),
          },
          "✎",
        )
      : null,
    box.group >= 0
      ? element(
          "button",
          {
            type: "button",
            class: "small ungroup",
            "aria-label": `Ungroup ${nameOf(box)}`,
            title: "Ungroup",
            onclick: () => ungroup(box.group),
          },
          "×",
        )
      : null,
  );
  made.addEventListener("dblclick", () => rename(box, made));
  made.addEventListener("keydown", (event) => event.key === "F2" && rename(box, made));
  made.addEventListener("pointerenter", () => box.group < 0 && update({ hovered: only.index }));
  made.addEventListener("pointerleave", () => update({ hovered: null }));
  made.addEventListener("pointerdown", (event) => startDrag(event, box, made));
  return made;
}

// A click that ended a drag is none, and the second of a double click belongs to the new name.
function boxClick(box, made, event) {
  if (!made.dataset.dragged && event.detail < 2) choose(box.id, event);
}

function startDrag(event, box, made) {
  if (event.button !== 0 || event.target.closest(".small, input")) return;
  const start = { ...spots.get(box.id), px: event.clientX, py: event.clientY };
  const panel = byId("subgraph");
  const move = (to) => {
    const [dx, dy] = [to.clientX - start.px, to.clientY - start.py];
    if (!made.dataset.dragged && Math.hypot(dx, dy) < 4) return;
    made.dataset.dragged = "yes";
    const x = Math.max(0, Math.min(start.x + dx, panel.clientWidth - BOX.width));
    const y = Math.max(0, Math.min(start.y + dy, panel.clientHeight - BOX.height));
    spots.set(box.id, { x, y });
    made.style.setProperty("left", `${x}px`);
    made.style.setProperty("top", `${y}px`);
    drawBoxLinks(boxOrder());
  };
  const stop = () => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", stop);
    removeEventListener("pointercancel", stop);
    if (!made.dataset.dragged) return;
    const { x, y } = spots.get(box.id);
    const place = [x / panel.clientWidth, y / panel.clientHeight].map((share) => Math.round(1000 * share));
    // The click that ends the drag comes first, and must still find the mark of the drag.
    setTimeout(() => update({ places: new Map(state.places).set(box.id, place) }));
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", stop);
  addEventListener("pointercancel", stop);
}

onChange(["pinnedIds", "supernodes", "clerps", "clickedId", "grouping", "pruningThreshold", "places"], writeSubgraph);
