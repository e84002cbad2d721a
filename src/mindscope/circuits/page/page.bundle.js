// Built by "make page" from the modules in web/, sources b545f6c1dd67690b66f832d057679a6f262289063f94417c0fe811d6fb3a669b

// model/graph.js
function readGraph(content) {
  const nodes = readNodes(content);
  const inputs = nodes.map(() => (
    /** @type {Link[]} */
    []
  ));
  const outputs = nodes.map(() => (
    /** @type {Link[]} */
    []
  ));
  const absoluteInput = nodes.map(() => 0);
  const links = content.links.map(readLink);
  for (const link of links) {
    inputs[link.target].push(link);
    outputs[link.source].push(link);
    absoluteInput[link.target] += Math.abs(link.weight);
  }
  for (const link of links) link.share = Math.abs(link.weight) / (absoluteInput[link.target] || 1);
  for (const list of [...inputs, ...outputs]) list.sort(compareStrength);
  return {
    tokens: content.metadata.prompt_tokens,
    nLayers: content.layers,
    nodes,
    links,
    linksByShare: links.toSorted((a, b) => b.share - a.share),
    inputs,
    outputs,
    absoluteInput,
    numbers: new Map(nodes.map((node) => [node.id, node.index])),
    details: content.details,
    highestInfluence: nodes.reduce((highest, node) => Math.max(highest, node.influence ?? 0), 0)
  };
}
function readNodes(content) {
  return content.nodes.map((node, index) => {
    const { kind, layer, position, latent } = content.shown[index];
    return {
      index,
      id: node.node_id,
      kind,
      layer,
      position,
      latent,
      row: kind === "token" ? 0 : kind === "target" ? content.layers + 1 : layer + 1,
      labelKey: `${node.layer}_${node.feature}_${node.ctx_idx}`,
      givenLabel: node.clerp || "",
      influence: node.influence ?? null,
      activation: node.activation ?? null,
      probability: kind === "target" ? node.token_prob ?? null : null
    };
  });
}
function readLink([source, target, weight]) {
  return { source, target, weight, share: 0 };
}
function compareStrength(a, b) {
  return Math.abs(b.weight) - Math.abs(a.weight);
}
function findDetails(graph, node) {
  return node.kind === "feature" ? graph.details[`${node.layer}_${node.latent}`] : void 0;
}

// layout/box_layout.js
var BOX = { width: 128, height: 40, gap: 10 };
var STEP = BOX.width + BOX.gap;
function placeBoxes(graph, boxes, panel, places) {
  const lines = fillLines(graph, boxes, panel.width);
  const pitch = Math.max(BOX.height + 14, (panel.height - BOX.gap) / Math.max(1, lines.length));
  const spots = /* @__PURE__ */ new Map();
  lines.forEach((line, i) => {
    const y = BOX.gap / 2 + i * pitch + (pitch - BOX.height) / 2;
    const lefts = pushApart(
      line.map(({ column }) => column * panel.width - BOX.width / 2),
      panel.width
    );
    line.forEach(({ box }, place) => spots.set(box.id, { x: lefts[place], y }));
  });
  for (const [id, [x, y]] of places) {
    if (spots.has(id)) spots.set(id, { x: x / 1e3 * panel.width, y: y / 1e3 * panel.height });
  }
  return spots;
}
function fillLines(graph, boxes, width) {
  const placed = boxes.map((box) => {
    const members = box.members.map((member) => graph.nodes[member]);
    return {
      box,
      row: Math.round(average(members.map((node) => node.row))),
      position: average(members.map((node) => node.position))
    };
  });
  const positions = [...new Set(placed.map(({ position }) => position))].sort((a, b) => a - b);
  const rows = [...new Set(placed.map(({ row }) => row))].sort((a, b) => b - a);
  const perLine = Math.max(1, Math.floor((width - BOX.gap) / STEP));
  const lines = [];
  for (const row of rows) {
    const line = placed.filter((entry) => entry.row === row).map(({ box, position }) => ({ box, column: (positions.indexOf(position) + 0.5) / positions.length })).sort((a, b) => a.column - b.column);
    while (line.length) lines.push(line.splice(0, perLine));
  }
  return lines;
}
function pushApart(wishes, width) {
  const lefts = [];
  for (const wish of wishes) {
    const last = lefts.at(-1);
    lefts.push(last === void 0 ? wish : Math.max(wish, last + STEP));
  }
  const leftmost = BOX.gap - lefts[0];
  const rightmost = width - STEP - lefts[lefts.length - 1];
  const shift = Math.max(leftmost, Math.min(average(wishes) - average(lefts), rightmost));
  let limit = width - STEP;
  for (let i = lefts.length - 1; i >= 0; i--) {
    lefts[i] = Math.max(BOX.gap + i * STEP, Math.min(lefts[i] + shift, limit));
    limit = lefts[i] - STEP;
  }
  return lefts;
}
function formatPlaces(boxes, spots, panel) {
  return boxes.flatMap((box) => roundPlace(
    /** @type {Spot} */
    spots.get(box.id),
    panel
  )).join(" ");
}
function parsePlaces(boxes, text) {
  const values = text.split(" ").map(Number);
  if (values.length !== 2 * boxes.length || !values.every(Number.isFinite)) return /* @__PURE__ */ new Map();
  return new Map(boxes.map((box, i) => [box.id, values.slice(2 * i, 2 * i + 2)]));
}
function roundPlace({ x, y }, panel) {
  return [Math.round(1e3 * x / panel.width), Math.round(1e3 * y / panel.height)];
}
function average(list) {
  return list.reduce((sum2, value) => sum2 + value, 0) / list.length;
}

// model/supernodes.js
function composeSupernodeId(number) {
  return `supernode-${number}`;
}
function readSupernodeNumber(id) {
  const digits = /^supernode-(\d+)$/.exec(id)?.[1];
  return digits === void 0 ? null : Number(digits);
}
function findMembers(graph, supernodes, id) {
  const number = readSupernodeNumber(id);
  const ids = number === null ? [id] : (supernodes[number] ?? []).slice(1);
  return ids.flatMap((member) => graph.numbers.get(member) ?? []);
}
function removeMembers(supernodes, ids) {
  return supernodes.flatMap((supernode) => {
    const [label, ...members] = supernode;
    const kept = members.filter((id) => !ids.includes(id));
    if (kept.length === members.length) return [supernode];
    return kept.length > 1 ? [[label, ...kept]] : [];
  });
}
function regroup(grouped, supernodes) {
  const moveId = (id) => {
    const number = readSupernodeNumber(id);
    if (number === null) return id;
    const moved = supernodes.indexOf(grouped.supernodes[number]);
    return moved < 0 ? "" : composeSupernodeId(moved);
  };
  const places = new Map([...grouped.places].map(([id, place]) => [moveId(id), place]));
  places.delete("");
  return { supernodes, places, clickedId: moveId(grouped.clickedId) };
}
function addSupernode(grouped, label, ids) {
  return regroup(grouped, [...removeMembers(grouped.supernodes, ids), [label, ...ids]]);
}
function removeSupernode(grouped, number) {
  return regroup(grouped, grouped.supernodes.toSpliced(number, 1));
}
function renameSupernode(supernodes, number, label) {
  return supernodes.map((supernode, i) => i === number ? [label, ...supernode.slice(1)] : supernode);
}

// model/selection.js
function toggleFocus(selection, id) {
  return { clickedId: selection.clickedId === id ? "" : id };
}
function toggleIds(list, ids) {
  const rest = list.filter((id) => !ids.includes(id));
  return ids.every((id) => list.includes(id)) ? rest : [...rest, ...ids];
}
function togglePins(selection, ids) {
  const pinnedIds = toggleIds(selection.pinnedIds, ids);
  if (ids.some((id) => pinnedIds.includes(id))) return { pinnedIds };
  return { ...regroup(selection, removeMembers(selection.supernodes, ids)), pinnedIds };
}
function addPins(pinnedIds, ids) {
  return [.../* @__PURE__ */ new Set([...pinnedIds, ...ids])];
}

