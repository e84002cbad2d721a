/** The tour: where the reader is in it, what the server has made of its examples, and whether it was seen. */

import { useCallback, useEffect, useState } from "react";
import { type Schemas, askJson, describeError, isAbort } from "../api/client";
import { goTo, useTourStep } from "../state/hash_state";

export type TourReply = Schemas["TourReply"];

export interface TourState {
  /** The step in the address; null outside of the tour. */
  step: number | null;
  isOffered: boolean;
  /** Whether the tour should be spoken of unasked: this browser has not seen it, and came for nothing else. */
  isNew: boolean;
  reply: TourReply | null;
  error: string | null;
  begin: () => void;
  leave: () => void;
  /** Make what is missing once more after a failure. */
  again: () => void;
}

const SEEN = "mindscope.tour";
const EVERY_MS = 1500;

function wasSeen(): boolean {
  try {
    return localStorage.getItem(SEEN) !== null;
  } catch {
    return true; // a browser that keeps nothing would be asked each time
  }
}

function keepSeen(): void {
  try {
    localStorage.setItem(SEEN, "1");
  } catch {
    // It will be offered once more.
  }
}

/** Whether all examples are there, with what became of the graph's. */
export function isComplete({ steered, screened, traced }: TourReply): boolean {
  return steered !== null && screened !== null && traced !== null && traced.r !== null;
}

/** Whether there is anything to wait for. */
function isWaiting(reply: TourReply | null): boolean {
  if (reply === null) return true;
  const { job } = reply;
  return reply.can_make && !isComplete(reply) && job?.state !== "failed" && job?.state !== "stopped";
}

export function useTour(isOpen: boolean): TourState {
  const step = useTourStep();
  const [reply, setReply] = useState<TourReply | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [isNew, setNew] = useState(() => !wasSeen() && window.location.hash === "");
  const [round, setRound] = useState(0);
  const isTaken = step !== null;
  useEffect(() => {
    if (!isOpen) return undefined;
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const { signal } = controller;
    const askOnce = async (again: boolean) => {
      let told: TourReply | null = null;
      try {
        told = await askJson<TourReply>("/v1/workbench/tour", { signal });
        if (isTaken && told.offered && told.can_make && !isComplete(told)) {
          told = await askJson<TourReply>("/v1/workbench/tour", { body: { again }, signal });
        }
        setReply(told);
        setError(null);
      } catch (failed) {
        if (isAbort(failed)) return;
        setError(describeError(failed));
      }
      if (isTaken && isWaiting(told) && !signal.aborted) timer = setTimeout(() => void askOnce(false), EVERY_MS);
    };
    void askOnce(round > 0);
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [isOpen, isTaken, round]);
  const begin = useCallback(() => {
    keepSeen();
    setNew(false);
    goTo({ tour: 0 });
  }, []);
  const leave = useCallback(() => {
    keepSeen();
    setNew(false);
    if (isTaken) goTo({ tour: null });
  }, [isTaken]);
  const again = useCallback(() => setRound((before) => before + 1), []);
  return { step, isOffered: reply?.offered ?? false, isNew, reply, error, begin, leave, again };
}
