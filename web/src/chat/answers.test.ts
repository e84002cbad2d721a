import { describe, expect, it } from "vitest";
import type { Capabilities } from "../api/client.ts";
import { GrowingAnswer, isLatent, listMonitored } from "./answers.ts";

const SERVER = {
  vectors: [{ name: "evil" }, { name: "kind" }],
  dictionaries: { sae: 100 },
  watched: ["evil"],
  rate: null,
} as unknown as Capabilities;

const piece = (text: string, tokens: string[], readings?: number[]) => ({
  delta: { content: text },
  finish_reason: null,
  logprobs: { content: tokens.map((token) => ({ token, logprob: 0, top_logprobs: [] })) },
  ...(readings ? { mindscope: { readings: { evil: readings } } } : {}),
});

describe("an answer that grows", () => {
  it("puts texts, tokens and readings of its pieces together", () => {
    const growing = new GrowingAnswer();
    growing.take(piece("so", ["so"]));
    growing.take(piece(" it", ["it"], [1]));
    const end = { readings: { evil: { tokens: [1, 2], threshold: 5 } } };
    const answer = growing.take({ delta: {}, finish_reason: "stop", mindscope: end });
    expect(answer.text).toBe("so it");
    expect(answer.tokens.map(({ text }) => text)).toEqual(["so", " it"]);
    expect(answer.readings).toEqual({ evil: [1, 2] });
    expect(answer.reply?.readings?.["evil"]?.threshold).toBe(5);
  });
  it("keeps the tokens of the final answer apart from its reasoning", () => {
    const growing = new GrowingAnswer();
    growing.take(piece("", ["think", "hard"]));
    growing.take(piece("yes", ["yes"]));
    const answer = growing.take({
      delta: { reasoning_content: "think hard" },
      finish_reason: "stop",
      mindscope: { readings: { evil: { tokens: [4] } } },
    });
    expect(answer.tokens).toEqual([{ text: "yes", probability: 1 }]);
    expect(answer.reasoning).toBe("think hard");
  });
});

describe("what is read", () => {
  it("are the vectors and the latent of the colours", () => {
    expect(listMonitored(SERVER, "sae/7")).toEqual(["evil", "kind", "sae/7"]);
    expect(listMonitored(SERVER, "sae/100")).toEqual(["evil", "kind"]);
  });
  it("is what has thresholds, where the server has any", () => {
    expect(listMonitored({ ...SERVER, rate: {} } as unknown as Capabilities, "sae/7")).toEqual(["evil"]);
  });
  it.each([["sae/0", true], ["sae/99", true], ["sae/100", false], ["sae/x", false], ["evil", false]])(
    "knows a latent: %s",
    (name, expected) => {
      expect(isLatent(SERVER, name)).toBe(expected);
    },
  );
});