// model/text.js
function formatNumber(value) {
  if (value === null || value === void 0 || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const scientific = size !== 0 && (size < 1e-3 || size >= 1e6);
  const text = scientific ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  return text.replaceAll("-", "−");
}
function formatSigned(value) {
  return (value > 0 ? "+" : "") + formatNumber(value);
}
function formatPercent(share) {
  return `${(100 * share).toFixed(share >= 0.0995 ? 0 : 1)} %`;
}
function formatCount(amount, noun) {
  return `${amount.toLocaleString("en")} ${noun}${amount === 1 ? "" : "s"}`;
}
function formatToken(token) {
  return token.replaceAll("\n", "⏎").replaceAll("	", "⇥").replaceAll("\r", "↵").trim() || "␣";
}
function shorten(text, length) {
  const signs = [...text];
  if (signs.length <= length) return text;
  const kept = signs.slice(0, length - 1).join("");
  return `${kept.trimEnd()}…`;
}

// model/names.js
function readLabel(graph, clerps, node) {
  return clerps.get(node.labelKey) || node.givenLabel || composeName(graph, node);
}
function editLabel(clerps, node, text) {
  const edited = new Map(clerps);
  const label = text.trim();
  if (label && label !== node.givenLabel) edited.set(node.labelKey, label);
  else edited.delete(node.labelKey);
  return edited;
}
function composeName(graph, node) {
  if (node.kind === "feature") {
    const promoted = findDetails(graph, node)?.top_logits ?? [];
    if (promoted.length) return `says ${promoted.slice(0, 3).map(formatToken).join(", ")}`;
    return `L${node.layer} · ${node.latent}`;
  }
  if (node.kind === "error") return `error L${node.layer}`;
  return node.kind === "token" ? formatToken(graph.tokens[node.position]) : node.id;
}
function abbreviateTarget(graph, clerps, node) {
  const label = readLabel(graph, clerps, node);
  const token = /^Output "(.*)" \(p=[\d.]+\)$/s.exec(label)?.[1];
  if (token === void 0) return shorten(formatToken(label), 22);
  return `${shorten(formatToken(token), 14)} ${node.probability?.toFixed(2) ?? ""}`.trim();
}
function abbreviateLabel(graph, clerps, node) {
  return node.kind === "target" ? abbreviateTarget(graph, clerps, node) : readLabel(graph, clerps, node);
}
function describeFeature(node) {
  return `feature ${node.latent} of layer ${node.layer}`;
}
function describePlace(graph, node) {
  const token = `“${formatToken(graph.tokens[node.position])}” (${node.position})`;
  if (node.kind === "feature") return `${describeFeature(node)} at ${token}`;
  if (node.kind === "error") return `error of layer ${node.layer} at ${token}`;
  return node.kind === "token" ? `token ${node.position}` : `target at ${token}`;
}
function abbreviatePlace(graph, node) {
  if (node.kind === "token") return `token ${node.position}`;
  const token = shorten(formatToken(graph.tokens[node.position]), 12);
  return node.kind === "target" ? token : `L${node.layer} ${token}`;
}

// model/visibility.js
var ROUNDING = 1e-9;
function findVisible(graph, threshold, pinnedIds) {
  const pinned = new Set(pinnedIds);
  return graph.nodes.map(
    ({ id, kind, influence }) => kind === "token" || kind === "target" || influence === null || influence <= threshold + ROUNDING || pinned.has(id)
  );
}
function isLinkVisible(visible, link) {
  return visible[link.source] && visible[link.target];
}
function pickLargestLinks(graph, visible, limit) {
  const picked = [];
  for (const link of graph.linksByShare) {
    if (picked.length === limit) break;
    if (isLinkVisible(visible, link)) picked.push(link);
  }
  return picked;
}

// model/subgraph.js
function findBoxes(graph, pinnedIds, supernodes) {
  const boxes = /* @__PURE__ */ new Map();
  for (const pinnedId of pinnedIds) {
    const number = supernodes.findIndex((supernode) => supernode.includes(pinnedId, 1));
    const id = number < 0 ? pinnedId : composeSupernodeId(number);
    if (boxes.has(id)) continue;
    boxes.set(id, { id, supernode: number < 0 ? null : number, members: findMembers(graph, supernodes, id) });
  }
  return [...boxes.values()];
}
function sumBoxLinks(graph, visible, boxes) {
  const boxOfNode = new Map(boxes.flatMap((box) => box.members.map((member) => [member, box])));
  const sums = /* @__PURE__ */ new Map();
  for (const to of boxes) {
    for (const link of to.members.flatMap((member) => graph.inputs[member])) {
      const from = boxOfNode.get(link.source);
      if (!from || from === to || !isLinkVisible(visible, link)) continue;
      const key = `${from.id} ${to.id}`;
      const sum2 = sums.get(key) ?? { from, to, weight: 0 };
      sum2.weight += link.weight;
      sums.set(key, sum2);
    }
  }
  const sumInput = (box) => box.members.reduce((sum2, member) => sum2 + graph.absoluteInput[member], 0);
  return [...sums.values()].map((sum2) => ({ ...sum2, share: Math.abs(sum2.weight) / (sumInput(sum2.to) || 1) }));
}
function nameBox(graph, clerps, supernodes, box) {
  if (box.supernode !== null) return supernodes[box.supernode][0];
  return abbreviateLabel(graph, clerps, graph.nodes[box.members[0]]);
}

// store/reader_params.js
var LINK_TYPES = ["both", "input", "output"];
var NO_FOCUS = "none";
function writeParams(graph, state, panel) {
  const boxes = findBoxes(graph, state.pinnedIds, state.supernodes);
  const spots = placeBoxes(graph, boxes, panel, state.places);
  return {
    pinnedIds: state.pinnedIds,
    supernodes: state.supernodes,
    linkType: state.linkType,
    clickedId: state.clickedId,
    sg_pos: state.places.size ? formatPlaces(boxes, spots, panel) : "",
    pruningThreshold: state.pruningThreshold,
    clerps: [...state.clerps]
  };
}
function readParams(graph, params) {
  const isKnown = (id) => graph.numbers.has(id);
  const supernodes = parseList(params.supernodes).filter(Array.isArray).map(([label, ...ids]) => [String(label), ...ids.filter(isKnown)]).filter((supernode) => supernode.length > 1);
  const pinnedIds = addPins(
    splitIds(params.pinnedIds).filter(isKnown),
    supernodes.flatMap((supernode) => supernode.slice(1))
  );
  const pairs = parseList(params.clerps).filter((pair) => Array.isArray(pair) && pair.length === 2);
  const threshold = Number.parseFloat(params.pruningThreshold);
  return {
    supernodes,
    pinnedIds,
    linkType: (
      /** @type {LinkType} */
      LINK_TYPES.includes(params.linkType) ? params.linkType : "both"
    ),
    pruningThreshold: Number.isFinite(threshold) ? Math.min(threshold, graph.highestInfluence) : graph.highestInfluence,
    clerps: new Map(pairs.map(([key, label]) => [String(key), String(label)])),
    places: parsePlaces(findBoxes(graph, pinnedIds, supernodes), String(params.sg_pos || "")),
    clickedId: readFocus(graph, supernodes, params.clickedId)
  };
}
function readFocus(graph, supernodes, given) {
  const id = String(given || "");
  if (findMembers(graph, supernodes, id).length) return id;
  if (given === NO_FOCUS) return "";
  return graph.nodes.find((node) => node.kind === "target")?.id ?? "";
}
function splitIds(value) {
  if (typeof value === "string") return value.split(",");
  return Array.isArray(value) ? value : [];
}
function parseList(value) {
  if (typeof value !== "string") return Array.isArray(value) ? value : [];
  try {
    return [JSON.parse(value)].flat(1);
  } catch {
    return [];
  }
}

// store/address.js
function formatAddress(params, highestInfluence) {
  const { pinnedIds, supernodes, linkType, clickedId, sg_pos, pruningThreshold, clerps } = params;
  const address = new URLSearchParams();
  if (pinnedIds.length) address.set("pinnedIds", pinnedIds.join(","));
  if (supernodes.length) address.set("supernodes", JSON.stringify(supernodes));
  if (linkType !== "both") address.set("linkType", linkType);
  if (clickedId) address.set("clickedId", clickedId);
  if (sg_pos) address.set("sg_pos", sg_pos);
  if (pruningThreshold !== highestInfluence) address.set("pruningThreshold", String(pruningThreshold));
  if (clerps.length) address.set("clerps", JSON.stringify(clerps));
  if (!clickedId) address.set("clickedId", NO_FOCUS);
  return `#${address}`;
}
function parseAddress(hash) {
  const params = Object.fromEntries(new URLSearchParams(hash.slice(1)));
  return Object.keys(params).length ? params : null;
}
function keepAddress(store, fileParams, measurePanel) {
  const { graph } = store;
  let written = null;
  const write = () => {
    written = formatAddress(writeParams(graph, store.state, measurePanel()), graph.highestInfluence);
    history.replaceState(null, "", written);
  };
  const read = () => {
    if (location.hash !== written) {
      store.update(readParams(graph, parseAddress(location.hash) ?? fileParams));
    }
  };
  store.subscribe(
    ["clickedId", "pinnedIds", "supernodes", "linkType", "pruningThreshold", "clerps", "places"],
    write
  );
  addEventListener("hashchange", read);
  read();
}

// model/focus.js
function findLinks(graph, visible, members, linkType) {
  const inside = new Set(members);
  const inputs = linkType === "output" ? [] : members.flatMap((member) => graph.inputs[member]);
  const outputs = linkType === "input" ? [] : members.flatMap((member) => graph.outputs[member]);
  return [...inputs, ...outputs].filter(
    (link) => isLinkVisible(visible, link) && !(inside.has(link.source) && inside.has(link.target))
  );
}
function sumByNeighbour(links, members) {
  const inside = new Set(members);
  const sums = /* @__PURE__ */ new Map();
  for (const { source, target, weight } of links) {
    const other = inside.has(source) ? target : source;
    sums.set(other, (sums.get(other) ?? 0) + weight);
  }
  return sums;
}
function rankNeighbours(graph, visible, members, direction) {
  const sums = sumByNeighbour(findLinks(graph, visible, members, direction), members);
  return [...sums].map(([index, weight]) => ({ index, weight })).sort(compareStrength);
}
function sumBySign(weighted) {
  const sums = { positive: 0, negative: 0 };
  for (const { weight } of weighted) sums[weight > 0 ? "positive" : "negative"] += weight;
  return sums;
}

// store/page_state.js
function createPageState(graph) {
  return {
    clickedId: "",
    pinnedIds: [],
    supernodes: [],
    linkType: "both",
    pruningThreshold: graph.highestInfluence,
    clerps: /* @__PURE__ */ new Map(),
    places: /* @__PURE__ */ new Map(),
    visible: graph.nodes.map(() => true),
    hovered: null,
    grouping: null,
    matches: null
  };
}

// store/state_store.js
var StateStore = class {
  /** @type {{ keys: readonly (keyof State)[], listener: () => void }[]} */
  #subscriptions = [];
  /** @type {Set<keyof State>} */
  #changedKeys = /* @__PURE__ */ new Set();
  /** @type {State} */
  #state;
  #schedule;
  /**
   * @param {State} state the first one
   * @param {(run: () => void) => void} schedule
   */
  constructor(state, schedule) {
    this.#state = state;
    this.#schedule = schedule;
  }
  get state() {
    return this.#state;
  }
  /** @param {Partial<State>} changes */
  update(changes) {
    const isScheduled = this.#changedKeys.size > 0;
    this.#state = { ...this.#state, ...changes };
    for (
      const key of
      /** @type {(keyof State)[]} */
      Object.keys(changes)
    ) this.#changedKeys.add(key);
    if (!isScheduled && this.#changedKeys.size) this.#schedule(() => this.#notify());
  }
  /**
   * Call `listener` after any of `keys` has been updated, in the order of subscription.
   * @param {readonly (keyof State)[]} keys
   * @param {() => void} listener
   * @returns {() => void} ends the subscription
   */
  subscribe(keys, listener) {
    const subscription = { keys, listener };
    this.#subscriptions.push(subscription);
    return () => {
      this.#subscriptions = this.#subscriptions.filter((other) => other !== subscription);
    };
  }
  #notify() {
    const changedKeys = this.#changedKeys;
    this.#changedKeys = /* @__PURE__ */ new Set();
    for (const { keys, listener } of this.#subscriptions) {
      if (keys.some((key) => changedKeys.has(key))) listener();
    }
  }
};

// store/graph_store.js
var GraphStore = class extends StateStore {
  /**
   * @param {Graph} graph
   * @param {(run: () => void) => void} schedule when listeners are called, such as a browser's next frame
   */
  constructor(graph, schedule) {
    super(createPageState(graph), schedule);
    this.graph = graph;
  }
  /**
   * @override
   * @param {Partial<PageState>} changes
   */
  update(changes) {
    const { pruningThreshold, pinnedIds } = { ...this.state, ...changes };
    const moved = "pruningThreshold" in changes || "pinnedIds" in changes;
    super.update(
      moved ? { ...changes, visible: findVisible(this.graph, pruningThreshold, pinnedIds) } : changes
    );
  }
  // What there is
  /** @param {GraphNode} node */
  readLabel(node) {
    return readLabel(this.graph, this.state.clerps, node);
  }
  /** @param {GraphNode} node */
  abbreviateLabel(node) {
    return abbreviateLabel(this.graph, this.state.clerps, node);
  }
  /** The numbers of the nodes in focus. */
  findFocus() {
    return this.findMembers(this.state.clickedId);
  }
  /** @param {string} id a node's or a supernode's */
  findMembers(id) {
    return findMembers(this.graph, this.state.supernodes, id);
  }
  /** @param {string} id a node's or a supernode's */
  findMemberIds(id) {
    return this.findMembers(id).map((member) => this.graph.nodes[member].id);
  }
  /** @param {readonly number[]} members */
  findLinks(members) {
    return findLinks(this.graph, this.state.visible, members, this.state.linkType);
  }
  findVisibleNodes() {
    return this.graph.nodes.filter((node) => this.state.visible[node.index]);
  }
  findBoxes() {
    return findBoxes(this.graph, this.state.pinnedIds, this.state.supernodes);
  }
  /** @param {Box} box */
  nameBox(box) {
    return nameBox(this.graph, this.state.clerps, this.state.supernodes, box);
  }
  // What the reader may do
  /** @param {string} id */
  toggleFocus(id) {
    this.update(toggleFocus(this.state, id));
  }
  /** @param {readonly string[]} ids */
  togglePins(ids) {
    this.update(togglePins(this.state, ids));
  }
  /**
   * @param {GraphNode} node
   * @param {string} text
   */
  editLabel(node, text) {
    this.update({ clerps: editLabel(this.state.clerps, node, text) });
  }
  /**
   * What a click on a node, a box or an entry of a list does.
   * @param {string} id
   * @param {{ pins?: boolean }} [options] whether the click pins instead of focusing
   */
  choose(id, { pins = false } = {}) {
    const ids = this.findMemberIds(id);
    if (this.state.grouping) this.update({ grouping: toggleIds(this.state.grouping, ids) });
    else if (pins) this.togglePins(ids);
    else this.toggleFocus(id);
  }
  startGroup() {
    if (!this.state.grouping) this.update({ grouping: [] });
  }
  /** Leave the grouping without a group. */
  dropGroup() {
    this.update({ grouping: null });
  }
  /**
   * Make a supernode of what was picked, with the label of the first.
   * @returns {{ label: string, nNodes: number } | null} null where fewer than two nodes were picked
   */
  finishGroup() {
    const ids = this.state.grouping;
    if (!ids) return null;
    this.dropGroup();
    if (ids.length < 2) return null;
    const label = this.readLabel(this.graph.nodes[this.findMembers(ids[0])[0]]);
    this.update({
      ...addSupernode(this.state, label, ids),
      pinnedIds: addPins(this.state.pinnedIds, ids)
    });
    return { label, nNodes: ids.length };
  }
  /** @param {number} number of a supernode */
  ungroup(number) {
    this.update(removeSupernode(this.state, number));
  }
  /**
   * @param {Box} box
   * @param {string} text
   */
  renameBox(box, text) {
    if (box.supernode === null) this.editLabel(this.graph.nodes[box.members[0]], text);
    else this.update({ supernodes: renameSupernode(this.state.supernodes, box.supernode, text) });
  }
  /**
   * @param {string} boxId
   * @param {readonly number[]} place in thousandths of the panel
   */
  moveBox(boxId, place) {
    this.update({ places: new Map(this.state.places).set(boxId, place) });
  }
};

// store/saved_graph.js
function composeDocument(content, graph, state, panel) {
  return {
    ...content.beside,
    metadata: content.metadata,
    qParams: { ...content.qParams, ...writeParams(graph, state, panel) },
    nodes: content.nodes.map((node, i) => ({
      ...node,
      clerp: state.clerps.get(graph.nodes[i].labelKey) ?? node.clerp
    })),
    links: graph.links.map(({ source, target, weight }) => ({
      source: graph.nodes[source].id,
      target: graph.nodes[target].id,
      weight
    }))
  };
}
function composeFileName(content) {
  return String(content.metadata.slug || "graph").replace(/[^\w.-]+/g, "_");
}

// views/dom.js
var SVG = "http://www.w3.org/2000/svg";
function makeElement(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}
function makeShape(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}
function makeButton(attributes, ...children) {
  return makeElement("button", { type: "button", ...attributes }, ...children);
}
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === void 0 || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") setStyle(element, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== void 0));
  return element;
}
function setStyle(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value);
}
function getById(id) {
  return document.getElementById(id);
}
function measureInside({ clientWidth, clientHeight }) {
  return { width: clientWidth, height: clientHeight };
}
function refill(place, ...children) {
  const active = place.contains(document.activeElement) ? document.activeElement : null;
  place.replaceChildren(...children.filter(Boolean));
  if (!active) return;
  const { key } = active.dataset;
  const successor = key && [...place.querySelectorAll("[data-key]")].find((child) => child.dataset.key === key);
  (successor || place).focus();
}

