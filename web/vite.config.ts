import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { ROOT, digestSources } from "./sources.ts";

export default defineConfig({
  root: import.meta.dirname,
  base: "/workbench/",
  plugins: [
    react(),
    {
      name: "keep-digest",
      generateBundle() {
        const source = `${JSON.stringify({ sources: digestSources() })}\n`;
        this.emitFile({ type: "asset", fileName: "build.json", source });
      },
    },
  ],
  build: {
    outDir: `${ROOT}/src/mindscope/server/workbench/static`,
    emptyOutDir: true,
    target: "es2023",
    rolldownOptions: {
      input: { index: `${import.meta.dirname}/index.html`, graph: `${import.meta.dirname}/graph.html` },
    },
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/v1": "http://127.0.0.1:8000", "/health": "http://127.0.0.1:8000" } },
  test: { include: ["src/**/*.test.ts", "src/**/*.test.tsx"], environment: "node" },
});
