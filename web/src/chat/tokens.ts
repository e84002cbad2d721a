/** An answer's tokens as stretches of its text, and how they are shaded. */

/**
 * The stretches of a text that its tokens stand for. Tokenizers of words tell tokens without the spaces between
 * them, and parts of a character have no text of their own: what lies between two tokens that are found goes to the
 * token behind it. The stretches join to the text.
 */
export function alignTokens(text: string, tokens: readonly string[]): string[] {
  const stretches: string[] = [];
  let place = 0;
  tokens.forEach((token, index) => {
    const word = token.trim();
    const isPart = word === "" || word.includes("\ufffd");
    const start = isPart ? -1 : text.indexOf(word, place);
    // Far away it is another occurrence: the token itself is not in the text.
    const isFound = start >= 0 && start - place <= 2 + 4 * countParts(tokens, index);
    let end = isFound ? start + word.length : place;
    if (word === "" && text.startsWith(token, place)) end = place + token.length;
    stretches.push(text.slice(place, end));
    place = end;
  });
  const last = stretches.pop();
  return last === undefined ? [] : [...stretches, last + text.slice(place)];
}

/** How many tokens right before one have no text of their own. */
function countParts(tokens: readonly string[], index: number): number {
  let count = 0;
  while (index - count > 0 && tokens[index - count - 1]?.includes("\ufffd")) count += 1;
  return count;
}

export interface Shading {
  /** The reading that is left blank. */
  centre: number;
  /** So far from it a token is shaded fully. */
  reach: number;
}

/**
 * Blank at the mean of the default answers' readings (of all, where there are none), full at the distance that two
 * in a hundred tokens exceed, or at the farthest where nearly all are at the centre. A latent is blank at zero,
 * where it is inactive.
 */
export function findShading(base: readonly number[], all: readonly number[], isLatent: boolean): Shading | null {
  if (!all.length) return null;
  const known = base.length ? base : all;
  const centre = isLatent ? 0 : known.reduce((sum, value) => sum + value, 0) / known.length;
  const distances = all.map((value) => Math.abs(value - centre)).sort((one, other) => one - other);
  const reach = distances[Math.floor(0.98 * (distances.length - 1))] || (distances.at(-1) ?? 0);
  return reach > 0 ? { centre, reach } : null;
}

/** From -1 to 1. */
export function shadeOf(value: number, { centre, reach }: Shading): number {
  return Math.max(-1, Math.min(1, (value - centre) / reach));
}

const means = new WeakMap<readonly number[], number>();

/** Remembered by the list itself, which is never changed. */
export function meanOf(values: readonly number[]): number | null {
  if (!values.length) return null;
  const known = means.get(values) ?? values.reduce((sum, value) => sum + value, 0) / values.length;
  means.set(values, known);
  return known;
}

export interface Scale {
  low: number;
  high: number;
}

/** From where to where the meters of each feature go, the same for all answers, with zero and the alarm's line. */
export function findScales(
  answers: readonly {
    readings: Readonly<Record<string, readonly number[]>>;
    thresholds: Readonly<Record<string, number>>;
  }[],
): Record<string, Scale> {
  const scales: Record<string, Scale> = {};
  for (const { readings, thresholds } of answers) {
    for (const [name, values] of Object.entries(readings)) {
      const mean = meanOf(values);
      if (mean === null) continue;
      const marks = [0, mean, thresholds[name] ?? 0];
      const { low, high } = scales[name] ?? { low: 0, high: 0 };
      scales[name] = { low: Math.min(low, ...marks), high: Math.max(high, ...marks) };
    }
  }
  return scales;
}