// layout/curves.js
function composeCurve(from, to) {
  const middle = (from.y + to.y) / 2;
  return `M${from.x} ${from.y}C${from.x} ${middle} ${to.x} ${middle} ${to.x} ${to.y}`;
}
function addCurve(path, from, to) {
  const middle = (from.y + to.y) / 2;
  path.moveTo(from.x, from.y);
  path.bezierCurveTo(from.x, middle, to.x, middle, to.x, to.y);
}

// views/graph/picture.js
var LETTER = 7;
var UPRIGHT_LENGTH = 14;
function composePicture(store, graphView) {
  const { layout } = graphView;
  const { width, height } = layout;
  const style = getComputedStyle(document.documentElement);
  const readColour = (name) => style.getPropertyValue(`--${name}`).trim();
  const picture = makeShape(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      "font-family": "sans-serif",
      "font-size": 11
    },
    makeShape("title", {}, document.title),
    makeShape("rect", { width, height, fill: readColour("paper") }),
    ...graphView.styleBack().map((styled) => makeLink(styled, layout.spots, readColour)),
    ...graphView.nodeMarks.marks.filter((mark) => mark.style.display !== "none").map(copyMark),
    ...makeLayerNames(layout, readColour("muted")),
    ...makeTokenNames(store.graph.tokens, layout, readColour("ink")),
    ...[...getById("target-names").children].map((name) => copyTargetName(name, readColour("ink")))
  );
  return new XMLSerializer().serializeToString(picture);
}
function makeLink({ link, width, alpha }, spots, readColour) {
  const [from, to] = [spots[link.source], spots[link.target]].map(({ x, y }) => ({
    x: Number(x.toFixed(1)),
    y: Number(y.toFixed(1))
  }));
  return makeShape("path", {
    d: composeCurve(from, to),
    fill: "none",
    stroke: readColour(link.weight < 0 ? "down" : "up"),
    "stroke-width": width.toFixed(2),
    "stroke-opacity": alpha.toFixed(2)
  });
}
function copyMark(mark) {
  const look = getComputedStyle(mark);
  const attributes = {
    d: mark.getAttribute("d"),
    transform: mark.getAttribute("transform"),
    fill: flattenColour(look.fill),
    stroke: look.stroke,
    "stroke-width": look.strokeWidth,
    opacity: look.opacity
  };
  return makeShape("path", attributes, makeShape("title", {}, mark.getAttribute("aria-label")));
}
function flattenColour(text) {
  const parts = /^color\(srgb ([\d.e-]+) ([\d.e-]+) ([\d.e-]+)/.exec(text)?.slice(1);
  return parts ? `rgb(${parts.map((part) => Math.round(255 * part)).join(", ")})` : text;
}
function makeLayerNames({ base, bands }, fill2) {
  return base.map((y, row) => ({ row, y: (y - bands[row] / 2 + 4).toFixed(1) })).slice(1).map(({ row, y }) => makeShape("text", { fill: fill2, x: 8, y }, `L${row - 1}`));
}
function makeTokenNames(tokens, { left, columns, height, foot, upright }, fill2) {
  const y = height - foot;
  return tokens.map((token, i) => {
    const x = (left[i] + columns[i] / 2).toFixed(1);
    if (upright) {
      const transform = `translate(${x} ${y}) rotate(-90)`;
      const name2 = shorten(formatToken(token), UPRIGHT_LENGTH);
      return makeShape("text", { fill: fill2, transform, "text-anchor": "end", dy: 4 }, name2);
    }
    const name = shorten(formatToken(token), Math.max(2, Math.floor(columns[i] / LETTER)));
    return makeShape("text", { fill: fill2, x, y: y + 12, "text-anchor": "middle" }, name);
  });
}
function copyTargetName(name, fill2) {
  const transform = name.getAttribute("transform");
  return makeShape("text", { fill: fill2, transform, "text-anchor": "end" }, name.firstChild.textContent);
}

// views/controls.js
var SLIDER_STEPS = 1e3;
function mountSlider(store) {
  const slider = getById("pruning");
  const { highestInfluence } = store.graph;
  slider.max = Math.ceil(highestInfluence * SLIDER_STEPS) / SLIDER_STEPS;
  slider.disabled = highestInfluence === 0;
  slider.addEventListener("input", () => {
    const value = Number(slider.value);
    store.update({ pruningThreshold: value >= Number(slider.max) ? highestInfluence : value });
  });
  store.subscribe(["pruningThreshold"], () => {
    const { pruningThreshold } = store.state;
    slider.value = pruningThreshold === highestInfluence ? slider.max : pruningThreshold;
    getById("pruning-value").textContent = pruningThreshold.toFixed(2);
  });
}
function moveSlider(nSteps) {
  const slider = getById("pruning");
  if (nSteps < 0) slider.stepDown(-nSteps);
  else slider.stepUp(nSteps);
  slider.dispatchEvent(new Event("input"));
}
function mountLinkTypes(store) {
  for (const choice of document.querySelectorAll("[name=link-type]")) {
    choice.addEventListener("change", () => store.update({ linkType: choice.value }));
  }
  store.subscribe(["linkType"], () => {
    document.querySelector(`[name=link-type][value=${store.state.linkType}]`).checked = true;
  });
}
function showHelp() {
  getById("help").showModal();
}
function mountHelp() {
  getById("open-help").addEventListener("click", showHelp);
}
function mountGroupingNotice(store) {
  const notice = getById("grouping");
  store.subscribe(["grouping"], () => {
    const { grouping } = store.state;
    notice.hidden = !grouping;
    const amount = formatCount(grouping?.length ?? 0, "node");
    notice.textContent = `Grouping: click nodes, then let go of G (${amount})`;
  });
}
function mountSaving(store, content, graphView, subgraphPanel) {
  const name = composeFileName(content);
  getById("save-json").addEventListener("click", () => {
    const saved = composeDocument(content, store.graph, store.state, subgraphPanel.measure());
    download(`${name}.json`, "application/json", JSON.stringify(saved));
  });
  getById("save-svg").addEventListener("click", () => {
    download(`${name}.svg`, "image/svg+xml", composePicture(store, graphView));
  });
}
function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  makeElement("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1e3);
}

// layout/graph_layout.js
var MARGIN = { left: 44, right: 14, bottom: 6 };
var SLANT_DEGREES = 42;
var LONGEST_TEXT = 96;
var TARGET_STEP = 20;
var NODE_STEPS = [13, 11, 9, 8];
var LINE_LENGTHS = [24, 16, 12, 8, 6, 4];
var SCROLLED_STEP = 9;
function arrangeNodes(graph, shown, view, text) {
  const cells = fillCells(graph, shown);
  const targetCells = cells[graph.nLayers + 1];
  const inner = cells.slice(0, -1);
  const targetWidths = targetCells.flat().map((node) => text.measureWidth(text.nameTarget(node)));
  const head = targetWidths.length ? Math.sin(SLANT_DEGREES * Math.PI / 180) * limitText(targetWidths) + 40 : 10;
  const tokenWidths = graph.tokens.map((token) => text.measureWidth(formatToken(token)));
  const uprightFoot = limitText(tokenWidths) + 14;
  const room = view.width - MARGIN.left - MARGIN.right;
  const roomAbove = (foot2) => view.height - head - foot2 - MARGIN.bottom;
  const sizes = chooseSizes(inner, room, roomAbove(uprightFoot));
  const columns = spread(sizes.columns, room);
  const upright = tokenWidths.some((width2, i) => width2 > columns[i] - 6);
  const foot = upright ? uprightFoot : 24;
  const bands = spread(sizes.bands, roomAbove(foot));
  const width = MARGIN.left + MARGIN.right + sum(columns);
  const height = head + foot + MARGIN.bottom + sum(bands);
  const left = columns.map((_, i) => MARGIN.left + sum(columns.slice(0, i)));
  const base = bands.map((_, row) => height - foot - MARGIN.bottom - sum(bands.slice(0, row)));
  const spots = new Array(graph.nodes.length).fill(null);
  inner.forEach(
    (row, r) => row.forEach((cell, c) => {
      const middle = { x: left[c] + columns[c] / 2, y: base[r] - bands[r] / 2 };
      placeCell(cell, middle, sizes, spots);
    })
  );
  const middles = columns.map((column, i) => left[i] + column / 2);
  placeTargets(targetCells, middles, width - MARGIN.right, head - 14, spots);
  const radius = sizes.step * 0.36;
  return { spots, width, height, left, columns, base, bands, head, foot, upright, radius };
}
function fillCells(graph, shown) {
  const cells = Array.from(
    { length: graph.nLayers + 2 },
    () => graph.tokens.map(() => (
      /** @type {GraphNode[]} */
      []
    ))
  );
  for (const node of shown) cells[node.row][node.position].push(node);
  const rank = (node) => node.kind === "error" ? 2 : node.influence ?? 1;
  for (const cell of cells.flat()) cell.sort((a, b) => rank(a) - rank(b));
  return cells;
}
function chooseSizes(cells, width, height) {
  const fullestInColumn = cells[0].map((_, c) => Math.max(...cells.map((row) => row[c].length)));
  const fullestInRow = cells.map((row) => Math.max(1, ...row.map((cell) => cell.length)));
  const measure = (step, line) => ({
    step,
    line,
    columns: fullestInColumn.map((count) => Math.max(16, Math.min(count, line) * step + 8)),
    bands: fullestInRow.map((count) => Math.ceil(count / line) * step + 4)
  });
  const tries = NODE_STEPS.flatMap((step) => LINE_LENGTHS.map((line) => measure(step, line)));
  const fitting = tries.filter(({ columns }) => sum(columns) <= width);
  return fitting.find(({ bands }) => sum(bands) <= height) ?? fitting.find(({ step }) => step === SCROLLED_STEP) ?? measure(SCROLLED_STEP, 6);
}
function placeCell(cell, middle, { step, line }, spots) {
  const nLines = Math.ceil(cell.length / line);
  cell.forEach((node, i) => {
    const lineNumber = Math.floor(i / line);
    const lineLength = Math.min(line, cell.length - lineNumber * line);
    spots[node.index] = {
      x: middle.x + (i % line - (lineLength - 1) / 2) * step,
      y: middle.y + ((nLines - 1) / 2 - lineNumber) * step
    };
  });
}
function placeTargets(cells, middles, rightEdge, y, spots) {
  const wishes = cells.flatMap(
    (cell, c) => cell.map((node, i) => ({ node, x: middles[c] + (i - (cell.length - 1) / 2) * TARGET_STEP }))
  );
  let limit = rightEdge;
  for (const { node, x } of wishes.reverse()) {
    spots[node.index] = { x: Math.min(x, limit), y };
    limit = Math.min(x, limit) - TARGET_STEP;
  }
}
function limitText(widths) {
  return Math.min(LONGEST_TEXT, Math.max(0, ...widths));
}
function spread(sizes, space) {
  const rest = Math.max(0, space - sum(sizes)) / sizes.length;
  return sizes.map((size) => size + rest);
}
function sum(list) {
  return list.reduce((total, value) => total + value, 0);
}

// links/link_layer.js
var SHARPEST = 2;
var LinkLayer = class {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = /** @type {CanvasRenderingContext2D} */
    canvas.getContext("2d");
    this.width = 0;
    this.height = 0;
    this.ratio = 1;
  }
  /**
   * @param {number} width in pixels of the page
   * @param {number} height
   */
  resize(width, height) {
    this.width = width;
    this.height = height;
    this.ratio = Math.min(window.devicePixelRatio || 1, SHARPEST);
    this.canvas.width = Math.round(width * this.ratio);
    this.canvas.height = Math.round(height * this.ratio);
    this.canvas.style.setProperty("width", `${width}px`);
    this.canvas.style.setProperty("height", `${height}px`);
  }
  /**
   * Draw links, the last on top. The colours are the variables `--up` and `--down` of the style sheet.
   * @param {readonly StyledLink[]} styledLinks
   * @param {readonly (Spot | null)[]} spots of nodes; links of nodes without a spot are left out
   * @param {Spot} scroll the upper left corner of the window
   */
  draw(styledLinks, spots, scroll) {
    const { pen, ratio } = this;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.translate(-scroll.x, -scroll.y);
    const style = getComputedStyle(this.canvas);
    for (const [key, ends] of this.batch(styledLinks, spots, scroll)) {
      const [sign, width, alpha] = key.split(" ");
      pen.strokeStyle = style.getPropertyValue(`--${sign}`);
      pen.lineWidth = Number(width);
      pen.globalAlpha = Number(alpha);
      pen.beginPath();
      for (const [from, to] of ends) addCurve(pen, from, to);
      pen.stroke();
    }
  }
  /**
   * The ends of the links near the window, by "sign width opacity".
   * @param {readonly StyledLink[]} styledLinks
   * @param {readonly (Spot | null)[]} spots
   * @param {Spot} scroll
   */
  batch(styledLinks, spots, scroll) {
    const batches = /* @__PURE__ */ new Map();
    for (const { link, width, alpha } of styledLinks) {
      const [from, to] = [spots[link.source], spots[link.target]];
      if (!from || !to || this.isOutside(from, to, scroll)) continue;
      const key = `${link.weight < 0 ? "down" : "up"} ${width.toFixed(1)} ${alpha.toFixed(1)}`;
      const batch = batches.get(key);
      if (batch) batch.push([from, to]);
      else batches.set(key, [[from, to]]);
    }
    return batches;
  }
  /**
   * @param {Spot} from
   * @param {Spot} to
   * @param {Spot} scroll
   */
  isOutside(from, to, scroll) {
    return Math.max(from.x, to.x) < scroll.x || Math.min(from.x, to.x) > scroll.x + this.width || Math.max(from.y, to.y) < scroll.y || Math.min(from.y, to.y) > scroll.y + this.height;
  }
};

