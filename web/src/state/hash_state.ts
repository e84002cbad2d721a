/**
 * The state of a page in its address, behind `#`, which browsers keep to themselves. Every page says how its state
 * is written and read; what an address says that cannot be read is left out, for it may come from anywhere.
 */

import { useCallback, useSyncExternalStore } from "react";

export type Params = Readonly<Record<string, string>>;

export interface StateForm<S> {
  read: (params: Params) => S;
  write: (state: S) => Params;
}

export function parseHash(hash: string): Params {
  return Object.fromEntries(new URLSearchParams(hash.replace(/^#/, "")));
}

export function formatHash(params: Params): string {
  const text = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== "")).toString();
  return text ? `#${text}` : "";
}

const listeners = new Set<() => void>();

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("popstate", listener);
  window.addEventListener("hashchange", listener);
  window.addEventListener("pagehide", flushState);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("popstate", listener);
    window.removeEventListener("hashchange", listener);
    window.removeEventListener("pagehide", flushState);
  };
}

/** Between two times that the address is written: browsers refuse to be given a new one at every step of a slider. */
const WRITE_MS = 150;

/** The state of the page that is shown, and the address that it was read from or written to. */
let shown: { form: object; state: unknown; hash: string } | null = null;
let waiting: ReturnType<typeof setTimeout> | null = null;

/** The state of the page as it is now; the same object as long as nothing changed. */
export function readState<S>(form: StateForm<S>): S {
  const { hash } = window.location;
  if (shown?.form !== form || shown.hash !== hash) {
    shown = { form, state: form.read(parseHash(hash)), hash };
  }
  return shown.state as S;
}

export interface StateChange {
  /** Whether the browser's way back leads to the state before. */
  push?: boolean;
}

/** Change the state of the page that is shown; the address follows. */
export function writeState<S>(form: StateForm<S>, state: S, { push = false }: StateChange = {}): void {
  if (push) {
    flushState(); // what the way back is to lead to
    shown = { form, state, hash: window.location.hash };
    window.history.pushState(null, "", addressOf(form, state));
    shown.hash = window.location.hash;
  } else {
    shown = { form, state, hash: window.location.hash };
    waiting ??= setTimeout(flushState, WRITE_MS);
  }
  for (const listener of listeners) listener();
}

/** Write the address now. */
export function flushState(): void {
  if (waiting !== null) clearTimeout(waiting);
  waiting = null;
  if (!shown) return;
  const form = shown.form as StateForm<unknown>;
  // Another address was gone to meanwhile, and its own state will be read.
  if (shown.hash !== window.location.hash) return;
  window.history.replaceState(null, "", addressOf(form, shown.state));
  shown.hash = window.location.hash;
}

function addressOf<S>(form: StateForm<S>, state: S): string {
  return `${window.location.pathname}${formatHash({ ...form.write(state), ...keptParams() })}`;
}

/** Where a reader is in the tour: it stands in the address of every page, beside the page's own state. */
const TOUR = "tour";

function keptParams(): Params {
  const tour = parseHash(window.location.hash)[TOUR];
  return tour === undefined ? {} : { [TOUR]: tour };
}

/** The step of the tour in the address; null outside of it. */
export function readTourStep(): number | null {
  const text = parseHash(window.location.hash)[TOUR];
  return text !== undefined && /^\d$/.test(text) ? Number(text) : null;
}

export function useTourStep(): number | null {
  return useSyncExternalStore(subscribe, readTourStep);
}

export interface Going {
  /** The page's address; the one that is shown by default. */
  path?: string;
  /** The state of the page; as it is by default. */
  params?: Params;
  /** The step of the tour there; as it is by default, null to leave the tour. */
  tour?: number | null;
}

/** Go to a page and its state; the browser's way back leads here again. */
export function goTo({ path, params, tour = readTourStep() }: Going): void {
  flushState();
  const state = params ?? (path === undefined ? parseHash(window.location.hash) : {});
  const hash = formatHash({ ...state, [TOUR]: tour === null ? "" : String(tour) });
  window.history.pushState(null, "", `${path ?? window.location.pathname}${hash}`);
  window.dispatchEvent(new PopStateEvent("popstate"));
}

export type SetState<S> = (change: (state: S) => S, options?: StateChange) => void;

/** The page's state, and how it is changed. */
export function useHashState<S>(form: StateForm<S>): [S, SetState<S>] {
  const state = useSyncExternalStore(subscribe, () => readState(form));
  const set = useCallback<SetState<S>>(
    (change, options) => writeState(form, change(readState(form)), options),
    [form],
  );
  return [state, set];
}
