/** The page of a file: reads the graph that it holds, and mounts the views on it. */

import { mountGraphPage } from "./mount.js";
import { getById } from "./views/dom.js";

mountGraphPage(JSON.parse(getById("content").textContent));