// links/link_styles.js
var N_DRAWN_LINKS = 4e3;
function styleBackground(links) {
  return links.map((link) => ({
    link,
    width: 0.4 + 2.6 * link.share,
    alpha: link.share > 0.05 ? 0.3 : 0.2
  }));
}
function styleFocus(links) {
  const largest = links.reduce((size, { weight }) => Math.max(size, Math.abs(weight)), 1e-30);
  return links.map((link) => {
    const share = Math.abs(link.weight) / largest;
    return { link, width: 0.5 + 3.2 * share, alpha: 0.3 + 0.6 * share };
  });
}

// views/graph/axes.js
var LAYER_NAME_HEIGHT = 13;
function writeAxes(store, layout) {
  writeLayers(layout);
  writeTokens(store.graph.tokens, layout);
  writeGrid(layout);
  const targets = store.graph.nodes.filter((node) => node.kind === "target");
  getById("target-names").replaceChildren(...targets.map((node) => makeTargetName(store, layout, node)));
}
function writeLayers({ base, bands, height }) {
  const every = Math.ceil(LAYER_NAME_HEIGHT / Math.min(...bands));
  const names = base.map(
    (y, row) => row === 0 || (row - 1) % every ? null : makeElement("span", { style: { top: `${y - bands[row] / 2}px` } }, `L${row - 1}`)
  );
  const axis = getById("layers");
  axis.replaceChildren(...names.filter(Boolean));
  setStyle(axis, { height: `${height}px` });
}
function writeTokens(tokens, { left, columns, width, foot, upright }) {
  const names = tokens.map((token, i) => {
    const style = {
      left: `${left[i]}px`,
      width: `${columns[i]}px`,
      "line-height": `${upright ? columns[i] : 20}px`
    };
    return makeElement("span", { style, title: `${formatToken(token)} (${i})` }, formatToken(token));
  });
  const axis = getById("tokens");
  axis.classList.toggle("upright", upright);
  setStyle(axis, { height: `${foot}px`, width: `${width}px` });
  axis.replaceChildren(...names);
}
function writeGrid({ base, left, width, head }) {
  const posts = left.map(
    (x) => makeShape("path", { class: "post", d: `M${x.toFixed(1)} ${head}V${base[0]}` })
  );
  const lines = base.map(
    (y) => makeShape("path", { d: `M${MARGIN.left} ${y.toFixed(1)}H${width - MARGIN.right}` })
  );
  getById("grid").replaceChildren(...posts, ...lines);
}
function makeTargetName(store, layout, node) {
  const { x, y } = layout.spots[node.index];
  const transform = `translate(${(x + 3).toFixed(1)} ${y - 9}) rotate(${SLANT_DEGREES})`;
  const title = makeShape("title", {}, `${store.readLabel(node)}: ${describePlace(store.graph, node)}`);
  const name = abbreviateTarget(store.graph, store.state.clerps, node);
  return makeShape("text", { transform, "text-anchor": "end", "data-id": node.id }, name, title);
}

// layout/node_shapes.js
function composeOutline(kind, radius) {
  const r = kind === "target" ? radius * 1.15 : radius;
  if (kind === "error") return `M0 ${-r * 1.15}L${r * 1.15} 0L0 ${r * 1.15}L${-r * 1.15} 0Z`;
  if (kind === "feature") return `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0Z`;
  return `M${-r * 0.9} ${-r * 0.9}h${1.8 * r}v${1.8 * r}h${-1.8 * r}Z`;
}

// views/events.js
function chooseByClick(store, id, event) {
  store.choose(id, { pins: holdsCtrl(event) });
}
function holdsCtrl(event) {
  return event.ctrlKey || event.metaKey;
}
function makeHoverListeners(store, index) {
  return {
    onpointerenter: () => store.update({ hovered: index }),
    onpointerleave: () => store.update({ hovered: null })
  };
}
function announce(text) {
  getById("status").textContent = text;
}

