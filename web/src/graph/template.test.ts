import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { findBody } from "./template.ts";

const TEMPLATE = readFileSync(
  new URL("../../../src/mindscope/circuits/page/page.html", import.meta.url),
  "utf8",
);

it("takes the elements that the modules ask for, and nothing of the template's own", () => {
  const body = findBody(TEMPLATE);
  expect(body).not.toMatch(/\{\{|\{%|<script|<style/);
  for (const id of ["picture", "scroller", "node", "subgraph", "feature", "search", "save-json", "help"]) {
    expect(body).toContain(`id="${id}"`);
  }
});

it("says so where there is no body", () => {
  expect(() => findBody("<p>")).toThrow("build the workbench again");
});
