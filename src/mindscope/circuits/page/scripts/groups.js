// Supernodes: hold G, click nodes or boxes, let go.

function startGroup() {
  if (!state.grouping) update({ grouping: [] });
}

function pickForGroup(ids) {
  const all = ids.every((id) => state.grouping.includes(id));
  const rest = state.grouping.filter((id) => !ids.includes(id));
  update({ grouping: all ? rest : [...rest, ...ids] });
}

function endGroup() {
  const ids = state.grouping;
  if (!ids) return;
  update({ grouping: null });
  if (ids.length < 2) return;
  const label = labelOf(nodes[numberOf.get(ids[0])]);
  const supernodes = [...withoutMembers(ids), [label, ...ids]];
  const pinnedIds = [...new Set([...state.pinnedIds, ...ids])];
  regroup(supernodes, { pinnedIds });
  announce(`Grouped ${count(ids.length, "node")} as ${label}`);
}

function ungroup(at) {
  const label = state.supernodes[at][0];
  regroup(state.supernodes.filter((_, i) => i !== at));
  announce(`Ungrouped ${label}`);
}

// Supernodes are called by their numbers, which change with the list: what was said of them moves along.
function regroup(supernodes, more = {}) {
  const old = state.supernodes;
  const moved = (id) => {
    const group = /^supernode-(\d+)$/.exec(id);
    if (!group) return id;
    const to = supernodes.indexOf(old[Number(group[1])]);
    return to < 0 ? "" : `supernode-${to}`;
  };
  const places = new Map([...state.places].map(([id, place]) => [moved(id), place]).filter(([id]) => id));
  update({ supernodes, places, clickedId: moved(state.clickedId), ...more });
}

function rename(box, made) {
  const input = element("input", { class: "label", "aria-label": "Name", value: nameOf(box) });
  let given = true;
  const finish = () => {
    const text = given ? input.value.trim() : "";
    input.remove();
    if (text && box.group < 0) relabel(nodes[box.members[0]], text);
    if (text && box.group >= 0) {
      const supernodes = state.supernodes.map((group, i) => (i === box.group ? [text, ...group.slice(1)] : group));
      update({ supernodes });
    }
    writeSubgraph();
  };
  input.addEventListener("blur", finish, { once: true });
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") given = false;
    if (event.key === "Enter" || event.key === "Escape") input.blur();
  });
  made.querySelector(".grip").replaceWith(input);
  input.select();
  input.focus();
}
