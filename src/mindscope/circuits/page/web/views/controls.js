/** The controls at the head of the page: the slider of the influence, the kind of links, help, saving. */

import { formatCount } from "../model/text.js";
import { composeDocument, composeFileName } from "../store/saved_graph.js";
import { getById, makeElement } from "./dom.js";
import { composePicture } from "./graph/picture.js";

const SLIDER_STEPS = 1000; // to a share of 1

export function mountSlider(store) {
  const slider = getById("pruning");
  const { highestInfluence } = store.graph;
  // The slider's end is a whole step, which may be a little more than the highest influence.
  slider.max = Math.ceil(highestInfluence * SLIDER_STEPS) / SLIDER_STEPS;
  slider.disabled = highestInfluence === 0;
  slider.addEventListener("input", () => {
    const value = Number(slider.value);
    store.update({ pruningThreshold: value >= Number(slider.max) ? highestInfluence : value });
  });
  store.subscribe(["pruningThreshold"], () => {
    const { pruningThreshold } = store.state;
    slider.value = pruningThreshold === highestInfluence ? slider.max : pruningThreshold;
    getById("pruning-value").textContent = pruningThreshold.toFixed(2);
  });
}

/** Move the slider by some steps, and let everything follow. */
export function moveSlider(nSteps) {
  const slider = getById("pruning");
  if (nSteps < 0) slider.stepDown(-nSteps);
  else slider.stepUp(nSteps);
  slider.dispatchEvent(new Event("input"));
}

export function mountLinkTypes(store) {
  for (const choice of document.querySelectorAll("[name=link-type]")) {
    choice.addEventListener("change", () => store.update({ linkType: choice.value }));
  }
  store.subscribe(["linkType"], () => {
    document.querySelector(`[name=link-type][value=${store.state.linkType}]`).checked = true;
  });
}

export function showHelp() {
  getById("help").showModal();
}

export function mountHelp() {
  getById("open-help").addEventListener("click", showHelp);
}

/** Say what is going on while G is held. */
export function mountGroupingNotice(store) {
  const notice = getById("grouping");
  store.subscribe(["grouping"], () => {
    const { grouping } = store.state;
    notice.hidden = !grouping;
    const amount = formatCount(grouping?.length ?? 0, "node");
    notice.textContent = `Grouping: click nodes, then let go of G (${amount})`;
  });
}

/** What can be taken away: the public graph file with the reader's work in it, and a picture. */
export function mountSaving(store, content, graphView, subgraphPanel) {
  const name = composeFileName(content);
  getById("save-json").addEventListener("click", () => {
    const saved = composeDocument(content, store.graph, store.state, subgraphPanel.measure());
    download(`${name}.json`, "application/json", JSON.stringify(saved));
  });
  getById("save-svg").addEventListener("click", () => {
    download(`${name}.svg`, "image/svg+xml", composePicture(store, graphView));
  });
}

function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  makeElement("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
