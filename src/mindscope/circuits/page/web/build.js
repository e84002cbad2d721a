/**
 * Bundles the modules into the one script that Python puts into a page: `node build.js` writes it beside this
 * folder, `node build.js --print` to the standard output.
 *
 * The bundle's first line has a digest of everything that it is made of, so that a stale one is noticed where
 * there is no Node: the SHA-256 of lines "path digest" of all sources, sorted by path.
 */

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const WEB = new URL("./", import.meta.url);
const BUNDLE = new URL("../page.bundle.js", WEB);

/** Every module, and the versions of the tools; tests are not part of a page. */
function listSources() {
  const isSource = (path) =>
    /\.js$|^package(-lock)?\.json$/.test(path) && !/^(node_modules|tests)\//.test(path);
  const paths = readdirSync(WEB, { recursive: true }).map((path) => path.replaceAll("\\", "/"));
  return paths.filter(isSource).sort();
}

function computeDigest(data) {
  return createHash("sha256").update(data).digest("hex");
}

const lines = listSources().map((path) => `${path} ${computeDigest(readFileSync(new URL(path, WEB)))}\n`);
const {
  outputFiles: [{ text }],
} = await build({
  absWorkingDir: fileURLToPath(WEB),
  entryPoints: ["main.js"],
  bundle: true,
  format: "esm",
  target: "es2023",
  charset: "utf8",
  banner: {
    js: `// Built by "make page" from the modules in web/, sources ${computeDigest(lines.join(""))}`,
  },
  write: false,
});
if (/<\/script|<!--/i.test(text))
  throw new Error("the bundle would end its script element: change the text that does");
if (process.argv.includes("--print")) process.stdout.write(text);
else writeFileSync(BUNDLE, text);
