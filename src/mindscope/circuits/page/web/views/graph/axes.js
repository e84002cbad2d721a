/** The names of layers, tokens and targets, and the grid between them. */

import { MARGIN, SLANT_DEGREES } from "../../layout/graph_layout.js";
import { abbreviateTarget, describePlace } from "../../model/names.js";
import { formatToken } from "../../model/text.js";
import { getById, makeElement, makeShape, setStyle } from "../dom.js";

const LAYER_NAME_HEIGHT = 13;

export function writeAxes(store, layout) {
  writeLayers(layout);
  writeTokens(store.graph.tokens, layout);
  writeGrid(layout);
  const targets = store.graph.nodes.filter((node) => node.kind === "target");
  getById("target-names").replaceChildren(...targets.map((node) => makeTargetName(store, layout, node)));
}

/** Where bands are lower than a name, only some of the layers are named. */
function writeLayers({ base, bands, height }) {
  const every = Math.ceil(LAYER_NAME_HEIGHT / Math.min(...bands));
  const names = base.map((y, row) =>
    row === 0 || (row - 1) % every
      ? null
      : makeElement("span", { style: { top: `${y - bands[row] / 2}px` } }, `L${row - 1}`),
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
      "line-height": `${upright ? columns[i] : 20}px`,
    };
    return makeElement("span", { style, title: `${formatToken(token)} (${i})` }, formatToken(token));
  });
  const axis = getById("tokens");
  axis.classList.toggle("upright", upright);
  setStyle(axis, { height: `${foot}px`, width: `${width}px` });
  axis.replaceChildren(...names);
}

function writeGrid({ base, left, width, head }) {
  const posts = left.map((x) =>
    makeShape("path", { class: "post", d: `M${x.toFixed(1)} ${head}V${base[0]}` }),
  );
  const lines = base.map((y) =>
    makeShape("path", { d: `M${MARGIN.left} ${y.toFixed(1)}H${width - MARGIN.right}` }),
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
