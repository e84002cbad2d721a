import { describe, expect, it } from "vitest";
import { formatHash, parseHash } from "../state/hash_state.ts";
import { CHAT_FORM, type ChatState, FIRST_STATE, conversationOf, isSteered } from "./chat_state.ts";

const HOSTILE = "</script><img src=x onerror=alert(1)>&#%00";

const STATE: ChatState = {
  ...FIRST_STATE,
  system: `be kind ${HOSTILE}`,
  dials: { evil: -1.5, "sae/12": 2 },
  colour: "evil",
  temperature: 0,
  seed: 7,
  token: { turn: 0, arm: "steered", index: 3 },
  turns: [
    {
      user: HOSTILE,
      seed: 7,
      dials: { evil: -1.5 },
      answers: {
        default: { text: "yes\n", reasoning: null, finish: "stop" },
        steered: { text: "no", reasoning: "why?", finish: null },
      },
    },
    { user: "and?", seed: 8, dials: {}, answers: {} },
  ],
};

const through = (state: ChatState) => CHAT_FORM.read(parseHash(formatHash(CHAT_FORM.write(state))));

describe("the chat's address", () => {
  it("brings everything back", () => {
    expect(through(STATE)).toEqual(STATE);
  });
  it("is empty at first", () => {
    expect(formatHash(CHAT_FORM.write(FIRST_STATE))).toBe("");
    expect(CHAT_FORM.read({})).toEqual(FIRST_STATE);
  });
  it.each([
    ["#turns=[1,null,{}]&dials=7&temperature=hot&seed=1e99&token=0.evil.x"],
    ["#turns={&dials=[&maxTokens=-5"],
    ['#turns=[{"u":"a","k":{"evil":"1","x":1e999},"d":{"t":5}}]'],
  ])("leaves out what cannot be read: %s", (hash) => {
    const state = CHAT_FORM.read(parseHash(hash));
    expect(state.temperature).toBe(FIRST_STATE.temperature);
    expect(state.maxTokens).toBeGreaterThan(0);
    expect(state.token).toBeNull();
    for (const turn of state.turns) expect(turn).toMatchObject({ dials: {}, answers: {} });
  });
});

describe("the conversation of an arm", () => {
  it("has this arm's answers, and the other's where this one has none", () => {
    const state = { ...STATE, turns: [...STATE.turns] };
    expect(conversationOf(state, "steered", 1)).toEqual([
      { role: "system", content: STATE.system },
      { role: "user", content: HOSTILE },
      { role: "assistant", content: "no", reasoning: "why?" },
      { role: "user", content: "and?" },
    ]);
    expect(conversationOf(state, "default", 1)[2]).toEqual({ role: "assistant", content: "yes\n" });
  });
  it("is steered where a dial is turned", () => {
    expect(isSteered({ evil: 0 })).toBe(false);
    expect(isSteered({ evil: 0, kind: -0.1 })).toBe(true);
  });
});
