import { expect, it } from "vitest";
import { findSeries } from "./metrics.ts";

it("takes the numbers of every column, at the line where they stand", () => {
  const rows = [{ time: 1, step: 1, loss: 2, note: "a" }, { time: 2, loss: null }, { loss: 1, rate: 0.5 }];
  expect(findSeries(rows)).toEqual({
    loss: [
      [0, 2],
      [2, 1],
    ],
    rate: [[2, 0.5]],
  });
});
