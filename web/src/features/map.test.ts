import { expect, it } from "vitest";
import { findNearest, fitPlaces } from "./map.ts";

const FEATURES = [
  { feature: 7, x: -1, y: 0, cluster: 0 },
  { feature: 8, x: 3, y: 10, cluster: -1 },
];

it("fits all places into the picture, the highest on top", () => {
  const [first, second] = fitPlaces(FEATURES, 100, 200);
  expect(first).toMatchObject({ x: 12, y: 188 });
  expect(second).toMatchObject({ x: 88, y: 12 });
  expect(fitPlaces([], 100, 200)).toEqual([]);
  expect(fitPlaces([{ feature: 1, x: 2, y: 2, cluster: 0 }], 100, 200)[0]).toMatchObject({ x: 12, y: 12 });
});

it("finds the nearest one within reach", () => {
  const places = fitPlaces(FEATURES, 100, 200);
  expect(findNearest(places, 15, 185, 10)?.feature).toBe(7);
  expect(findNearest(places, 50, 100, 10)).toBeNull();
});
