// Where nodes stand: one column a token, one row a layer, and lines of nodes where one line is too long.

const MARGIN = { left: 44, right: 14, bottom: 6 };
const LONGEST = 96; // room for a token or target that is not written level
const SLANT = (42 * Math.PI) / 180;

const ruler = document.createElement("canvas").getContext("2d");
ruler.font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
const textWidth = (text) => ruler.measureText(text).width;
const longest = (widths) => Math.min(LONGEST, Math.max(0, ...widths));
const tokenWidths = tokens.map((token) => textWidth(shown(token)));

// Nodes of every cell, in the order in which they stand: features by influence, then errors.
function cellsOf(chosen, rows) {
  const cells = Array.from({ length: rows }, () => tokens.map(() => []));
  for (const node of chosen) cells[node.row][node.position].push(node);
  const order = (node) => (node.kind === "error" ? 2 : (node.influence ?? 1));
  for (const row of cells) for (const cell of row) cell.sort((one, other) => order(one) - order(other));
  return cells;
}

// Place `present` nodes in a view; the result may be larger than the view, which then scrolls.
function arrange(present, view) {
  const rows = content.layers + 2;
  const cells = cellsOf(present, rows);
  const inner = cells.slice(0, rows - 1); // targets have a band of their own: their labels need the room
  const most = tokens.map((_, at) => Math.max(...inner.map((row) => row[at].length)));
  const fullest = inner.map((row) => Math.max(1, ...row.map((cell) => cell.length)));
  const total = (list) => list.reduce((sum, one) => sum + one, 0);
  const head = cells[rows - 1].some((cell) => cell.length) ? targetBand(cells[rows - 1].flat()) : 10;
  const room = view.width - MARGIN.left - MARGIN.right;
  const below = (foot) => view.height - head - foot - MARGIN.bottom;
  const uprightFoot = longest(tokenWidths) + 14;

  // Nodes stand `step` apart, at most `line` of them in a line of a cell: as large as the view allows.
  const sizes = (step, line) => ({
    step,
    line,
    columns: most.map((n) => Math.max(16, Math.min(n, line) * step + 8)),
    bands: fullest.map((n) => Math.ceil(n / line) * step + 4),
  });
  const tries = [13, 11, 9, 8].flatMap((step) => [24, 16, 12, 8, 6, 4].map((line) => sizes(step, line)));
  const fitting = tries.filter((one) => total(one.columns) <= room);
  const chosen =
    fitting.find((one) => total(one.bands) <= below(uprightFoot)) ||
    fitting.find((one) => one.step === 9) ||
    sizes(9, 6);
  const { step, line } = chosen;
  const spread = (list, space) => list.map((one) => one + Math.max(0, space - total(list)) / list.length);
  const columns = spread(chosen.columns, room);
  const upright = tokenWidths.some((width, at) => width > columns[at] - 6);
  const foot = upright ? uprightFoot : 24;
  const bands = spread(chosen.bands, below(foot));

  const width = MARGIN.left + MARGIN.right + total(columns);
  const height = head + foot + MARGIN.bottom + total(bands);
  const left = columns.map((_, at) => MARGIN.left + total(columns.slice(0, at)));
  const base = bands.map((_, row) => height - foot - MARGIN.bottom - total(bands.slice(0, row)));
  const spots = new Array(nodes.length).fill(null);
  inner.forEach((row, r) => {
    row.forEach((cell, at) => {
      const lines = Math.ceil(cell.length / line);
      cell.forEach((node, i) => {
        const here = Math.floor(i / line);
        const count = Math.min(line, cell.length - here * line);
        spots[node.index] = {
          x: left[at] + columns[at] / 2 + ((i % line) - (count - 1) / 2) * step,
          y: base[r] - bands[r] / 2 + ((lines - 1) / 2 - here) * step,
        };
      });
    });
  });
  placeTargets(cells[rows - 1], left, columns, head, width, spots);
  return { spots, width, height, left, columns, base, bands, head, foot, upright, radius: step * 0.36 };
}

const TARGET_STEP = 20;

function targetBand(targets) {
  return Math.sin(SLANT) * longest(targets.map((node) => textWidth(targetName(node)))) + 40;
}

// Targets stand in a line above their token, as far apart as their slanted labels need.
function placeTargets(cells, left, columns, head, width, spots) {
  const all = cells.flatMap((cell, at) => cell.map((node, i) => ({ node, wish: wish(at, i, cell.length) })));
  function wish(at, i, count) {
    return left[at] + columns[at] / 2 + (i - (count - 1) / 2) * TARGET_STEP;
  }
  let limit = width - MARGIN.right;
  for (const { node, wish: x } of all.reverse()) {
    const at = Math.min(x, limit);
    limit = at - TARGET_STEP;
    spots[node.index] = { x: at, y: head - 14 };
  }
}