// views/graph/node_marks.js
var NodeMarks = class {
  constructor(store) {
    this.store = store;
    this.layer = getById("nodes");
    this.marks = store.graph.nodes.map(
      (node) => makeShape("path", {
        class: `node ${node.kind}`,
        "data-index": node.index,
        "data-id": node.id,
        role: "button",
        tabindex: -1
      })
    );
    this.layer.append(...this.marks);
    this.listen();
  }
  /** The node that an event is about; undefined for an event beside the nodes. */
  findNode(event) {
    const mark = event.target.closest?.(".node");
    return mark ? this.store.graph.nodes[mark.dataset.index] : void 0;
  }
  listen() {
    const { store, layer } = this;
    layer.addEventListener("pointerover", (event) => {
      const node = this.findNode(event);
      if (node) store.update({ hovered: node.index });
    });
    layer.addEventListener("pointerout", (event) => {
      if (this.findNode(event)) store.update({ hovered: null });
    });
    layer.addEventListener("click", (event) => {
      const node = this.findNode(event);
      if (node) chooseByClick(store, node.id, event);
      else if (!store.state.grouping) store.update({ clickedId: "" });
    });
    layer.addEventListener("focusin", (event) => {
      const node = this.findNode(event);
      if (!node) return;
      const mark = this.marks[node.index];
      if (mark.matches(":focus-visible")) store.update({ hovered: node.index });
      for (const entry of layer.querySelectorAll('[tabindex="0"]')) entry.setAttribute("tabindex", -1);
      mark.setAttribute("tabindex", 0);
    });
  }
  place({ spots, radius }) {
    for (const { index, kind } of this.store.graph.nodes) {
      const [mark, spot] = [this.marks[index], spots[index]];
      setStyle(mark, { display: spot ? "" : "none" });
      if (!spot) continue;
      mark.setAttribute("d", composeOutline(kind, radius));
      mark.setAttribute("transform", `translate(${spot.x.toFixed(1)} ${spot.y.toFixed(1)})`);
    }
    const entry = this.layer.querySelector('[tabindex="0"]');
    if (entry && spots[entry.dataset.index]) return;
    entry?.setAttribute("tabindex", -1);
    this.marks[spots.findLastIndex(Boolean)]?.setAttribute("tabindex", 0);
  }
  /** Write what a screen reader says. */
  name() {
    for (const node of this.store.graph.nodes) {
      const name = `${this.store.readLabel(node)}: ${describePlace(this.store.graph, node)}`;
      this.marks[node.index].setAttribute("aria-label", name);
    }
  }
  /** Shade what the focus is linked to by sign and weight, and step back the rest. */
  paint() {
    const { graph, state } = this.store;
    const members = this.store.findFocus();
    const weights = sumByNeighbour(this.store.findLinks(members), members);
    const largest = Math.max(1e-30, ...[...weights.values()].map(Math.abs));
    const [focus, pinned, picked] = [new Set(members), new Set(state.pinnedIds), new Set(state.grouping)];
    for (const { index, id } of graph.nodes) {
      const mark = this.marks[index];
      const weight = weights.get(index);
      const isFocus = focus.has(index);
      const isBesideFocus = members.length > 0 && weight === void 0 && !isFocus;
      mark.classList.toggle("clicked", isFocus);
      mark.classList.toggle("pinned", pinned.has(id));
      mark.classList.toggle("found", Boolean(state.matches?.has(index)));
      mark.classList.toggle("faded", state.matches ? !state.matches.has(index) : isBesideFocus);
      mark.classList.toggle("picked", picked.has(id));
      mark.setAttribute("aria-pressed", isFocus);
      setStyle(mark, { fill: weight === void 0 ? "" : composeShade(weight, largest) });
    }
  }
  /** A node under the pointer shows wherever it stands: in the graph, in the lists and as a box. */
  markHovered() {
    for (const element of document.querySelectorAll(".hovered")) element.classList.remove("hovered");
    const { hovered } = this.store.state;
    if (hovered === null) return;
    const selector = `[data-id="${CSS.escape(this.store.graph.nodes[hovered].id)}"]`;
    for (const element of document.querySelectorAll(selector)) element.classList.add("hovered");
  }
};
function composeShade(weight, largest) {
  const share = 15 + 85 * (Math.abs(weight) / largest);
  return `color-mix(in srgb, var(--${weight < 0 ? "down" : "up"}) ${share.toFixed(0)}%, var(--card))`;
}

// views/graph/graph_view.js
var N_HOVERED_LINKS = 400;
var GraphView = class {
  constructor(store) {
    this.store = store;
    this.scroller = getById("scroller");
    this.nodeMarks = new NodeMarks(store);
    this.back = new LinkLayer(getById("links-back"));
    this.front = new LinkLayer(getById("links-front"));
    this.text = {
      measureWidth: makeRuler(),
      nameTarget: (node) => abbreviateTarget(store.graph, store.state.clerps, node)
    };
    this.layout = null;
    this.background = [];
    this.nodeMarks.name();
    this.arrange();
    this.subscribe();
  }
  subscribe() {
    const { store, nodeMarks } = this;
    store.subscribe(["clerps"], () => {
      nodeMarks.name();
      writeAxes(store, this.layout);
    });
    store.subscribe(["pruningThreshold"], () => this.arrange());
    store.subscribe(["pinnedIds"], () => this.isOutdated() ? this.arrange() : nodeMarks.paint());
    store.subscribe(["clickedId", "supernodes", "linkType", "matches", "grouping"], () => nodeMarks.paint());
    store.subscribe(["clickedId", "supernodes", "linkType", "pinnedIds"], () => this.drawBack());
    store.subscribe(["hovered", "linkType"], () => {
      nodeMarks.markHovered();
      this.drawFront();
    });
    this.scroller.addEventListener("scroll", () => requestAnimationFrame(() => this.drawLinks()));
    new ResizeObserver(() => requestAnimationFrame(() => this.arrange())).observe(this.scroller);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.arrange());
  }
  /** Whether other nodes are visible than were arranged: pinning shows a node beyond the threshold. */
  isOutdated() {
    const { spots } = this.layout;
    return this.store.state.visible.some((isVisible, i) => isVisible !== Boolean(spots[i]));
  }
  /** Draw all of it anew. */
  arrange() {
    const { store, scroller } = this;
    const { graph } = store;
    const { visible } = store.state;
    const shown = store.findVisibleNodes();
    const view = measureInside(scroller);
    this.layout = arrangeNodes(graph, shown, view, this.text);
    const { width, height } = this.layout;
    setStyle(getById("sheet"), { width: `${width}px`, height: `${height}px` });
    const picture = getById("picture");
    picture.setAttribute("width", width);
    picture.setAttribute("height", height);
    this.back.resize(view.width, view.height);
    this.front.resize(view.width, view.height);
    this.background = pickLargestLinks(graph, visible, N_DRAWN_LINKS).reverse();
    this.nodeMarks.place(this.layout);
    writeAxes(store, this.layout);
    this.nodeMarks.paint();
    this.drawLinks();
    const nLinks = graph.links.filter((link) => isLinkVisible(visible, link)).length;
    const drawn = ` (the strongest ${N_DRAWN_LINKS.toLocaleString("en")} drawn)`;
    getById("amount").textContent = `${formatCount(shown.length, "node")}, ${formatCount(nLinks, "link")}` + (nLinks > N_DRAWN_LINKS ? drawn : "");
  }
  /** The links behind the nodes: those of the focus, or without one the largest of all. */
  styleBack() {
    const members = this.store.findFocus();
    if (!members.length) return styleBackground(this.background);
    return styleFocus(this.rankLinks(members, N_DRAWN_LINKS).reverse());
  }
  rankLinks(members, limit) {
    return this.store.findLinks(members).sort(compareStrength).slice(0, limit);
  }
  drawLinks() {
    this.drawBack();
    this.drawFront();
  }
  drawBack() {
    this.back.draw(this.styleBack(), this.layout.spots, this.readScroll());
  }
  drawFront() {
    const { hovered } = this.store.state;
    const links = hovered === null ? [] : this.rankLinks([hovered], N_HOVERED_LINKS);
    this.front.draw(styleFocus(links), this.layout.spots, this.readScroll());
  }
  readScroll() {
    return { x: this.scroller.scrollLeft, y: this.scroller.scrollTop };
  }
  /** Scroll a node into the middle of the window. */
  showNode(index) {
    const spot = this.layout.spots[index];
    if (!spot) return;
    const { width, height } = measureInside(this.scroller);
    this.scroller.scrollTo({ left: spot.x - width / 2, top: spot.y - height / 2 });
  }
  /** Give a node the keyboard's focus, and scroll if it is out of the window. */
  focusNode(index) {
    const { x, y } = this.layout.spots[index];
    const scroll = this.readScroll();
    const { width, height } = measureInside(this.scroller);
    const isInside = x > scroll.x + MARGIN.left && x < scroll.x + width && y > scroll.y && y < scroll.y + height;
    if (!isInside) this.showNode(index);
    this.nodeMarks.marks[index].focus({ preventScroll: true });
  }
};
function makeRuler() {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
  return (text) => pen.measureText(text).width;
}

// layout/walk.js
function findNextNode(graph, spots, from, key) {
  const others = graph.nodes.filter((node) => spots[node.index] && node !== from);
  const sign = key === "ArrowRight" || key === "ArrowUp" ? 1 : -1;
  return key === "ArrowLeft" || key === "ArrowRight" ? walkAlong(others, spots, from, sign) : walkAcross(others, spots, from, sign);
}
function walkAlong(others, spots, from, sign) {
  const readOrder = (node) => {
    const { x, y } = readSpot(spots, node);
    return [node.position, -y, x];
  };
  const compare = (a, b) => {
    const [left, right] = [readOrder(a), readOrder(b)];
    return left.map((value, i) => value - right[i]).find((difference) => Math.abs(difference) > 0.01) ?? 0;
  };
  const ahead = others.filter((node) => node.row === from.row && sign * compare(node, from) > 0);
  return ahead.sort((a, b) => sign * compare(a, b))[0];
}
function walkAcross(others, spots, from, sign) {
  const ahead = others.filter((node) => sign * (node.row - from.row) > 0);
  const nextRow = sign * Math.min(...ahead.map((node) => sign * node.row));
  const { x } = readSpot(spots, from);
  const measure = (node) => Math.abs(readSpot(spots, node).x - x);
  return ahead.filter((node) => node.row === nextRow).sort((a, b) => measure(a) - measure(b))[0];
}
function readSpot(spots, node) {
  return (
    /** @type {Spot} */
    spots[node.index]
  );
}

