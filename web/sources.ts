/**
 * What the built pages are made of. The build keeps a digest of it beside them, so that stale ones are noticed
 * where there is no Node: the SHA-256 of lines "path digest" of all sources, sorted by path.
 * `tests/server/unit/test_workbench_build.py` has the same rule.
 */

import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { resolve } from "node:path";

export const ROOT = resolve(import.meta.dirname, "..");

/** Folders of which every file is a source, and single files. */
const FOLDERS = ["src/mindscope/circuits/page/web", "web/src"];
const FILES = [
  "src/mindscope/circuits/page/page.css",
  "src/mindscope/circuits/page/page.html",
  "src/mindscope/reports/palette.css",
  "web/graph.html",
  "web/index.html",
  "web/package-lock.json",
  "web/package.json",
  "web/sources.ts",
  "web/tsconfig.json",
  "web/vite.config.ts",
];

export function listSources(): string[] {
  const inside = FOLDERS.flatMap((folder) =>
    readdirSync(resolve(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((file) => file.isFile())
      .map((file) => `${file.parentPath.replaceAll("\\", "/").slice(ROOT.length + 1)}/${file.name}`)
      .filter((path) => !/\.test\.tsx?$|\/(node_modules|tests)\//.test(path)),
  );
  return [...FILES, ...inside].sort((one, other) => (one < other ? -1 : 1));
}

export function digestSources(): string {
  const digest = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
  const lines = listSources().map((path) => `${path} ${digest(readFileSync(resolve(ROOT, path)))}\n`);
  return digest(lines.join(""));
}
