// What the reader has done to the page, in the words of public graph files (qParams), kept in the address.

const highest = nodes.reduce((most, node) => Math.max(most, node.influence ?? 0), 0);

const state = {
  clickedId: "",
  pinnedIds: [],
  supernodes: [], // [label, id, id, ...]
  linkType: "both", // both | input | output
  pruningThreshold: highest,
  clerps: new Map(), // edited labels, by labelKey
  places: new Map(), // where boxes of the subgraph were dragged to, in thousandths of the panel
  hovered: null, // a node's number
  grouping: null, // while G is held: the ids picked so far
  found: null, // the numbers a search found
};

const listeners = [];
let changed = null;

// Call `listener` once a frame after any of `keys` has changed.
function onChange(keys, listener) {
  listeners.push({ keys, listener });
}

function update(changes) {
  Object.assign(state, changes);
  if (changed === null) {
    changed = new Set();
    requestAnimationFrame(() => {
      const keys = changed;
      changed = null;
      for (const { keys: wanted, listener } of listeners) if (wanted.some((key) => keys.has(key))) listener();
    });
  }
  for (const key of Object.keys(changes)) changed.add(key);
}

// Names

function labelOf(node) {
  return state.clerps.get(node.labelKey) || node.given || plainName(node);
}

function relabel(node, text) {
  const clerps = new Map(state.clerps);
  if (text.trim() && text.trim() !== node.given) clerps.set(node.labelKey, text.trim());
  else clerps.delete(node.labelKey);
  update({ clerps });
}

// Which nodes are there

function isVisible(node) {
  if (node.kind === "token" || node.kind === "target" || node.influence === null) return true;
  return node.influence <= state.pruningThreshold + 1e-9 || state.pinnedIds.includes(node.id);
}

let visible = nodes.map(() => true);
function refreshVisible() {
  visible = nodes.map(isVisible);
}
const linkVisible = (link) => visible[link.source] && visible[link.target];

// The nodes in focus: one, or all of a supernode (whose id is `supernode-` and its number, counted from 0).
function membersOf(id) {
  const group = /^supernode-(\d+)$/.exec(id);
  const ids = group ? (state.supernodes[Number(group[1])] || []).slice(1) : [id];
  return ids.map((one) => numberOf.get(one)).filter((one) => one !== undefined);
}

function click(id) {
  update({ clickedId: state.clickedId === id ? "" : id });
}

function togglePin(ids) {
  const all = ids.every((id) => state.pinnedIds.includes(id));
  const rest = state.pinnedIds.filter((id) => !ids.includes(id));
  if (all) regroup(withoutMembers(ids), { pinnedIds: rest });
  else update({ pinnedIds: [...rest, ...ids] });
}

// The supernodes without some nodes; one that has a single member left is none.
function withoutMembers(ids) {
  const touched = (group) => group.some((id, i) => i > 0 && ids.includes(id));
  const left = (group) => group.filter((id, i) => i === 0 || !ids.includes(id));
  return state.supernodes
    .map((group) => (touched(group) ? left(group) : group))
    .filter((group) => group.length > 2 || state.supernodes.includes(group));
}

// In and out of the address and of public graph files

function qParams() {
  return {
    pinnedIds: state.pinnedIds,
    supernodes: state.supernodes,
    linkType: state.linkType,
    clickedId: state.clickedId,
    sg_pos: state.places.size ? boxPlaces() : "",
    pruningThreshold: state.pruningThreshold,
    clerps: [...state.clerps],
  };
}

function restore(given) {
  const known = (id) => numberOf.has(id);
  const list = (value) => (typeof value === "string" ? value.split(",") : Array.isArray(value) ? value : []);
  const pinned = list(given.pinnedIds).filter(known);
  const groups = parsed(given.supernodes)
    .filter(Array.isArray)
    .map(([label, ...ids]) => [String(label), ...ids.filter(known)])
    .filter((group) => group.length > 1);
  const pairs = parsed(given.clerps).filter((pair) => Array.isArray(pair) && pair.length === 2);
  const threshold = Number.parseFloat(given.pruningThreshold);
  update({
    supernodes: groups,
    pinnedIds: [...new Set([...pinned, ...groups.flatMap((group) => group.slice(1))])],
    linkType: ["both", "input", "output"].includes(given.linkType) ? given.linkType : "both",
    pruningThreshold: Number.isFinite(threshold) ? Math.min(threshold, highest) : highest,
    clerps: new Map(pairs.map(([key, label]) => [String(key), String(label)])),
    places: new Map(),
  });
  const clicked = String(given.clickedId || "");
  const first = nodes.find((node) => node.kind === "target"); // what most want to see first
  const clickedId = membersOf(clicked).length ? clicked : given.clickedId === "none" || !first ? "" : first.id;
  update({ clickedId });
  const spots = String(given.sg_pos || "")
    .split(" ")
    .map(Number);
  const boxes = boxOrder();
  if (spots.length === 2 * boxes.length && spots.every(Number.isFinite)) {
    boxes.forEach((box, i) => state.places.set(box.id, spots.slice(2 * i, 2 * i + 2)));
  }
}

function parsed(value) {
  if (typeof value !== "string") return Array.isArray(value) ? value : [];
  try {
    return [JSON.parse(value)].flat(1);
  } catch {
    return [];
  }
}

let written = null;
function writeAddress() {
  const standard = { linkType: "both", pruningThreshold: highest };
  const empty = (value) => value === "" || (Array.isArray(value) && !value.length);
  const address = new URLSearchParams();
  for (const [key, value] of Object.entries(qParams())) {
    if (value === standard[key] || empty(value)) continue;
    const pinned = key === "pinnedIds";
    address.set(key, pinned ? value.join(",") : Array.isArray(value) ? JSON.stringify(value) : value);
  }
  if (!state.clickedId) address.set("clickedId", "none");
  written = `#${address}`;
  history.replaceState(null, "", written);
}

function restoreFromAddress() {
  if (location.hash === written) return;
  const given = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  restore(Object.keys(given).length ? given : content.qParams);
}

onChange(["pinnedIds", "pruningThreshold"], refreshVisible);
onChange(["clickedId", "pinnedIds", "supernodes", "linkType", "pruningThreshold", "clerps", "places"], writeAddress);
