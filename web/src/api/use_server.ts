/** What the server says, asked once or again and again while a page is looked at. */

import { useCallback, useEffect, useState } from "react";
import { askJson, describeError, isAbort } from "./client";

export interface Asked<T> {
  /** What was told last; null before anything was. */
  value: T | null;
  error: string | null;
  /** Ask again now. */
  again: () => void;
}

/**
 * Ask a route, and again every so many milliseconds; null asks nothing. While the page is not looked at it waits.
 */
export function useServer<T>(path: string | null, everyMs = 0): Asked<T> {
  const [told, setTold] = useState<{ path: string | null; value: T | null; error: string | null }>({
    path: null,
    value: null,
    error: null,
  });
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (path === null) return undefined;
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const askOnce = async () => {
      try {
        const value = document.hidden && everyMs ? undefined : await askJson<T>(path, { signal: controller.signal });
        if (value !== undefined) setTold({ path, value, error: null });
      } catch (error) {
        if (isAbort(error)) return;
        setTold((before) => ({
          path,
          value: before.path === path ? before.value : null,
          error: describeError(error),
        }));
      }
      if (everyMs && !controller.signal.aborted) timer = setTimeout(() => void askOnce(), everyMs);
    };
    void askOnce();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [path, everyMs, round]);
  const again = useCallback(() => setRound((before) => before + 1), []);
  const isOwn = told.path === path;
  return { value: isOwn ? told.value : null, error: isOwn ? told.error : null, again };
}

export interface Action {
  run: (work: () => Promise<unknown>) => void;
  busy: boolean;
  error: string | null;
}

/** Something that is done once at a press of a button. */
export function useAction(): Action {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const run = useCallback((work: () => Promise<unknown>) => {
    setBusy(true);
    setError(null);
    work()
      .catch((failed: unknown) => setError(describeError(failed)))
      .finally(() => setBusy(false));
  }, []);
  return { run, busy, error };
}