// views/graph/node_keys.js
function listenToNodeKeys(store, graphView) {
  const { layer } = graphView.nodeMarks;
  layer.addEventListener("keydown", (event) => {
    const node = graphView.nodeMarks.findNode(event);
    if (!node) return;
    if (event.key.startsWith("Arrow")) {
      const next = findNextNode(store.graph, graphView.layout.spots, node, event.key);
      if (next) graphView.focusNode(next.index);
    } else if (event.key === "Enter" || event.key === " ") chooseByClick(store, node.id, event);
    else if (event.key.toLowerCase() === "p") store.togglePins([node.id]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

// views/facts.js
function makeFactLine(facts) {
  const pairs = facts.filter(([, value]) => value !== null && value !== void 0).map(([name, value]) => makeElement("span", {}, `${name} `, makeElement("b", {}, value)));
  return makeElement("p", { class: "facts" }, ...pairs);
}
function listNodeFacts(node) {
  const facts = [
    ["activation", node.activation],
    ["probability", node.probability],
    ["cumulative influence", node.influence]
  ];
  return facts.filter(([, value]) => value !== null).map(([name, value]) => [name, formatNumber(value)]);
}

// views/graph/node_note.js
var DISTANCE = 10;
var EDGE = 8;
function mountNodeNote(store, graphView) {
  const note = getById("note");
  const write = () => {
    const { hovered } = store.state;
    const mark = graphView.nodeMarks.marks[hovered];
    note.hidden = hovered === null || !mark.matches(":hover, :focus-visible");
    if (note.hidden) return;
    const node = store.graph.nodes[hovered];
    const weight = sumToFocus(store, node);
    const facts = [...listNodeFacts(node), ["link", weight === void 0 ? null : formatSigned(weight)]];
    note.replaceChildren(
      makeElement("b", {}, store.readLabel(node)),
      makeElement("span", {}, describePlace(store.graph, node)),
      makeFactLine(facts)
    );
    placeNote(note, mark.getBoundingClientRect());
  };
  store.subscribe(["hovered", "clickedId"], write);
}
function sumToFocus(store, node) {
  const members = store.findFocus();
  return members.includes(node.index) ? void 0 : sumByNeighbour(store.findLinks(members), members).get(node.index);
}
function placeNote(note, mark) {
  const left = Math.min(mark.right + DISTANCE, innerWidth - note.offsetWidth - EDGE);
  const fitsBelow = mark.bottom + DISTANCE + note.offsetHeight < innerHeight;
  const top = fitsBelow ? mark.bottom + DISTANCE : mark.top - note.offsetHeight - DISTANCE;
  setStyle(note, { left: `${Math.max(EDGE, left)}px`, top: `${top}px` });
}

// views/keyboard.js
var PRUNING_STEPS = 10;
function listenToKeys(store, searchPanel) {
  const actions = {
    "/": () => searchPanel.field.focus(),
    "?": showHelp,
    p: () => store.state.clickedId && store.togglePins(store.findMemberIds(store.state.clickedId)),
    "[": () => moveSlider(-PRUNING_STEPS),
    "]": () => moveSlider(PRUNING_STEPS),
    Escape: () => store.state.grouping ? store.dropGroup() : store.update({ clickedId: "" })
  };
  addEventListener("keydown", (event) => {
    if (isWriting(event) || event.altKey || holdsCtrl(event)) return;
    if (event.key.toLowerCase() === "g") return store.startGroup();
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
  addEventListener("keyup", (event) => {
    if (event.key.toLowerCase() !== "g") return;
    const group = store.finishGroup();
    if (group) announce(`Grouped ${formatCount(group.nNodes, "node")} as ${group.label}`);
  });
  addEventListener("blur", () => store.state.grouping && store.dropGroup());
}
function isWriting(event) {
  return event.target.closest?.("input:not([type=range]), textarea, select, dialog");
}

// views/panels/activation_histogram.js
var [WIDTH, HEIGHT] = [320, 56];
function makeHistogram(details, activation) {
  const counts = details.histogram || [];
  if (!counts.some((count) => count > 0)) return null;
  const largest = details.act_max;
  const x = activation !== null && largest > 0 ? Math.min(1, activation / largest) * WIDTH : null;
  const figure = makeShape(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      class: "histogram",
      role: "img",
      "aria-label": "Histogram of activations, counts on a logarithmic scale",
      preserveAspectRatio: "none"
    },
    ...makeBars(counts),
    x === null ? null : makeShape("path", { class: "here", d: `M${x.toFixed(1)} 0V${HEIGHT}` })
  );
  const frequency = details.activation_frequency;
  const facts = [
    Number.isFinite(frequency) ? `active on ${formatPercent(frequency)} of tokens` : null,
    Number.isFinite(largest) ? `at most ${formatNumber(largest)}` : null,
    x === null ? null : `here ${formatNumber(activation)} (line)`
  ];
  return makeElement("figure", {}, figure, makeElement("figcaption", {}, facts.filter(Boolean).join(", ")));
}
function makeBars(counts) {
  const most = Math.log1p(Math.max(...counts));
  const width = WIDTH / counts.length;
  return counts.map((count, i) => {
    const height = HEIGHT * Math.log1p(count) / most;
    const attributes = {
      x: (i * width).toFixed(2),
      y: (HEIGHT - height).toFixed(2),
      width: Math.max(width - 1, 0.5).toFixed(2),
      height: height.toFixed(2)
    };
    return makeShape("rect", attributes, makeShape("title", {}, formatCount(count, "token")));
  });
}

// views/panels/feature_contexts.js
var AROUND = 24;
function makeContexts(details) {
  const quantiles = (details.examples_quantiles || []).filter(({ examples }) => examples?.length);
  const limit = details.act_max > 0 ? details.act_max : findLargest(quantiles);
  return quantiles.map(({ quantile_name, examples }, i) => {
    const amount = makeElement("span", { class: "quiet" }, `${examples.length}`);
    const summary = makeElement("summary", {}, `${quantile_name} `, amount);
    const contexts = examples.map((example) => makeContext(example, limit));
    return makeElement("details", { open: i === 0 }, summary, ...contexts);
  });
}
function findLargest(quantiles) {
  const activations = quantiles.flatMap(
    ({ examples }) => examples.flatMap((example) => example.tokens_acts_list)
  );
  return activations.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-30);
}
function makeContext(example, limit) {
  const peak = example.train_token_ind;
  const length = example.tokens.length;
  const [start, end] = [Math.max(0, peak - AROUND), Math.min(length, peak + AROUND + 1)];
  const line = makeElement("p", { class: "context" });
  const write = (from, to) => {
    const tokens = example.tokens.slice(from, to);
    const activations = example.tokens_acts_list.slice(from, to);
    line.replaceChildren(
      ...tokens.map(
        (token, i) => makeToken(token, activations[i] ?? 0, limit, { isPeak: from + i === peak })
      )
    );
  };
  write(start, end);
  if (end - start === length) return line;
  const extend = () => {
    write(0, length);
    button.remove();
  };
  const attributes = { class: "small", "aria-label": "Show the whole context", onclick: extend };
  const button = makeButton(attributes, "whole");
  return makeElement("div", {}, line, button);
}
function makeToken(token, activation, limit, { isPeak }) {
  const classes = [activation > 0 ? "heat up" : "", activation < 0 ? "heat down" : "", isPeak ? "peak" : ""];
  const share = Math.min(100, 100 * Math.abs(activation) / limit);
  const attributes = {
    class: classes.filter(Boolean).join(" ") || null,
    style: activation ? { "--at": `${share.toFixed(0)}%` } : {},
    title: activation ? formatNumber(activation) : null
  };
  return makeElement("span", attributes, token.replaceAll("\n", "⏎"));
}

// views/panels/feature_panel.js
var HINTS = {
  error: "What the features of this layer leave out of the MLP's output at this token.",
  token: "The embedding of a token of the prompt.",
  target: "What the graph explains."
};
function mountFeaturePanel(store) {
  const panel = getById("feature");
  store.subscribe(["clickedId", "supernodes"], () => refill(panel, ...makePanel(store)));
}
function makePanel(store) {
  const members = store.findFocus();
  if (!members.length) return [makeHint("Features show their contexts here.")];
  if (members.length > 1) return [makeMemberList(store, members)];
  const node = store.graph.nodes[members[0]];
  if (node.kind !== "feature") return [makeHint(HINTS[node.kind])];
  const details = findDetails(store.graph, node);
  if (!details) return [makeHint(`The page was made without contexts of ${describeFeature(node)}.`)];
  return [makeLogitLists(details), makeHistogram(details, node.activation), ...makeContexts(details)];
}
function makeHint(text) {
  return makeElement("p", { class: "quiet" }, text);
}
function makeMemberList(store, members) {
  const entries = members.map((member) => {
    const node = store.graph.nodes[member];
    const button = makeButton(
      { class: "entry", onclick: (event) => chooseByClick(store, node.id, event) },
      makeElement("span", { class: "name" }, store.readLabel(node)),
      makeElement("span", { class: "where" }, abbreviatePlace(store.graph, node))
    );
    return makeElement("li", {}, button);
  });
  return makeElement(
    "section",
    { "aria-label": "Members" },
    makeElement("h3", {}, "Members"),
    makeElement("ol", {}, ...entries)
  );
}
function makeLogitLists({ top_logits = [], bottom_logits = [] }) {
  const lists = [makeLogitList("says", "up", top_logits), makeLogitList("not", "down", bottom_logits)];
  return lists.some(Boolean) ? makeElement("div", {}, ...lists) : null;
}
function makeLogitList(name, sign, words) {
  if (!words.length) return null;
  const chips = words.map(
    (word) => makeElement("span", { class: `chip ${sign}` }, formatToken(String(word)))
  );
  return makeElement("p", { class: "logits" }, makeElement("span", { class: "quiet" }, name), ...chips);
}

// views/panels/node_panel.js
var N_LISTED = 60;
var N_MORE = 600;
function mountNodePanel(store) {
  const panel = getById("node");
  let lengths = { input: N_LISTED, output: N_LISTED };
  const write = () => refill(panel, ...makePanel2(store, lengths, extend));
  const extend = (direction) => {
    lengths = { ...lengths, [direction]: lengths[direction] + N_MORE };
    write();
  };
  store.subscribe(["clickedId"], () => {
    lengths = { input: N_LISTED, output: N_LISTED };
  });
  store.subscribe(["clickedId", "pinnedIds", "supernodes", "linkType", "pruningThreshold", "clerps"], write);
}
function makePanel2(store, lengths, extend) {
  const members = store.findFocus();
  if (!members.length) {
    const hint = "Click a node to see what it depends on and what depends on it.";
    return [makeElement("p", { class: "quiet" }, hint)];
  }
  const head = members.length > 1 ? makeGroupHead(store, members) : makeNodeHead(store, members[0]);
  const { linkType } = store.state;
  const lists = [
    linkType === "output" ? null : makeLinkList(store, members, "input", lengths.input, extend),
    linkType === "input" ? null : makeLinkList(store, members, "output", lengths.output, extend)
  ].filter(Boolean);
  const none = makeElement("p", { class: "quiet" }, "No links of this kind are shown.");
  return [...head, makeElement("div", { class: "lists" }, ...lists.length ? lists : [none])];
}
function makeNodeHead(store, index) {
  const node = store.graph.nodes[index];
  const isNamed = node.kind === "feature" || node.kind === "error";
  return [
    isNamed ? makeLabelEditor(store, node) : makeElement("h2", {}, store.readLabel(node)),
    makePlaceLine(store, describePlace(store.graph, node), [node.id]),
    makeFactLine(listNodeFacts(node))
  ];
}
function makeGroupHead(store, members) {
  const { clickedId, supernodes } = store.state;
  const [label, ...ids] = supernodes[readSupernodeNumber(clickedId)];
  const activation = members.reduce((sum2, member) => sum2 + (store.graph.nodes[member].activation ?? 0), 0);
  return [
    makeElement("h2", {}, label),
    makePlaceLine(store, `supernode of ${formatCount(members.length, "node")}`, ids),
    makeFactLine([["summed activation", formatNumber(activation)]])
  ];
}
function makePlaceLine(store, text, ids) {
  const isPinned = ids.every((id) => store.state.pinnedIds.includes(id));
  const attributes = { id: "pin", "data-key": "pin", onclick: () => store.togglePins(ids) };
  const button = makeButton(attributes, isPinned ? "Unpin" : "Pin");
  return makeElement("div", { class: "place" }, makeElement("p", { class: "quiet" }, text), button);
}
function makeLabelEditor(store, node) {
  const input = makeElement("input", {
    class: "label",
    "aria-label": "Label of the node",
    value: store.readLabel(node),
    title: "Edit the label"
  });
  input.addEventListener("change", () => store.editLabel(node, input.value));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") input.value = store.readLabel(node);
    if (event.key === "Enter" || event.key === "Escape") input.blur();
  });
  return input;
}
function makeLinkList(store, members, direction, length, extend) {
  const neighbours = rankNeighbours(store.graph, store.state.visible, members, direction);
  if (!neighbours.length) return null;
  const name = direction === "input" ? "Inputs" : "Outputs";
  const { positive, negative } = sumBySign(neighbours);
  const largest = Math.abs(neighbours[0].weight);
  const nMore = neighbours.length - length;
  return makeElement(
    "section",
    { "aria-label": name },
    makeElement("h3", {}, `${name} `, makeElement("span", { class: "quiet" }, `${neighbours.length}`)),
    makeElement("p", { class: "sums" }, makeSum(positive, "up"), " ", makeSum(negative, "down")),
    makeElement("ol", {}, ...neighbours.slice(0, length).map((entry) => makeEntry(store, entry, largest))),
    nMore > 0 ? makeButton({ onclick: () => extend(direction) }, `${nMore.toLocaleString("en")} more`) : null
  );
}
function makeSum(sum2, sign) {
  return sum2 ? makeElement("span", { class: sign }, formatSigned(sum2)) : null;
}
function makeEntry(store, { index, weight }, largest) {
  const node = store.graph.nodes[index];
  const pinned = store.state.pinnedIds.includes(node.id) ? " pinned" : "";
  const attributes = {
    class: `entry ${weight < 0 ? "down" : "up"}${pinned}`,
    style: { "--at": `${(100 * Math.abs(weight) / largest).toFixed(1)}%` },
    title: describePlace(store.graph, node),
    "data-id": node.id,
    "data-key": node.id,
    onclick: (event) => chooseByClick(store, node.id, event),
    ...makeHoverListeners(store, index)
  };
  const button = makeButton(
    attributes,
    makeElement("span", { class: "name" }, store.abbreviateLabel(node)),
    makeElement("span", { class: "where" }, abbreviatePlace(store.graph, node)),
    makeElement("span", { class: "weight" }, formatSigned(weight))
  );
  return makeElement("li", {}, button);
}

// model/search.js
function searchNodes(graph, visible, clerps, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return null;
  const matches = graph.nodes.filter((node) => {
    if (!visible[node.index]) return false;
    const text = composeSearchText(graph, clerps, node);
    return words.every((word) => text.includes(word));
  });
  return matches.sort((a, b) => (a.influence ?? 0) - (b.influence ?? 0));
}
function composeSearchText(graph, clerps, node) {
  const texts = [
    readLabel(graph, clerps, node),
    composeName(graph, node),
    describePlace(graph, node),
    node.id
  ];
  return texts.join(" ").toLowerCase();
}

// views/panels/search_panel.js
var N_LISTED2 = 40;
var SearchPanel = class {
  constructor(store, graphView) {
    this.store = store;
    this.graphView = graphView;
    this.field = getById("search");
    this.results = getById("results");
    this.field.addEventListener("input", () => this.search());
    this.field.addEventListener("keydown", (event) => this.answerFieldKey(event));
    this.results.addEventListener("keydown", (event) => this.answerResultKey(event));
  }
  search() {
    const { graph, state } = this.store;
    const matches = searchNodes(graph, state.visible, state.clerps, this.field.value);
    if (!matches) return this.close();
    this.store.update({ matches: new Set(matches.map((node) => node.index)) });
    const summary = matches.length ? `${formatCount(matches.length, "node")} found` : "nothing found";
    this.results.replaceChildren(
      makeElement("p", { class: "quiet", role: "status" }, summary),
      makeElement("ol", {}, ...matches.slice(0, N_LISTED2).map((node) => this.makeEntry(node)))
    );
    this.results.hidden = false;
  }
  makeEntry(node) {
    const attributes = {
      class: "entry",
      "data-id": node.id,
      title: describePlace(this.store.graph, node),
      onclick: (event) => this.pick(node, event),
      ...makeHoverListeners(this.store, node.index)
    };
    const button = makeButton(
      attributes,
      makeElement("span", { class: "name" }, this.store.readLabel(node)),
      makeElement("span", { class: "where" }, abbreviatePlace(this.store.graph, node))
    );
    return makeElement("li", {}, button);
  }
  /** Go to a node; while pinning or grouping the list stays open for more. */
  pick(node, event) {
    if (holdsCtrl(event) || this.store.state.grouping) return chooseByClick(this.store, node.id, event);
    this.close();
    this.field.value = "";
    this.store.update({ clickedId: node.id });
    this.graphView.showNode(node.index);
  }
  close() {
    this.results.hidden = true;
    this.results.replaceChildren();
    this.store.update({ matches: null });
  }
  answerFieldKey({ key }) {
    if (key === "Enter") this.results.querySelector(".entry")?.click();
    if (key === "ArrowDown") this.results.querySelector(".entry")?.focus();
    if (key !== "Escape") return;
    this.field.value = "";
    this.close();
    this.field.blur();
  }
  answerResultKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      const entries = [...this.results.querySelectorAll(".entry")];
      (entries[entries.indexOf(document.activeElement) + step] || this.field).focus();
      event.preventDefault();
    }
    if (event.key === "Escape") {
      this.close();
      this.field.focus();
    }
  }
};

