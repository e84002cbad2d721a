/** The conversation: what is kept of it in the address, what is known of its answers, and what is being written. */

import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { type Capabilities, describeError, isAbort } from "../api/client";
import { readState, useHashState, writeState } from "../state/hash_state";
import { type ReadAnswer, answerOfReading, listMonitored, readKept, streamAnswer } from "./answers";
import { type Arm, CHAT_FORM, type ChatState, type KeptAnswer, type Turn, isSteered } from "./chat_state";

export interface Conversation {
  state: ChatState;
  change: (changes: Partial<ChatState>) => void;
  /** What is known of an answer; null where nothing is yet. */
  find: (turn: number, arm: Arm) => ReadAnswer | null;
  failure: (turn: number, arm: Arm) => string | null;
  /** The turn that is being answered. */
  writing: number | null;
  send: (text: string) => void;
  /** Answer a turn, and forget those behind it. */
  answer: (turn: number) => void;
  /** Ask all questions again from the first on, under the dials and the seed as they are now. */
  replay: () => void;
  /** Go back to before a turn; the browser's way back leads here again. */
  branch: (turn: number) => string;
  stop: () => void;
}

/** One object for all, so that answers that are not read yet are not drawn anew. */
const UNREAD: ReadAnswer["readings"] = {};

const keyOf = (turn: number, arm: Arm) => `${turn}/${arm}`;

function withAnswer(state: ChatState, turn: number, arm: Arm, kept: KeptAnswer): ChatState {
  const turns = state.turns.map((one, index) =>
    index === turn ? { ...one, answers: { ...one.answers, [arm]: kept } } : one,
  );
  return { ...state, turns };
}

/** How much is known, so that views are drawn anew when it changes; many pieces of a frame are drawn at once. */
function useFrames(): () => void {
  const [, setFrame] = useState(0);
  const waiting = useRef(false);
  return useCallback(() => {
    if (waiting.current) return;
    waiting.current = true;
    requestAnimationFrame(() => {
      waiting.current = false;
      setFrame((frame) => frame + 1);
    });
  }, []);
}

export function useConversation(server: Capabilities): Conversation {
  const [state] = useHashState(CHAT_FORM);
  const known = useRef(new Map<string, ReadAnswer>());
  const failures = useRef(new Map<string, string>());
  const work = useRef<AbortController | null>(null);
  const [writing, setWriting] = useState<number | null>(null);
  const redraw = useFrames();

  const set = useCallback((next: ChatState, push = false) => {
    writeState(CHAT_FORM, next, { push });
  }, []);

  const change = useCallback((changes: Partial<ChatState>) => set({ ...readState(CHAT_FORM), ...changes }), [set]);

  const writeArm = useCallback(
    async (turn: number, arm: Arm, signal: AbortSignal) => {
      const key = keyOf(turn, arm);
      let last: ReadAnswer | null = null;
      try {
        for await (const answer of streamAnswer({ server, state: readState(CHAT_FORM), turn, arm, signal })) {
          last = answer;
          known.current.set(key, answer);
          redraw();
        }
      } catch (error) {
        if (!isAbort(error)) failures.current.set(key, describeError(error));
      }
      if (last) {
        const { text, reasoning, finish } = last;
        set(withAnswer(readState(CHAT_FORM), turn, arm, { text, reasoning, finish }));
      }
    },
    [server, set, redraw],
  );

  const run = useCallback(
    async (turns: readonly number[]) => {
      work.current?.abort();
      const controller = new AbortController();
      work.current = controller;
      for (const turn of turns) {
        const asked = readState(CHAT_FORM).turns[turn];
        if (!asked || controller.signal.aborted) break;
        setWriting(turn);
        const arms: Arm[] = isSteered(asked.dials) ? ["default", "steered"] : ["default"];
        for (const arm of arms) {
          known.current.delete(keyOf(turn, arm));
          failures.current.delete(keyOf(turn, arm));
        }
        await Promise.all(arms.map((arm) => writeArm(turn, arm, controller.signal)));
      }
      if (work.current === controller) {
        work.current = null;
        setWriting(null);
      }
    },
    [writeArm],
  );

  const ask = useCallback(
    (turns: readonly Turn[], from: number) => {
      set({ ...readState(CHAT_FORM), turns, token: null }, true);
      void run(turns.map((_, index) => index).slice(from));
    },
    [run, set],
  );

  const makeTurn = (user: string, index: number): Turn => {
    const { dials, seed } = readState(CHAT_FORM);
    return { user, seed: seed + index, dials, answers: {} };
  };

  const send = useCallback(
    (text: string) => {
      const { turns } = readState(CHAT_FORM);
      ask([...turns, makeTurn(text, turns.length)], turns.length);
    },
    [ask],
  );
  const answer = useCallback(
    (turn: number) => {
      const kept = readState(CHAT_FORM).turns.slice(0, turn + 1);
      ask(
        kept.map((one, index) => (index === turn ? makeTurn(one.user, turn) : one)),
        turn,
      );
    },
    [ask],
  );
  const replay = useCallback(
    () =>
      ask(
        readState(CHAT_FORM).turns.map(({ user }, index) => makeTurn(user, index)),
        0,
      ),
    [ask],
  );
  const stop = useCallback(() => work.current?.abort(), []);
  const branch = useCallback(
    (turn: number) => {
      stop();
      const user = readState(CHAT_FORM).turns[turn]?.user ?? "";
      set({ ...readState(CHAT_FORM), turns: readState(CHAT_FORM).turns.slice(0, turn), token: null }, true);
      return user;
    },
    [set, stop],
  );
  useEffect(() => () => work.current?.abort(), []);

  // Answers that came with the address are read again, one after the other, the first ones first.
  const wanted = useMemo(() => listMonitored(server, state.colour), [server, state.colour]);
  useEffect(() => {
    if (writing !== null) return undefined;
    const controller = new AbortController();
    const readAll = async () => {
      const current = readState(CHAT_FORM);
      for (const [turn, { answers }] of current.turns.entries()) {
        for (const arm of ["default", "steered"] as const) {
          const kept = answers[arm];
          if (!kept?.text || failures.current.has(keyOf(turn, arm)) || isKnown(known.current, turn, arm, kept, wanted)) {
            continue;
          }
          try {
            const read = await readKept({ server, state: current, turn, arm, signal: controller.signal });
            known.current.set(keyOf(turn, arm), answerOfReading(kept, read));
          } catch (error) {
            if (isAbort(error)) return;
            failures.current.set(keyOf(turn, arm), describeError(error));
          }
          redraw();
        }
      }
    };
    void readAll();
    return () => controller.abort();
  }, [server, state.turns, wanted, writing, redraw]);

  const find = useCallback((turn: number, arm: Arm): ReadAnswer | null => {
    const live = known.current.get(keyOf(turn, arm));
    const kept = readState(CHAT_FORM).turns[turn]?.answers[arm];
    if (live && (!kept || kept.text === live.text)) return live;
    return kept ? { ...kept, reply: null, tokens: [{ text: kept.text, probability: null }], readings: UNREAD } : null;
  }, []);
  const failure = useCallback(
    (turn: number, arm: Arm) => failures.current.get(keyOf(turn, arm)) ?? null,
    [],
  );
  return { state, change, find, failure, writing, send, answer, replay, branch, stop };
}

function isKnown(
  known: ReadonlyMap<string, ReadAnswer>,
  turn: number,
  arm: Arm,
  kept: KeptAnswer,
  wanted: readonly string[],
): boolean {
  const live = known.get(keyOf(turn, arm));
  return live !== undefined && live.text === kept.text && wanted.every((name) => name in live.readings);
}
