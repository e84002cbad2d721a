// What keys do. They are listed in the help of the page.

const isWriting = (event) => event.target.closest?.("input:not([type=range]), textarea, select, dialog");

function announce(text) {
  byId("status").textContent = text;
}

// The nearest visible node in a direction: within the row, or in the next row that has one.
function neighbour(from, direction) {
  const { spots } = arranged;
  const here = spots[from];
  const there = nodes.filter((node) => visible[node.index] && node.index !== from);
  const across = direction === "ArrowLeft" || direction === "ArrowRight";
  const sign = direction === "ArrowRight" || direction === "ArrowUp" ? 1 : -1;
  const row = nodes[from].row;
  let pool = [];
  if (across) {
    // Within a row nodes may stand in several lines: left to right, then the line below.
    const order = (index) => [nodes[index].position, -spots[index].y, spots[index].x];
    const compare = (a, b) => a.map((one, i) => one - b[i]).find((one) => Math.abs(one) > 0.01) || 0;
    pool = there.filter((node) => node.row === row && sign * compare(order(node.index), order(from)) > 0);
    pool.sort((a, b) => sign * compare(order(a.index), order(b.index)));
    return pool[0];
  }
  const ahead = there.filter((node) => sign * (node.row - row) > 0);
  const next = sign * Math.min(...ahead.map((node) => sign * node.row));
  const away = (node) => Math.abs(spots[node.index].x - here.x);
  return ahead.filter((node) => node.row === next).sort((a, b) => away(a) - away(b))[0];
}

nodeLayer.addEventListener("keydown", (event) => {
  const mark = markAt(event);
  if (!mark) return;
  const node = nodes[mark.dataset.index];
  if (event.key.startsWith("Arrow")) {
    const to = neighbour(node.index, event.key);
    if (to) {
      showIfHidden(to.index);
      marks[to.index].focus({ preventScroll: true });
    }
  } else if (event.key === "Enter" || event.key === " ") choose(node.id, event);
  else if (event.key.toLowerCase() === "p") togglePin([node.id]);
  else return;
  event.preventDefault();
  event.stopPropagation();
});

function showIfHidden(index) {
  const { x, y } = arranged.spots[index];
  const [left, top] = [scroller.scrollLeft, scroller.scrollTop];
  const inside =
    x > left + MARGIN.left && x < left + scroller.clientWidth && y > top && y < top + scroller.clientHeight;
  if (!inside) showNode(index);
}

const actions = {
  "/": () => field.focus(),
  "?": () => byId("help").showModal(),
  p: () => state.clickedId && togglePin(membersOf(state.clickedId).map((i) => nodes[i].id)),
  "[": () => prune(-1),
  "]": () => prune(1),
  Escape: () => (state.grouping ? update({ grouping: null }) : update({ clickedId: "" })),
};

function prune(steps) {
  const slider = byId("pruning");
  if (steps < 0) slider.stepDown(10);
  else slider.stepUp(10);
  slider.dispatchEvent(new Event("input"));
}

addEventListener("keydown", (event) => {
  if (isWriting(event) || event.altKey) return;
  if (event.key.toLowerCase() === "g" && !event.ctrlKey && !event.metaKey) return startGroup();
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const action = !event.ctrlKey && !event.metaKey && actions[key];
  if (!action) return;
  event.preventDefault();
  action();
});
addEventListener("keyup", (event) => event.key.toLowerCase() === "g" && endGroup());
addEventListener("blur", () => state.grouping && update({ grouping: null }));
