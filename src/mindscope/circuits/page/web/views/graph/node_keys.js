/** Keys on a node of the graph: walk to another, focus, pin. */

import { findNextNode } from "../../layout/walk.js";
import { chooseByClick } from "../events.js";

export function listenToNodeKeys(store, graphView) {
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
