// The panel of the node in focus: what it is, its label, and its signed inputs and outputs.

const SHOWN = 60;
const listLengths = { input: SHOWN, output: SHOWN };

function writePanel() {
  const members = membersOf(state.clickedId);
  const panel = byId("node");
  if (!members.length) {
    return refill(
      panel,
      element("p", { class: "quiet" }, "Click a node to see what it depends on and what depends on it."),
    );
  }
  const parts = members.length > 1 ? groupHead(members) : nodeHead(nodes[members[0]]);
  const lists = element(
    "div",
    { class: "lists" },
    ...[
      state.linkType === "output" ? null : linkList("input", "Inputs", members),
      state.linkType === "input" ? null : linkList("output", "Outputs", members),
    ].filter(Boolean),
  );
  if (!lists.children.length) lists.append(element("p", { class: "quiet" }, "No links of this kind are shown."));
  refill(panel, ...parts, lists);
}

function nodeHead(node) {
  const facts = [
    node.activation === null ? null : ["activation", number(node.activation)],
    node.probability === null ? null : ["probability", number(node.probability)],
    node.influence === null ? null : ["cumulative influence", number(node.influence)],
  ];
  const named = node.kind === "feature" || node.kind === "error";
  const head = named ? labelEditor(node) : element("h2", {}, labelOf(node));
  return [head, placeLine(placeOf(node), [node.id]), factLine(facts)];
}

function groupHead(members) {
  const group = state.supernodes[Number(state.clickedId.slice("supernode-".length))];
  const sum = members.reduce((total, i) => total + (nodes[i].activation ?? 0), 0);
  return [
    element("h2", {}, group[0]),
    placeLine(`supernode of ${count(members.length, "node")}`, group.slice(1)),
    factLine([["summed activation", number(sum)]]),
  ];
}

function factLine(facts) {
  const pairs = facts.filter(Boolean).map(([name, value]) => element("span", {}, `${name} `, element("b", {}, value)));
  return element("p", { class: "facts" }, ...pairs);
}

function placeLine(text, ids) {
  const all = ids.every((id) => state.pinnedIds.includes(id));
  const pin = element(
    "button",
    { type: "button", id: "pin", "data-key": "pin", onclick: () => togglePin(ids) },
    all ? "Unpin" : "Pin",
  );
  return element("div", { class: "place" }, element("p", { class: "quiet" }, text), pin);
}

function labelEditor(node) {
  const input = element("input", {
    class: "label",
    "aria-label": "Label of the node",
    value: labelOf(node),
    title: "Edit the label",
  });
  input.addEventListener("change", () => relabel(node, input.value));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape") input.value = labelOf(node);
    if (event.key === "Enter" || event.key === "Escape") input.blur();
  });
  return input;
}

// Entries of one direction: links to the same node from several members are summed.
function entriesOf(direction, members) {
  const from = direction === "input" ? inputs : outputs;
  const other = direction === "input" ? "source" : "target";
  const inside = new Set(members);
  const sums = new Map();
  for (const i of members) {
    for (const link of from[i]) {
      if (!linkVisible(link) || inside.has(link[other])) continue;
      sums.set(link[other], (sums.get(link[other]) || 0) + link.weight);
    }
  }
  return [...sums].map(([index, weight]) => ({ index, weight })).sort(stronger);
}

function linkList(direction, name, members) {
  const entries = entriesOf(direction, members);
  if (!entries.length) return null;
  const add = (sign) => entries.reduce((sum, { weight }) => (weight * sign > 0 ? sum + weight : sum), 0);
  const sum = (sign, name) => (add(sign) ? element("span", { class: name }, signed(add(sign))) : null);
  const most = entries.length ? Math.abs(entries[0].weight) : 1;
  const length = listLengths[direction];
  const more = entries.length - length;
  const longer = () => {
    listLengths[direction] += 10 * SHOWN;
    writePanel();
  };
  return element(
    "section",
    { "aria-label": name },
    element("h3", {}, `${name} `, element("span", { class: "quiet" }, `${entries.length}`)),
    element("p", { class: "sums" }, sum(1, "up"), " ", sum(-1, "down")),
    element("ol", {}, ...entries.slice(0, length).map((entry) => linkEntry(entry, most))),
    more > 0 ? element("button", { type: "button", onclick: longer }, `${more.toLocaleString("en")} more`) : null,
  );
}

function linkEntry({ index, weight }, most) {
  const node = nodes[index];
  const sign = weight < 0 ? "down" : "up";
  return element(
    "li",
    {},
    element(
      "button",
      {
        type: "button",
        class: `entry ${sign}${state.pinnedIds.includes(node.id) ? " pinned" : ""}`,
        style: { "--at": `${((100 * Math.abs(weight)) / most).toFixed(1)}%` },
        title: placeOf(node),
        "data-id": node.id,
        "data-key": node.id,
        onclick: (event) => choose(node.id, event),
        onpointerenter: () => update({ hovered: index }),
        onpointerleave: () => update({ hovered: null }),
      },
      element("span", { class: "name" }, node.kind === "target" ? targetName(node) : labelOf(node)),
      element("span", { class: "where" }, whereOf(node)),
      element("span", { class: "weight" }, signed(weight)),
    ),
  );
}

function whereOf(node) {
  if (node.kind === "token") return `token ${node.position}`;
  const token = shortened(shown(tokens[node.position]), 12);
  return node.kind === "target" ? token : `L${node.layer} ${token}`;
}

onChange(["clickedId"], () => {
  listLengths.input = listLengths.output = SHOWN;
});
onChange(["clickedId", "pinnedIds", "supernodes", "linkType", "pruningThreshold", "clerps"], writePanel);
