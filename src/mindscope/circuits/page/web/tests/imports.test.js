import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { posix } from "node:path";
import { test } from "node:test";

const WEB = new URL("../", import.meta.url);
const FLOORS = ["model", "layout", "links", "store", "views"]; // a floor imports from itself and those before
const modules = FLOORS.flatMap((floor) =>
  readdirSync(new URL(`${floor}/`, WEB), { recursive: true })
    .filter((path) => path.endsWith(".js"))
    .map((path) => `${floor}/${path.replaceAll("\\", "/")}`),
);
const readModule = (path) => readFileSync(new URL(path, WEB), "utf8");
const listImports = (path) =>
  [...readModule(path).matchAll(/(?:from|@import .* from) "(\..*?)"/g)].map(([, target]) =>
    posix.join(posix.dirname(path), target),
  );

test("folders import from those before them alone", () => {
  const wrong = modules.flatMap((path) =>
    listImports(path)
      .filter((target) => FLOORS.indexOf(target.split("/")[0]) > FLOORS.indexOf(path.split("/")[0]))
      .map((target) => `${path} imports ${target}`),
  );
  assert.deepEqual(wrong, []);
});

test("model and layout know no browser", () => {
  const browser = /\b(document|window|location|history|requestAnimationFrame|getComputedStyle)\b[.([]/;
  const wrong = modules.filter((path) => /^(model|layout)\//.test(path) && browser.test(readModule(path)));
  assert.deepEqual(wrong, []);
});

test("every module is part of the page", () => {
  const reached = new Set();
  const visit = (path) => {
    if (reached.has(path)) return;
    reached.add(path);
    listImports(path).forEach(visit);
  };
  visit("main.js");
  assert.deepEqual(
    modules.filter((path) => !reached.has(path)),
    [],
  );
});