// views/panels/subgraph_box.js
var DRAG_DISTANCE = 4;
function makeBox(store, panel, box) {
  const { x, y } = panel.spots.get(box.id);
  const { nodes } = store.graph;
  const { clickedId, grouping } = store.state;
  const isSupernode = box.supernode !== null;
  const node = nodes[box.members[0]];
  const isPicked = grouping && box.members.every((member) => grouping.includes(nodes[member].id));
  const hover = makeHoverListeners(store, node.index);
  const classes = ["box", isSupernode ? "supernode" : node.kind];
  if (box.id === clickedId) classes.push("clicked");
  if (isPicked) classes.push("picked");
  const element = makeElement("div", {
    class: classes.join(" "),
    "data-id": box.id,
    style: { left: `${x}px`, top: `${y}px` },
    ondblclick: () => rename(store, panel, box, element),
    onkeydown: (event) => event.key === "F2" && rename(store, panel, box, element),
    onpointerdown: (event) => startDrag(store, panel, box, element, event),
    onpointerenter: isSupernode ? null : hover.onpointerenter,
    onpointerleave: hover.onpointerleave
  });
  const place = isSupernode ? formatCount(box.members.length, "node") : abbreviatePlace(store.graph, node);
  element.append(makeGrip(store, box, element, place));
  if (isSupernode) element.append(...makeGroupButtons(store, panel, box, element));
  return element;
}
function makeGrip(store, box, element, place) {
  const name = store.nameBox(box);
  const onclick = (event) => {
    if (!element.dataset.dragged && event.detail < 2) chooseByClick(store, box.id, event);
  };
  return makeButton(
    { class: "grip", "data-key": box.id, title: `${name}
${place}`, onclick },
    makeElement("span", { class: "name" }, name),
    makeElement("span", { class: "where" }, place)
  );
}
function makeGroupButtons(store, panel, box, element) {
  const name = store.nameBox(box);
  const ungroup = () => {
    store.ungroup(box.supernode);
    announce(`Ungrouped ${name}`);
  };
  const labelled = (verb) => ({
    class: `small ${verb.toLowerCase()}`,
    "aria-label": `${verb} ${name}`,
    title: verb
  });
  return [
    makeButton({ ...labelled("Rename"), onclick: () => rename(store, panel, box, element) }, "✎"),
    makeButton({ ...labelled("Ungroup"), onclick: ungroup }, "×")
  ];
}
function rename(store, panel, box, element) {
  const input = makeElement("input", { class: "label", "aria-label": "Name", value: store.nameBox(box) });
  let isCancelled = false;
  const finish = () => {
    const text = isCancelled ? "" : input.value.trim();
    input.remove();
    if (text) store.renameBox(box, text);
    panel.write();
  };
  input.addEventListener("blur", finish, { once: true });
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") isCancelled = true;
    if (event.key === "Enter" || event.key === "Escape") input.blur();
  });
  element.querySelector(".grip").replaceWith(input);
  input.select();
  input.focus();
}
function startDrag(store, panel, box, element, event) {
  if (event.button !== 0 || event.target.closest(".small, input")) return;
  const start = panel.spots.get(box.id);
  const move = ({ clientX, clientY }) => {
    const [dx, dy] = [clientX - event.clientX, clientY - event.clientY];
    if (!element.dataset.dragged && Math.hypot(dx, dy) < DRAG_DISTANCE) return;
    element.dataset.dragged = "yes";
    panel.moveBox(box, element, { x: start.x + dx, y: start.y + dy });
  };
  const stop = () => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", stop);
    removeEventListener("pointercancel", stop);
    if (!element.dataset.dragged) return;
    const place = roundPlace(panel.spots.get(box.id), panel.measure());
    setTimeout(() => store.moveBox(box.id, place));
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", stop);
  addEventListener("pointercancel", stop);
}

