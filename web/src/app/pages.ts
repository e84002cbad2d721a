/** The pages, in the order of the navigation. `PAGES` in `server/workbench/pages.py` has the same names. */

import { type ComponentType, type LazyExoticComponent, lazy } from "react";
import type { Capabilities } from "../api/client";
import { BASE } from "./base";
import { ChatPage } from "../chat/ChatPage";

export interface PageProps {
  server: Capabilities;
  /** Ask again what the server has. */
  refreshServer: () => void;
}

export interface PageEntry {
  name: string;
  title: string;
  Page: ComponentType<PageProps> | LazyExoticComponent<ComponentType<PageProps>>;
}

const lazyPage = (load: () => Promise<ComponentType<PageProps>>) => lazy(async () => ({ default: await load() }));

export const PAGES: readonly PageEntry[] = [
  { name: "chat", title: "Chat", Page: ChatPage },
  {
    name: "traits",
    title: "Traits",
    Page: lazyPage(async () => (await import("../traits/TraitsPage")).TraitsPage),
  },
  { name: "data", title: "Data", Page: lazyPage(async () => (await import("../data/DataPage")).DataPage) },
  {
    name: "training",
    title: "Training",
    Page: lazyPage(async () => (await import("../training/TrainingPage")).TrainingPage),
  },
  {
    name: "features",
    title: "Features",
    Page: lazyPage(async () => (await import("../features/FeaturesPage")).FeaturesPage),
  },
  {
    name: "circuits",
    title: "Circuits",
    Page: lazyPage(async () => (await import("../circuits/CircuitsPage")).CircuitsPage),
  },
  { name: "gate", title: "Gate", Page: lazyPage(async () => (await import("../gate/GatePage")).GatePage) },
  { name: "audit", title: "Audit", Page: lazyPage(async () => (await import("../audit/AuditPage")).AuditPage) },
  { name: "runs", title: "Runs", Page: lazyPage(async () => (await import("../runs/RunsPage")).RunsPage) },
];

/** The page of an address; the first one where it names none. */
export function findPage(path: string): PageEntry {
  const name = path.startsWith(BASE) ? path.slice(BASE.length).replace(/\/$/, "") : "";
  const [first] = PAGES;
  if (!first) throw new Error("there are no pages");
  return PAGES.find((page) => page.name === name) ?? first;
}
