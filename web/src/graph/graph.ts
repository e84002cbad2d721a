/**
 * The page of one graph: asks the server for it, puts the elements of the offline page here, and lets the offline
 * page's own modules do the rest. They keep the reader's work behind `#`; which graph it is stands before it.
 */

import template from "../../../src/mindscope/circuits/page/page.html?raw";
import { mountGraphPage } from "../../../src/mindscope/circuits/page/web/mount.js";
import { ask, describeError } from "../api/client";
import { fillText, findBody } from "./template";
import "../../../src/mindscope/reports/palette.css";
import "../../../src/mindscope/circuits/page/page.css";
import "../style/graph.css";

const said = document.getElementById("graph-said");
const place = document.getElementById("graph-place");
const field = document.getElementById("open-graph");

function say(text: string): void {
  if (said) said.textContent = text;
}

interface GraphContent {
  metadata: { prompt?: unknown; slug?: unknown };
}

function show(content: GraphContent): void {
  const body = new DOMParser().parseFromString(findBody(template), "text/html").body;
  const { prompt, slug } = content.metadata;
  const title = typeof prompt === "string" && prompt ? prompt : typeof slug === "string" ? slug : "Graph";
  fillText(body, title);
  place?.replaceChildren(...body.childNodes);
  document.title = `${title.slice(0, 80)} · mindscope`;
  mountGraphPage(content);
  say("");
}

async function open(): Promise<void> {
  const run = new URLSearchParams(window.location.search).get("run");
  if (run === null) {
    say("Open a file, or choose a graph on the page of circuits.");
    return;
  }
  const reply = await ask(`/v1/workbench/graph?${new URLSearchParams({ run }).toString()}`);
  show((await reply.json()) as GraphContent);
}

async function openFile(file: File): Promise<void> {
  say("Reading…");
  const reply = await ask("/v1/workbench/graph", { body: new Blob([file]) });
  const content = (await reply.json()) as GraphContent;
  // The state behind `#` is another graph's.
  window.history.replaceState(null, "", window.location.pathname);
  show(content);
  say(`${file.name}, which this server does not keep`);
}

const fail = (error: unknown) => say(describeError(error));

if (field instanceof HTMLInputElement) {
  field.addEventListener("change", () => {
    const [file] = field.files ?? [];
    if (file) openFile(file).catch(fail);
    field.value = "";
  });
}
open().catch(fail);
