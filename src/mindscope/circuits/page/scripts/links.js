// Links on a canvas as large as the window onto the graph. What is far from the eye is not drawn.

const BACKGROUND = 4000; // so many of the strongest links stay fluid to draw on a machine without a GPU
const strongest = links.slice().sort((one, other) => other.share - one.share);

function curve(path, from, to) {
  const middle = (from.y + to.y) / 2;
  path.moveTo(from.x, from.y);
  path.bezierCurveTo(from.x, middle, to.x, middle, to.x, to.y);
}

// The links shown when nothing is in focus.
function backgroundLinks() {
  const found = [];
  for (const link of strongest) {
    if (!linkVisible(link)) continue;
    found.push(link);
    if (found.length === BACKGROUND) break;
  }
  return found;
}

// The links at the members of the focus, by the kind of link the reader asked for.
function linksAt(members) {
  const inside = new Set(members);
  const ins = state.linkType === "output" ? [] : members.flatMap((i) => inputs[i]);
  const outs = state.linkType === "input" ? [] : members.flatMap((i) => outputs[i]);
  const wanted = (link) => linkVisible(link) && !(inside.has(link.source) && inside.has(link.target));
  return [...ins, ...outs].filter(wanted);
}

class LinkLayer {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
  }

  resize(width, height) {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.canvas.style.setProperty("width", `${width}px`);
    this.canvas.style.setProperty("height", `${height}px`);
    Object.assign(this, { width, height, ratio });
  }

  // Draw links given as {link, width, alpha}; those of one colour, width and opacity are one path.
  draw(list, spots, scroll) {
    const { pen, ratio } = this;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.translate(-scroll.x, -scroll.y);
    const batches = new Map();
    for (const { link, width, alpha } of list) {
      const from = spots[link.source];
      const to = spots[link.target];
      if (!from || !to || this.isOutside(from, to, scroll)) continue;
      const key = `${link.weight < 0 ? "down" : "up"} ${width.toFixed(1)} ${alpha.toFixed(1)}`;
      if (!batches.has(key)) batches.set(key, []);
      batches.get(key).push([from, to]);
    }
    const style = getComputedStyle(document.documentElement);
    for (const [key, ends] of batches) {
      const [sign, width, alpha] = key.split(" ");
      pen.strokeStyle = style.getPropertyValue(`--${sign}`);
      pen.lineWidth = Number(width);
      pen.globalAlpha = Number(alpha);
      pen.beginPath();
      for (const [from, to] of ends) curve(pen, from, to);
      pen.stroke();
    }
  }

  isOutside(from, to, scroll) {
    return (
      Math.max(from.x, to.x) < scroll.x ||
      Math.min(from.x, to.x) > scroll.x + this.width ||
      Math.max(from.y, to.y) < scroll.y ||
      Math.min(from.y, to.y) > scroll.y + this.height
    );
  }
}

const faint = (link) => ({ link, width: 0.4 + 2.6 * link.share, alpha: link.share > 0.05 ? 0.3 : 0.2 });

// In focus the width compares the links of that focus.
function bright(list) {
  const most = list.reduce((size, link) => Math.max(size, Math.abs(link.weight)), 1e-30);
  return list.map((link) => {
    const share = Math.abs(link.weight) / most;
    return { link, width: 0.5 + 3.2 * share, alpha: 0.3 + 0.6 * share };
  });
}
