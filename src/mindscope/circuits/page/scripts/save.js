// What can be taken away: the public graph file with the reader's work in it, and a picture.

function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

const fileName = () => String(content.metadata.slug || "graph").replace(/[^\w.-]+/g, "_");

function publicGraph() {
  return {
    ...content.beside,
    metadata: content.metadata,
    qParams: { ...content.qParams, ...qParams() },
    nodes: content.nodes.map((node, i) => ({ ...node, clerp: state.clerps.get(nodes[i].labelKey) ?? node.clerp })),
    links: content.links.map(([source, target, weight]) => ({
      source: nodes[source].id,
      target: nodes[target].id,
      weight,
    })),
  };
}

// Mixed colours come as color(srgb ...), which few programs besides browsers read.
function plainColour(text) {
  const parts = /^color\(srgb ([\d.e-]+) ([\d.e-]+) ([\d.e-]+)/.exec(text)?.slice(1);
  return parts ? `rgb(${parts.map((part) => Math.round(255 * part)).join(", ")})` : text;
}

// The picture repeats what is on the screen, in whole and with colours that need no style sheet.
function picture() {
  const { width, height, spots, base, bands, left, columns, foot, upright } = arranged;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const members = membersOf(state.clickedId);
  const lines = members.length
    ? bright(linksAt(members).sort(stronger).slice(0, BACKGROUND).reverse())
    : background.map(faint);
  const made = drawn("svg", {
    xmlns: "http://www.w3.org/2000/svg",
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    "font-family": "sans-serif",
    "font-size": 11,
  });
  made.append(drawn("title", {}, document.title), drawn("rect", { width, height, fill: colour("paper") }));
  for (const { link, width: thick, alpha } of lines) {
    const [from, to] = [spots[link.source], spots[link.target]];
    const [x1, y1, x2, y2] = [from.x, from.y, to.x, to.y].map((one) => Number(one.toFixed(1)));
    const middle = (y1 + y2) / 2;
    made.append(
      drawn("path", {
        d: `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`,
        fill: "none",
        stroke: colour(link.weight < 0 ? "down" : "up"),
        "stroke-width": thick.toFixed(2),
        "stroke-opacity": alpha.toFixed(2),
      }),
    );
  }
  for (const mark of marks) {
    if (mark.style.display === "none") continue;
    const look = getComputedStyle(mark);
    const attributes = {
      d: mark.getAttribute("d"),
      transform: mark.getAttribute("transform"),
      fill: plainColour(look.fill),
      stroke: look.stroke,
      "stroke-width": look.strokeWidth,
      opacity: look.opacity,
    };
    made.append(drawn("path", attributes, drawn("title", {}, mark.getAttribute("aria-label"))));
  }
  const write = (text, attributes) => made.append(drawn("text", { fill: colour("ink"), ...attributes }, text));
  base.forEach(
    (y, row) =>
      row > 0 && write(`L${row - 1}`, { x: 8, y: (y - bands[row] / 2 + 4).toFixed(1), fill: colour("muted") }),
  );
  tokens.forEach((token, at) => {
    const x = (left[at] + columns[at] / 2).toFixed(1);
    const y = height - foot;
    if (upright)
      write(shortened(shown(token), 14), {
        transform: `translate(${x} ${y}) rotate(-90)`,
        "text-anchor": "end",
        dy: 4,
      });
    else
      write(shortened(shown(token), Math.max(2, Math.floor(columns[at] / 7))), {
        x,
        y: y + 12,
        "text-anchor": "middle",
      });
  });
  for (const label of byId("target-names").children) {
    write(label.firstChild.textContent, { transform: label.getAttribute("transform"), "text-anchor": "end" });
  }
  return new XMLSerializer().serializeToString(made);
}

byId("save-json").addEventListener("click", () =>
  download(`${fileName()}.json`, "application/json", JSON.stringify(publicGraph())),
);
byId("save-svg").addEventListener("click", () => download(`${fileName()}.svg`, "image/svg+xml", picture()));
