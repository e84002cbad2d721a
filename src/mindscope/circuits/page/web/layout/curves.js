/** The curve of a link: it leaves its source upwards and comes to its target from below. */

/** @typedef {{ x: number, y: number }} Spot in pixels, y downwards */

/**
 * The curve as SVG path data.
 * @param {Spot} from
 * @param {Spot} to
 */
export function composeCurve(from, to) {
  const middle = (from.y + to.y) / 2;
  return `M${from.x} ${from.y}C${from.x} ${middle} ${to.x} ${middle} ${to.x} ${to.y}`;
}

/**
 * Adds the curve to a canvas's path.
 * @param {CanvasPath} path
 * @param {Spot} from
 * @param {Spot} to
 */
export function addCurve(path, from, to) {
  const middle = (from.y + to.y) / 2;
  path.moveTo(from.x, from.y);
  path.bezierCurveTo(from.x, middle, to.x, middle, to.x, to.y);
}
