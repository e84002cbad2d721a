// Making elements and writing numbers. Text only ever goes into text nodes, so no token can become markup.

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) made.style.setProperty(key, one);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function drawn(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function byId(id) {
  return document.getElementById(id);
}

// Three significant digits, with a real minus sign.
function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 0.001 || size >= 1e6) ? value.toExponential(1) : String(Number(value.toPrecision(3)));
  return text.replaceAll("-", "\u2212");
}

function signed(value) {
  return (value > 0 ? "+" : "") + number(value);
}

function percent(share) {
  const text = share >= 0.0995 ? (100 * share).toFixed(0) : (100 * share).toFixed(1);
  return `${text} %`;
}

function count(amount, one, many = `${one}s`) {
  return `${amount.toLocaleString("en")} ${amount === 1 ? one : many}`;
}

// A token where it stands alone: its spaces and line ends as signs.
function shown(token) {
  return token.replaceAll("\n", "⏎").replaceAll("\t", "⇥").replaceAll("\r", "↵").trim() || "␣";
}

function shortened(text, length) {
  const signs = [...text];
  return signs.length <= length
    ? text
    : `${signs
        .slice(0, length - 1)
        .join("")
        .trimEnd()}…`;
}

// Put other children into a place, and give the keyboard's focus back to what had it (by its data-key).
function refill(place, ...children) {
  const active = place.contains(document.activeElement) ? document.activeElement : null;
  place.replaceChildren(...children.filter(Boolean));
  if (!active) return;
  const key = active.dataset.key;
  const again = key && [...place.querySelectorAll("[data-key]")].find((one) => one.dataset.key === key);
  (again || place).focus();
}
