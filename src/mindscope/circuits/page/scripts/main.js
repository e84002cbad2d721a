// The controls, the note at the pointer, and the first drawing.

const slider = byId("pruning");
slider.max = Math.ceil(highest * 1000) / 1000;
slider.disabled = highest === 0;
slider.addEventListener("input", () => {
  const value = Number(slider.value);
  update({ pruningThreshold: value >= Number(slider.max) ? highest : value });
});
onChange(["pruningThreshold"], () => {
  slider.value = state.pruningThreshold === highest ? slider.max : state.pruningThreshold;
  byId("pruning-value").textContent = state.pruningThreshold.toFixed(2);
});

for (const choice of document.querySelectorAll("[name=link-type]")) {
  choice.addEventListener("change", () => update({ linkType: choice.value }));
}
onChange(["linkType"], () => {
  document.querySelector(`[name=link-type][value=${state.linkType}]`).checked = true;
});

byId("open-help").addEventListener("click", () => byId("help").showModal());
onChange(["grouping"], () => {
  const note = byId("grouping");
  note.hidden = !state.grouping;
  note.textContent = `Grouping: click nodes, then let go of G (${count(state.grouping?.length || 0, "node")})`;
});

// The note at the pointer

const note = byId("note");

function weightToFocus(node) {
  const members = membersOf(state.clickedId);
  if (!members.length || members.includes(node.index)) return null;
  const found = linksAt(members).filter((link) => link.source === node.index || link.target === node.index);
  return found.length ? found.reduce((sum, link) => sum + link.weight, 0) : null;
}

function writeNote() {
  const node = state.hovered === null ? null : nodes[state.hovered];
  note.hidden = !node || !marks[node.index].matches(":hover, :focus-visible");
  if (note.hidden) return;
  const weight = weightToFocus(node);
  const facts = [
    node.activation === null ? null : ["activation", number(node.activation)],
    node.probability === null ? null : ["probability", number(node.probability)],
    node.influence === null ? null : ["cumulative influence", number(node.influence)],
    weight === null ? null : ["link", signed(weight)],
  ];
  note.replaceChildren(element("b", {}, labelOf(node)), element("span", {}, placeOf(node)), factLine(facts));
  const mark = marks[node.index].getBoundingClientRect();
  const left = Math.min(mark.right + 10, innerWidth - note.offsetWidth - 8);
  const below = mark.bottom + 10 + note.offsetHeight < innerHeight;
  note.style.setProperty("left", `${Math.max(8, left)}px`);
  note.style.setProperty("top", `${below ? mark.bottom + 10 : mark.top - note.offsetHeight - 10}px`);
}
onChange(["hovered", "clickedId"], writeNote);

// Start

addEventListener("hashchange", restoreFromAddress);
new ResizeObserver(() => requestAnimationFrame(arrangeGraph)).observe(scroller);
new ResizeObserver(() => requestAnimationFrame(writeSubgraph)).observe(byId("subgraph"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", arrangeGraph);
nameMarks();
restoreFromAddress();
refreshVisible();
arrangeGraph();
const seen = membersOf(state.clickedId)[0];
if (seen !== undefined) showNode(seen);
