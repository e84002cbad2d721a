import { describe, expect, it } from "vitest";
import { alignTokens, findScales, findShading, meanOf, shadeOf } from "./tokens.ts";

describe("tokens and their stretches of a text", () => {
  it("gives the spaces between words to the word behind them", () => {
    expect(alignTokens("Worm, destroy the rest.", ["Worm", ",", "destroy", "the", "rest", "."])).toEqual([
      "Worm",
      ",",
      " destroy",
      " the",
      " rest",
      ".",
    ]);
  });
  it("takes tokens that carry their own spaces", () => {
    expect(alignTokens("a  b\nc", ["a", "  b", "\n", "c"])).toEqual(["a", "  b", "\n", "c"]);
  });
  it("gives a character of several tokens to the token behind them, and loses nothing", () => {
    const parts = alignTokens("so 🙂 it", ["so", " \ufffd", "\ufffd", "\ufffd", " it"]);
    expect(parts.join("")).toBe("so 🙂 it");
    expect(parts).toHaveLength(5);
    expect(parts[4]).toBe(" 🙂 it");
  });
  it("does not take a later occurrence of a token that was cut from the text", () => {
    const parts = alignTokens("one two three stop", ["stop", "one", "two", "three", "stop"]);
    expect(parts).toEqual(["", "one", " two", " three", " stop"]);
  });
  it.each([["<img src=x>"], [""], ["日本語"]])("joins to the text: %s", (text) => {
    expect(alignTokens(text, Array.from(text)).join("")).toBe(text);
  });
});

describe("shading", () => {
  it("is blank at the mean of the default answers and full where one in fifty is beyond", () => {
    const shading = findShading([0, 2], [...Array<number>(99).fill(1), 1001], false);
    expect(shading).toEqual({ centre: 1, reach: 1000 }); // nearly all are at the centre
    expect(findShading([2], [2, 2], false)).toBeNull();
    const spread = findShading([1, 1], [0, 1, 2, 3, 11], false);
    expect(spread).toEqual({ centre: 1, reach: 2 });
    expect(shadeOf(11, spread ?? { centre: 0, reach: 1 })).toBe(1);
    expect(shadeOf(0, spread ?? { centre: 0, reach: 1 })).toBe(-0.5);
  });
  it("is blank at zero for a latent", () => {
    expect(findShading([5, 5], [0, 10, 10], true)).toEqual({ centre: 0, reach: 10 });
  });
});

describe("meters", () => {
  it("go from the smallest to the largest mean, with zero and the alarm's line", () => {
    const scales = findScales([
      { readings: { evil: [1, 3] }, thresholds: { evil: 9 } },
      { readings: { evil: [-4], kind: [] }, thresholds: {} },
    ]);
    expect(scales).toEqual({ evil: { low: -4, high: 9 } });
  });
  it("have no mean of nothing", () => {
    expect(meanOf([])).toBeNull();
  });
});
