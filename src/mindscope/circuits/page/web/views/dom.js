/** Making and filling elements. Text only ever goes into text nodes, so no token can become markup. */

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element; attributes that start with `on` are listeners, `style` is an object of properties. */
export function makeElement(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function makeShape(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

/** The same for a button that does not submit a form. */
export function makeButton(attributes, ...children) {
  return makeElement("button", { type: "button", ...attributes }, ...children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") setStyle(element, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Style goes through the object model, which the page's policy allows; attributes it would not. */
export function setStyle(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value);
}

export function getById(id) {
  return document.getElementById(id);
}

/** The size of what is inside an element's borders. */
export function measureInside({ clientWidth, clientHeight }) {
  return { width: clientWidth, height: clientHeight };
}

/** Put other children into a place, and give the keyboard's focus back to what had it (by its data-key). */
export function refill(place, ...children) {
  const active = place.contains(document.activeElement) ? document.activeElement : null;
  place.replaceChildren(...children.filter(Boolean));
  if (!active) return;
  const { key } = active.dataset;
  const successor =
    key && [...place.querySelectorAll("[data-key]")].find((child) => child.dataset.key === key);
  (successor || place).focus();
}