// views/panels/subgraph_panel.js
var SubgraphPanel = class {
  constructor(store) {
    this.store = store;
    this.panel = getById("subgraph");
    this.boxLayer = getById("subgraph-boxes");
    this.linkLayer = getById("subgraph-links");
    this.spots = /* @__PURE__ */ new Map();
    store.subscribe(
      ["pinnedIds", "supernodes", "clerps", "clickedId", "grouping", "pruningThreshold", "places"],
      () => this.write()
    );
    new ResizeObserver(() => requestAnimationFrame(() => this.write())).observe(this.panel);
  }
  measure() {
    return measureInside(this.panel);
  }
  write() {
    if (this.boxLayer.querySelector("input")) return;
    const { graph, state } = this.store;
    const boxes = this.store.findBoxes();
    getById("subgraph-empty").hidden = boxes.length > 0;
    this.spots = placeBoxes(graph, boxes, this.measure(), state.places);
    refill(this.boxLayer, ...boxes.map((box) => makeBox(this.store, this, box)));
    this.drawLinks();
  }
  drawLinks() {
    const { graph, state } = this.store;
    const bottoms = [...this.spots.values()].map(({ y }) => y + BOX.height + 4);
    this.linkLayer.setAttribute("height", Math.max(this.measure().height, ...bottoms));
    const links = sumBoxLinks(graph, state.visible, this.store.findBoxes());
    const largest = Math.max(1e-30, ...links.map(({ share }) => share));
    this.linkLayer.replaceChildren(...links.map((link) => this.makeLink(link, largest)));
  }
  /** From the middle of the lower box's upper edge to the middle of the upper box's lower edge. */
  makeLink({ from, to, weight, share }, largest) {
    const [start, end] = [this.spots.get(from.id), this.spots.get(to.id)];
    const [name, other] = [this.store.nameBox(from), this.store.nameBox(to)];
    const title = `${name} → ${other}: ${formatSigned(weight)} (${formatPercent(share)} of the inputs)`;
    return makeShape(
      "path",
      {
        class: weight < 0 ? "down" : "up",
        d: composeCurve(
          { x: start.x + BOX.width / 2, y: start.y },
          { x: end.x + BOX.width / 2, y: end.y + BOX.height }
        ),
        style: {
          "stroke-width": (0.8 + 6 * share / largest).toFixed(1),
          "stroke-opacity": (0.35 + 0.5 * share / largest).toFixed(2)
        },
        "data-weight": weight
      },
      makeShape("title", {}, title)
    );
  }
  /** Move a box while it is dragged, inside the panel. */
  moveBox(box, element, { x, y }) {
    const { width, height } = this.measure();
    const spot = {
      x: Math.max(0, Math.min(x, width - BOX.width)),
      y: Math.max(0, Math.min(y, height - BOX.height))
    };
    this.spots.set(box.id, spot);
    element.style.setProperty("left", `${spot.x}px`);
    element.style.setProperty("top", `${spot.y}px`);
    this.drawLinks();
  }
};

// model/head_loadings.js
function pickLoadings(loadings, focusIds) {
  const focused = loadings.filter(({ source, target }) => focusIds.has(source) || focusIds.has(target));
  const picked = focused.length ? focused : loadings;
  const ranked = picked.toSorted((a, b) => measureLoading(b) - measureLoading(a));
  return { ofFocus: focused.length > 0, ranked };
}
function measureLoading({ weight, heads }) {
  return Math.abs(weight ?? heads.reduce((sum2, { value }) => sum2 + value, 0));
}

// views/sections/attention_section.js
var N_LISTED3 = 40;
function mountAttention(store, { scores = [], loadings = [] }) {
  const section = getById("attention");
  section.hidden = false;
  store.subscribe(["clickedId", "supernodes", "clerps"], () => {
    const tables = scores.map((score) => makeScoreTable(store, score));
    if (loadings.length) tables.push(makeLoadingTable(store, loadings));
    refill(section, makeElement("h2", {}, "Attention"), ...tables);
  });
}
function makeScoreTable(store, score) {
  const { tokens } = store.graph;
  const rows = score.pairs.map(({ query, key, value }) => [
    makeNodeLink(store, query),
    makeNodeLink(store, key),
    value
  ]);
  const place = `from ${namePosition(tokens, score.query)} to ${namePosition(tokens, score.key)}`;
  const size = score.relative ? `${formatNumber(score.relative_score)} above the mean over keys` : formatNumber(score.score);
  const share = Number.isFinite(score.attention) ? `, ${formatPercent(score.attention)} of its attention` : "";
  const caption = `Why ${nameHead(score)} looked ${place}: score ${size}${share}; the largest pairs.`;
  return makeTable(["query side", "key side", "adds"], rows, caption);
}
function makeLoadingTable(store, loadings) {
  const { ofFocus, ranked } = pickLoadings(loadings, new Set(store.findMemberIds(store.state.clickedId)));
  const rows = ranked.slice(0, N_LISTED3).flatMap(
    ({ source, target, heads }) => heads.map((head, i) => [
      i ? "" : makeNodeLink(store, source),
      i ? "" : makeNodeLink(store, target),
      nameHead(head),
      head.value
    ])
  );
  const links = ofFocus ? "each link of the focus" : "each link";
  const total = formatCount(ranked.length, "link");
  const rest = ranked.length > N_LISTED3 ? ` (the strongest ${N_LISTED3} of ${total})` : "";
  return makeTable(["from", "to", "head", "carries"], rows, `What heads carry of ${links}${rest}.`);
}
function makeTable(columns, rows, caption) {
  const head = columns.map((column) => makeElement("th", { scope: "col" }, column));
  const makeCell = (value) => typeof value === "number" ? makeElement("td", { class: value < 0 ? "down r" : "up r" }, formatSigned(value)) : makeElement("td", {}, value);
  const body = rows.map((row) => makeElement("tr", {}, ...row.map(makeCell)));
  const table = makeElement(
    "table",
    {},
    makeElement("caption", {}, caption),
    makeElement("thead", {}, makeElement("tr", {}, ...head)),
    makeElement("tbody", {}, ...body)
  );
  return makeElement("div", { class: "wide" }, table);
}
function makeNodeLink(store, id) {
  const { graph } = store;
  const index = graph.numbers.get(id);
  if (index === void 0) return String(id);
  const node = graph.nodes[index];
  return makeButton(
    { class: "entry", title: describePlace(graph, node), onclick: () => store.toggleFocus(id) },
    `${store.abbreviateLabel(node)} · ${abbreviatePlace(graph, node)}`
  );
}
function nameHead({ layer, head }) {
  return `L${layer} head ${head}`;
}
function namePosition(tokens, position) {
  return typeof position === "number" ? `“${formatToken(tokens[position] ?? "")}” (${position})` : String(position);
}

// views/sections/validation_section.js
var [SIZE, EDGE2] = [320, 40];
var N_LARGE_DOTS = 300;
function writeValidation(store, validation) {
  const section = getById("validation");
  section.append(
    makeElement("h2", {}, "Checked by intervention"),
    makeElement(
      "p",
      { class: "quiet" },
      "Nodes of the graph were changed in the model itself. Each dot is what the graph predicted of one change, and what happened; on the dashed line they agree."
    ),
    makeFactLine(listFacts(validation)),
    makeScatter(store, validation)
  );
  section.hidden = false;
}
function listFacts(validation) {
  const { predicted, sign_agreement, slope, nmse, features, targets, logits, factor, mode } = validation;
  return [
    ["pairs", String(predicted.length)],
    ["correlation r", formatAgreement(validation) ?? "–"],
    ["same sign", Number.isFinite(sign_agreement) ? formatPercent(sign_agreement) : "–"],
    ["slope", Number.isFinite(slope) ? formatNumber(slope) : null],
    ["normalised error", Number.isFinite(nmse) ? formatNumber(nmse) : null],
    ["r of features", formatAgreement(features)],
    ["r of targets", formatAgreement(targets)],
    ["r of logits", formatAgreement(logits)],
    ["factor", Number.isFinite(factor) ? formatNumber(factor) : null],
    ["mode", mode]
  ];
}
function formatAgreement(agreement) {
  if (!Number.isFinite(agreement?.r)) return null;
  const { r, low, high } = agreement;
  const interval = Number.isFinite(low) ? ` (${formatNumber(low)} to ${formatNumber(high)})` : "";
  return `${formatNumber(r)}${interval}`;
}
function makeScatter(store, validation) {
  const pairs = validation.predicted.map((predicted, i) => ({ predicted, actual: validation.actual[i], i })).filter(({ predicted, actual }) => Number.isFinite(predicted) && Number.isFinite(actual));
  const values = pairs.flatMap(({ predicted, actual }) => [predicted, actual]);
  const [low, high] = [Math.min(0, ...values), Math.max(0, ...values)];
  const scale = (value) => EDGE2 + (value - low) / (high - low || 1) * (SIZE - 2 * EDGE2);
  const radius = pairs.length > N_LARGE_DOTS ? 2 : 3.5;
  const dots = pairs.map((pair) => makeDot(store, validation, pair, scale, radius));
  const zero = scale(0);
  const axes = `M${EDGE2} ${SIZE - zero}H${SIZE - EDGE2}M${zero} ${EDGE2}V${SIZE - EDGE2}`;
  const diagonal = `M${scale(low)} ${SIZE - scale(low)}L${scale(high)} ${SIZE - scale(high)}`;
  const ticks = [low, high].flatMap((value) => {
    const [across, up] = [scale(value), SIZE - scale(value)];
    return [
      makeShape("text", { x: across, y: SIZE - EDGE2 + 16, "text-anchor": "middle" }, formatNumber(value)),
      makeShape("text", { x: EDGE2 - 6, y: up + 4, "text-anchor": "end" }, formatNumber(value))
    ];
  });
  const upwards = `translate(10 ${SIZE / 2}) rotate(-90)`;
  const names = [
    makeShape("text", { x: SIZE / 2, y: SIZE - 2, "text-anchor": "middle" }, "predicted change"),
    makeShape("text", { transform: upwards, "text-anchor": "middle" }, "actual change")
  ];
  const label = "Predicted against actual changes";
  return makeShape(
    "svg",
    { viewBox: `0 0 ${SIZE} ${SIZE}`, class: "scatter", role: "img", "aria-label": label },
    makeShape("path", { class: "zero", d: axes }),
    makeShape("path", { class: "diagonal", d: diagonal }),
    ...dots,
    ...ticks,
    ...names
  );
}
function makeDot(store, { labels, nodes: ids }, { predicted, actual, i }, scale, radius) {
  const node = store.graph.nodes[store.graph.numbers.get(ids?.[i]) ?? -1];
  const name = labels?.[i] ?? (node ? store.readLabel(node) : "");
  const title = `${name} predicted ${formatSigned(predicted)}, actual ${formatSigned(actual)}`.trim();
  return makeShape(
    "circle",
    {
      cx: scale(predicted).toFixed(1),
      cy: (SIZE - scale(actual)).toFixed(1),
      r: radius,
      class: predicted * actual < 0 ? "dot wrong" : "dot",
      onclick: node ? () => store.update({ clickedId: node.id }) : null
    },
    makeShape("title", {}, title)
  );
}

// mount.js
function mountGraphPage(content) {
  const store = new GraphStore(readGraph(content), (run) => requestAnimationFrame(run));
  keepAddress(store, content.qParams, () => measureInside(getById("subgraph")));
  const graphView = new GraphView(store);
  mountNodePanel(store);
  mountFeaturePanel(store);
  const subgraphPanel = new SubgraphPanel(store);
  const searchPanel = new SearchPanel(store, graphView);
  listenToNodeKeys(store, graphView);
  listenToKeys(store, searchPanel);
  mountSaving(store, content, graphView, subgraphPanel);
  if (content.validation) writeValidation(store, content.validation);
  if (content.qk) mountAttention(store, content.qk);
  mountSlider(store);
  mountLinkTypes(store);
  mountHelp();
  mountGroupingNotice(store);
  mountNodeNote(store, graphView);
  const [firstInFocus] = store.findFocus();
  if (firstInFocus !== void 0) graphView.showNode(firstInFocus);
}

// main.js
mountGraphPage(JSON.parse(getById("content").textContent));
