/** The graph as an SVG file: what is on the screen, in whole and with colours that need no style sheet. */

import { composeCurve } from "../../layout/curves.js";
import { formatToken, shorten } from "../../model/text.js";
import { getById, makeShape } from "../dom.js";

const LETTER = 7; // the width of a letter in the picture's font, about
const UPRIGHT_LENGTH = 14; // letters that fit into the foot

export function composePicture(store, graphView) {
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
      "font-size": 11,
    },
    makeShape("title", {}, document.title),
    makeShape("rect", { width, height, fill: readColour("paper") }),
    ...graphView.styleBack().map((styled) => makeLink(styled, layout.spots, readColour)),
    ...graphView.nodeMarks.marks.filter((mark) => mark.style.display !== "none").map(copyMark),
    ...makeLayerNames(layout, readColour("muted")),
    ...makeTokenNames(store.graph.tokens, layout, readColour("ink")),
    ...[...getById("target-names").children].map((name) => copyTargetName(name, readColour("ink"))),
  );
  return new XMLSerializer().serializeToString(picture);
}

function makeLink({ link, width, alpha }, spots, readColour) {
  const [from, to] = [spots[link.source], spots[link.target]].map(({ x, y }) => ({
    x: Number(x.toFixed(1)),
    y: Number(y.toFixed(1)),
  }));
  return makeShape("path", {
    d: composeCurve(from, to),
    fill: "none",
    stroke: readColour(link.weight < 0 ? "down" : "up"),
    "stroke-width": width.toFixed(2),
    "stroke-opacity": alpha.toFixed(2),
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
    opacity: look.opacity,
  };
  return makeShape("path", attributes, makeShape("title", {}, mark.getAttribute("aria-label")));
}

/** Mixed colours come as color(srgb ...), which few programs besides browsers read. */
function flattenColour(text) {
  const parts = /^color\(srgb ([\d.e-]+) ([\d.e-]+) ([\d.e-]+)/.exec(text)?.slice(1);
  return parts ? `rgb(${parts.map((part) => Math.round(255 * part)).join(", ")})` : text;
}

function makeLayerNames({ base, bands }, fill) {
  return base
    .map((y, row) => ({ row, y: (y - bands[row] / 2 + 4).toFixed(1) }))
    .slice(1) // the lowest band is the tokens'
    .map(({ row, y }) => makeShape("text", { fill, x: 8, y }, `L${row - 1}`));
}

function makeTokenNames(tokens, { left, columns, height, foot, upright }, fill) {
  const y = height - foot;
  return tokens.map((token, i) => {
    const x = (left[i] + columns[i] / 2).toFixed(1);
    if (upright) {
      const transform = `translate(${x} ${y}) rotate(-90)`;
      const name = shorten(formatToken(token), UPRIGHT_LENGTH);
      return makeShape("text", { fill, transform, "text-anchor": "end", dy: 4 }, name);
    }
    const name = shorten(formatToken(token), Math.max(2, Math.floor(columns[i] / LETTER)));
    return makeShape("text", { fill, x, y: y + 12, "text-anchor": "middle" }, name);
  });
}

function copyTargetName(name, fill) {
  const transform = name.getAttribute("transform");
  return makeShape("text", { fill, transform, "text-anchor": "end" }, name.firstChild.textContent);
}
