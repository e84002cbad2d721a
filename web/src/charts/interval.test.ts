import { expect, it } from "vitest";
import { describeInterval, findReach } from "./Interval.tsx";

it("has room for every number and for zero", () => {
  const [low, high] = findReach([2, null, 5, undefined, Number.NaN]);
  expect(low).toBeLessThan(0);
  expect(high).toBeGreaterThan(5);
  const [below, above] = findReach([-3, -1]);
  expect(below).toBeLessThan(-3);
  expect(above).toBeGreaterThan(0);
});

it("is said in words, without an interval where there is none", () => {
  expect(describeInterval(-2.5, -4, -1)).toBe("−2.5 (−4 to −1)");
  expect(describeInterval(3, null, null)).toBe("3");
  expect(describeInterval(null, null, null)).toBe("–");
});
