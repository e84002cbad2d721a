// Below the graph: how well it foretold what interventions did, and what attention heads carried.

const LOADINGS = 40; // links whose heads are listed at once

// Predicted against actual changes, on one scale for both, with the diagonal of a perfect prediction.
function validationFigure({ predicted, actual, labels, nodes: ids }) {
  const [size, edge] = [320, 40];
  const pairs = predicted
    .map((one, i) => [one, actual[i], i])
    .filter(([one, other]) => Number.isFinite(one) && Number.isFinite(other));
  const ends = pairs.flatMap(([one, other]) => [one, other]);
  const [low, high] = [Math.min(0, ...ends), Math.max(0, ...ends)];
  const at = (value) => edge + ((value - low) / (high - low || 1)) * (size - 2 * edge);
  const dots = pairs.map(([one, other, i]) => {
    const node = ids?.[i] !== undefined ? nodes[numberOf.get(ids[i])] : null;
    const name = labels?.[i] ?? (node ? labelOf(node) : "");
    const title = drawn("title", {}, `${name} predicted ${signed(one)}, actual ${signed(other)}`.trim());
    const dot = drawn(
      "circle",
      {
        cx: at(one).toFixed(1),
        cy: (size - at(other)).toFixed(1),
        r: pairs.length > 300 ? 2 : 3.5,
        class: one * other < 0 ? "dot wrong" : "dot",
      },
      title,
    );
    if (node) dot.addEventListener("click", () => update({ clickedId: node.id }));
    return dot;
  });
  const axis = (d) => drawn("path", { class: "zero", d });
  const ticks = [low, high].flatMap((value) => [
    drawn("text", { x: at(value), y: size - edge + 16, "text-anchor": "middle" }, number(value)),
    drawn("text", { x: edge - 6, y: size - at(value) + 4, "text-anchor": "end" }, number(value)),
  ]);
  const names = [
    drawn("text", { x: size / 2, y: size - 2, "text-anchor": "middle" }, "predicted change"),
    drawn("text", { transform: `translate(10 ${size / 2}) rotate(-90)`, "text-anchor": "middle" }, "actual change"),
  ];
  return drawn(
    "svg",
    { viewBox: `0 0 ${size} ${size}`, class: "scatter", role: "img", "aria-label": "Predicted against actual changes" },
    axis(`M${edge} ${size - at(0)}H${size - edge}M${at(0)} ${edge}V${size - edge}`),
    drawn("path", { class: "diagonal", d: `M${at(low)} ${size - at(low)}L${at(high)} ${size - at(high)}` }),
    ...dots,
    ...ticks,
    ...names,
  );
}

function validationSection(validation) {
  const interval = ({ low, high }) => (Number.isFinite(low) ? ` (${number(low)} to ${number(high)})` : "");
  const agreement = (one) => (one && Number.isFinite(one.r) ? `${number(one.r)}${interval(one)}` : null);
  const share = validation.sign_agreement;
  const facts = [
    ["pairs", String(validation.predicted.length)],
    ["correlation r", agreement(validation) || "–"],
    ["same sign", Number.isFinite(share) ? percent(share) : "–"],
    ["r of features", agreement(validation.features)],
    ["r of targets", agreement(validation.targets)],
    ["r of logits", agreement(validation.logits)],
    ["factor", Number.isFinite(validation.factor) ? number(validation.factor) : null],
    ["mode", validation.mode],
  ];
  const section = byId("validation");
  section.append(
    element("h2", {}, "Checked by intervention"),
    element(
      "p",
      { class: "quiet" },
      "Nodes of the graph were changed in the model itself. Each dot is what the graph predicted of one change, " +
        "and what happened; on the dashed line they agree.",
    ),
    factLine(facts.map(([name, value]) => (value ? [name, value] : null))),
    validationFigure(validation),
  );
  section.hidden = false;
}

function table(columns, rows, caption) {
  const head = element("tr", {}, ...columns.map((column) => element("th", { scope: "col" }, column)));
  const cell = (value) =>
    typeof value === "number"
      ? element("td", { class: value < 0 ? "down r" : "up r" }, signed(value))
      : element("td", {}, value);
  const body = rows.map((row) => element("tr", {}, ...row.map(cell)));
  return element(
    "div",
    { class: "wide" },
    element("table", {}, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, ...body)),
  );
}

const headName = (one) => `L${one.layer} head ${one.head}`;
const positionName = (at) => (typeof at === "number" ? `“${shown(tokens[at] ?? "")}” (${at})` : String(at));

// A node by its id: what it is called, and a way to it. Other names, such as a bias, stay as they are.
function nodeLink(id) {
  const at = numberOf.get(id);
  if (at === undefined) return String(id);
  const node = nodes[at];
  const name = node.kind === "target" ? targetName(node) : labelOf(node);
  const onclick = () => click(id);
  return element(
    "button",
    { type: "button", class: "entry", title: placeOf(node), onclick },
    `${name} · ${whereOf(node)}`,
  );
}

function scoreTables(scores) {
  return scores.map((one) => {
    const rows = one.pairs.map((pair) => [nodeLink(pair.query), nodeLink(pair.key), pair.value]);
    const where = `from ${positionName(one.query)} to ${positionName(one.key)}`;
    const score = one.relative ? `${number(one.relative_score)} above the mean over keys` : number(one.score);
    const given = Number.isFinite(one.attention) ? `, ${percent(one.attention)} of its attention` : "";
    const caption = `Why ${headName(one)} looked ${where}: score ${score}${given}; the largest pairs.`;
    return table(["query side", "key side", "adds"], rows, caption);
  });
}

// Loadings of the focus; of all links where it has none.
function loadingTable(loadings) {
  const members = new Set(membersOf(state.clickedId).map((i) => nodes[i].id));
  const mine = loadings.filter((edge) => members.has(edge.source) || members.has(edge.target));
  const chosen = mine.length ? mine : loadings;
  const size = (edge) => Math.abs(edge.weight ?? edge.heads.reduce((sum, one) => sum + one.value, 0));
  const strongest = chosen.toSorted((one, other) => size(other) - size(one)).slice(0, LOADINGS);
  const rows = strongest.flatMap((edge) =>
    edge.heads.map((one, i) => [
      i ? "" : nodeLink(edge.source),
      i ? "" : nodeLink(edge.target),
      headName(one),
      one.value,
    ]),
  );
  const of = mine.length ? "each link of the focus" : "each link";
  const left = chosen.length > LOADINGS ? ` (the strongest ${LOADINGS} of ${count(chosen.length, "link")})` : "";
  return table(["from", "to", "head", "carries"], rows, `What heads carry of ${of}${left}.`);
}

function attentionSection() {
  const { scores = [], loadings = [] } = content.qk;
  const parts = [...scoreTables(scores), loadings.length ? loadingTable(loadings) : null];
  refill(byId("attention"), element("h2", {}, "Attention"), ...parts);
  byId("attention").hidden = false;
}

if (content.validation) validationSection(content.validation);
if (content.qk) onChange(["clickedId", "supernodes", "clerps"], attentionSection);
