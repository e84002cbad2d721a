// Search by label, token, place or id: what is found is ringed in the graph and listed below the field.

const FOUND = 40;
const field = byId("search");
const results = byId("results");

function haystack(node) {
  return `${labelOf(node)} ${plainName(node)} ${placeOf(node)} ${node.id}`.toLowerCase();
}

function search() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return closeSearch();
  const hits = nodes.filter((node) => visible[node.index] && words.every((word) => haystack(node).includes(word)));
  hits.sort((one, other) => (one.influence ?? 0) - (other.influence ?? 0));
  update({ found: new Set(hits.map((node) => node.index)) });
  const entries = hits.slice(0, FOUND).map((node) =>
    element(
      "li",
      {},
      element(
        "button",
        {
          type: "button",
          class: "entry",
          "data-id": node.id,
          title: placeOf(node),
          onclick: (event) => pickFound(node, event),
          onpointerenter: () => update({ hovered: node.index }),
          onpointerleave: () => update({ hovered: null }),
        },
        element("span", { class: "name" }, labelOf(node)),
        element("span", { class: "where" }, whereOf(node)),
      ),
    ),
  );
  const said = hits.length ? `${count(hits.length, "node")} found` : "nothing found";
  results.replaceChildren(element("p", { class: "quiet", role: "status" }, said), element("ol", {}, ...entries));
  results.hidden = false;
}

function pickFound(node, event) {
  if (event.ctrlKey || event.metaKey || state.grouping) return choose(node.id, event);
  closeSearch();
  field.value = "";
  update({ clickedId: node.id });
  showNode(node.index);
}

function closeSearch() {
  results.hidden = true;
  results.replaceChildren();
  update({ found: null });
}

function showNode(index) {
  const spot = arranged.spots[index];
  if (!spot) return;
  const [left, top] = [spot.x - scroller.clientWidth / 2, spot.y - scroller.clientHeight / 2];
  scroller.scrollTo({ left, top });
}

field.addEventListener("input", search);
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter") results.querySelector(".entry")?.click();
  if (event.key === "ArrowDown") results.querySelector(".entry")?.focus();
  if (event.key === "Escape") {
    field.value = "";
    closeSearch();
    field.blur();
  }
});
results.addEventListener("keydown", (event) => {
  const entries = [...results.querySelectorAll(".entry")];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const at = entries.indexOf(document.activeElement) + (step || 0);
  if (step) (entries[at] || field).focus();
  if (event.key === "Escape") {
    closeSearch();
    field.focus();
  }
  if (step) event.preventDefault();
});
