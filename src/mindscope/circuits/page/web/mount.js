/**
 * Mounts the views of a graph's page on the elements of `page.html`: of a file that holds its graph (`main.js`), and
 * of the workbench, which asks its server for one.
 */

import { readGraph } from "./model/graph.js";
import { keepAddress } from "./store/address.js";
import { GraphStore } from "./store/graph_store.js";
import {
  mountGroupingNotice,
  mountHelp,
  mountLinkTypes,
  mountSaving,
  mountSlider,
} from "./views/controls.js";
import { getById, measureInside } from "./views/dom.js";
import { GraphView } from "./views/graph/graph_view.js";
import { listenToNodeKeys } from "./views/graph/node_keys.js";
import { mountNodeNote } from "./views/graph/node_note.js";
import { listenToKeys } from "./views/keyboard.js";
import { mountFeaturePanel } from "./views/panels/feature_panel.js";
import { mountNodePanel } from "./views/panels/node_panel.js";
import { SearchPanel } from "./views/panels/search_panel.js";
import { SubgraphPanel } from "./views/panels/subgraph_panel.js";
import { mountAttention } from "./views/sections/attention_section.js";
import { writeValidation } from "./views/sections/validation_section.js";

/** @param {Record<string, any>} content what `build_page_content` makes of a public graph document */
export function mountGraphPage(content) {
  const store = new GraphStore(readGraph(content), (run) => requestAnimationFrame(run));
  keepAddress(store, content.qParams, () => measureInside(getById("subgraph")));

  const graphView = new GraphView(store);
  mountNodePanel(store);
  mountFeaturePanel(store);
  const subgraphPanel = new SubgraphPanel(store);
  const searchPanel = new SearchPanel(store, graphView);
  listenToNodeKeys(store, graphView);
  listenToKeys(store, searchPanel);
  mountSaving(store, content, graphView, subgraphPanel);
  if (content.validation) writeValidation(store, content.validation);
  if (content.qk) mountAttention(store, content.qk);
  mountSlider(store);
  mountLinkTypes(store);
  mountHelp();
  mountGroupingNotice(store);
  mountNodeNote(store, graphView);

  const [firstInFocus] = store.findFocus();
  if (firstInFocus !== undefined) graphView.showNode(firstInFocus);
}
