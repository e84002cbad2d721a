import { expect, it } from "vitest";
import { FIRST_STATE, type KeptAnswer } from "./chat_state";
import { describeTrace } from "./trace_request.ts";

const kept = (text: string, reasoning: string | null = null): KeptAnswer => ({ text, reasoning, finish: "stop" });
const ask = (user: string, steered: string, reasoning: string | null = null) => ({
  user,
  seed: 0,
  dials: { evil: 2, kind: 0 },
  answers: { default: kept("as it is", reasoning), steered: kept(steered, reasoning) },
});
const read = (text: string, reasoning: string | null = null) => ({
  ...kept(text, reasoning),
  tokens: [...text.split(/(?= )/)].map((piece) => ({ text: piece, probability: null })),
  readings: {},
  reply: null,
});
const state = { ...FIRST_STATE, system: "Be brief.", turns: [ask("One?", "the first"), ask("Two?", "a b c")] };

it("asks for a steered answer's token with its own earlier turns and its own steering", () => {
  expect(describeTrace({ state, place: { turn: 1, arm: "steered", index: 2 }, answer: read("a b c") })).toEqual({
    prompt: "Two?",
    chat: true,
    system: "Be brief.",
    turns: [
      { role: "user", content: "One?" },
      { role: "assistant", content: "the first" },
    ],
    answer: "a b",
    steer: [{ vector: "evil", coefficient: 2, operation: "add" }],
    target: " c",
  });
});

it("steers nothing of the model as it is, and knows no reasoning", () => {
  const place = { turn: 0, arm: "default", index: 0 } as const;
  expect(describeTrace({ state, place, answer: read("as it is") })).toMatchObject({ steer: [], turns: [], answer: "" });
  expect(describeTrace({ state, place, answer: read("as it is", "hm") })).toBeNull();
  const thought = { ...state, turns: [ask("One?", "x", "hm"), ask("Two?", "y")] };
  expect(describeTrace({ state: thought, place: { ...place, turn: 1 }, answer: read("as it is") })).toBeNull();
});
