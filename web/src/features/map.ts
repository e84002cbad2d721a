/** Places of latents in a picture, and the one that was meant by a click. */

export interface Place {
  feature: number;
  x: number;
  y: number;
  cluster: number;
}

const ROOM = 12;

/** Places as pixels of a picture, with some room at its edges. */
export function fitPlaces(features: readonly Place[], width: number, height: number): Place[] {
  const fit = (values: number[], size: number) => {
    const low = values.reduce((one, other) => Math.min(one, other), Number.POSITIVE_INFINITY);
    const high = values.reduce((one, other) => Math.max(one, other), Number.NEGATIVE_INFINITY);
    const span = high - low || 1;
    return (value: number) => ROOM + ((value - low) / span) * Math.max(0, size - 2 * ROOM);
  };
  const x = fit(features.map((one) => one.x), width);
  const y = fit(features.map((one) => -one.y), height);
  return features.map((one) => ({ ...one, x: x(one.x), y: y(-one.y) }));
}

/** The latent nearest to a point, if it is within reach. */
export function findNearest(places: readonly Place[], x: number, y: number, reach: number): Place | null {
  let nearest: Place | null = null;
  let least = reach * reach;
  for (const place of places) {
    const distance = (place.x - x) ** 2 + (place.y - y) ** 2;
    if (distance <= least) {
      least = distance;
      nearest = place;
    }
  }
  return nearest;
}
