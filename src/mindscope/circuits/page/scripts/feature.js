// What is known of the feature in focus: what it makes the model say, how strong it gets, and where.

const AROUND = 24; // tokens on either side of the strongest one that are shown at first

function writeFeature() {
  const panel = byId("feature");
  const members = membersOf(state.clickedId);
  const hints = {
    error: "What the features of this layer leave out of the MLP's output at this token.",
    token: "The embedding of a token of the prompt.",
    target: "What the graph explains.",
  };
  if (!members.length) return refill(panel, element("p", { class: "quiet" }, "Features show their contexts here."));
  if (members.length > 1) return refill(panel, memberList(members));
  const node = nodes[members[0]];
  if (hints[node.kind]) return refill(panel, element("p", { class: "quiet" }, hints[node.kind]));
  const details = content.details[`${node.layer}_${node.latent}`];
  if (!details) {
    return refill(panel, element("p", { class: "quiet" }, `The page was made without contexts of ${feature(node)}.`));
  }
  refill(panel, ...[logitLists(details), histogramOf(details, node), ...quantiles(details)].filter(Boolean));
}

function memberList(members) {
  const buttons = members.map((i) => {
    const node = nodes[i];
    const name = element("span", { class: "name" }, labelOf(node));
    const where = element("span", { class: "where" }, whereOf(node));
    return element(
      "li",
      {},
      element("button", { type: "button", class: "entry", onclick: (event) => choose(node.id, event) }, name, where),
    );
  });
  return element("section", { "aria-label": "Members" }, element("h3", {}, "Members"), element("ol", {}, ...buttons));
}

function logitLists(details) {
  const list = (name, sign, words = []) =>
    words.length
      ? element(
          "p",
          { class: "logits" },
          element("span", { class: "quiet" }, name),
          ...words.map((word) => element("span", { class: `chip ${sign}` }, shown(String(word)))),
        )
      : null;
  const lists = [list("says", "up", details.top_logits), list("not", "down", details.bottom_logits)];
  return lists.some(Boolean) ? element("div", {}, ...lists) : null;
}

// Counts are on a logarithmic scale: most tokens are at the weak end.
function histogramOf(details, node) {
  const counts = details.histogram || [];
  if (!counts.some((one) => one > 0)) return null;
  const [width, height] = [320, 56];
  const most = Math.log1p(Math.max(...counts));
  const bar = width / counts.length;
  const bars = counts.map((one, i) => {
    const tall = (height * Math.log1p(one)) / most;
    const place = {
      x: (i * bar).toFixed(2),
      y: (height - tall).toFixed(2),
      width: Math.max(bar - 1, 0.5).toFixed(2),
      height: tall.toFixed(2),
    };
    return drawn("rect", place, drawn("title", {}, count(one, "token")));
  });
  const highest = details.act_max;
  const here = node.activation !== null && highest > 0 ? Math.min(1, node.activation / highest) * width : null;
  const mark = here === null ? null : drawn("path", { class: "here", d: `M${here.toFixed(1)} 0V${height}` });
  const often = details.activation_frequency;
  const said = [
    Number.isFinite(often) ? `active on ${percent(often)} of tokens` : null,
    Number.isFinite(highest) ? `at most ${number(highest)}` : null,
    here === null ? null : `here ${number(node.activation)} (line)`,
  ];
  return element(
    "figure",
    {},
    drawn(
      "svg",
      {
        viewBox: `0 0 ${width} ${height}`,
        class: "histogram",
        role: "img",
        "aria-label": "Histogram of activations, counts on a logarithmic scale",
        preserveAspectRatio: "none",
      },
      ...bars,
      mark,
    ),
    element("figcaption", {}, said.filter(Boolean).join(", ")),
  );
}

function quantiles(details) {
  const limit = details.act_max > 0 ? details.act_max : largest(details);
  return (details.examples_quantiles || [])
    .filter((group) => group.examples?.length)
    .map((group, i) =>
      element(
        "details",
        { open: i === 0 },
        element(
          "summary",
          {},
          `${group.quantile_name} `,
          element("span", { class: "quiet" }, `${group.examples.length}`),
        ),
        ...group.examples.map((one) => context(one, limit)),
      ),
    );
}

function largest(details) {
  const all = (details.examples_quantiles || []).flatMap((group) => group.examples || []);
  return all.reduce((most, one) => Math.max(most, ...one.tokens_acts_list.map(Math.abs)), 1e-30);
}

function context(example, limit) {
  const peak = example.train_token_ind;
  const from = Math.max(0, peak - AROUND);
  const to = Math.min(example.tokens.length, peak + AROUND + 1);
  const line = element("p", { class: "context" });
  const write = (start, end) =>
    line.replaceChildren(
      ...example.tokens.slice(start, end).map((token, i) => {
        const value = example.tokens_acts_list[start + i] ?? 0;
        const at = `${Math.min(100, (100 * Math.abs(value)) / limit).toFixed(0)}%`;
        const sign = value > 0 ? "heat up" : value < 0 ? "heat down" : null;
        const text = token.replaceAll("\n", "⏎");
        const strongest = start + i === peak;
        return element(
          "span",
          {
            class: [sign, strongest ? "peak" : ""].join(" ").trim() || null,
            style: sign ? { "--at": at } : {},
            title: value ? number(value) : null,
          },
          text,
        );
      }),
    );
  write(from, to);
  if (to - from === example.tokens.length) return line;
  const all = element("button", { type: "button", class: "small", "aria-label": "Show the whole context" }, "whole");
  all.addEventListener("click", () => {
    write(0, example.tokens.length);
    all.remove();
  });
  return element("div", {}, line, all);
}

onChange(["clickedId", "supernodes"], writeFeature);
