/** Reading values that may come from anywhere: an address, or a file. */

export function readNumber(text: string | undefined, otherwise: number, low: number, high: number): number {
  const value = text === undefined || text === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : otherwise;
}

export function readInteger(text: string | undefined, otherwise: number, low: number, high: number): number {
  return Math.round(readNumber(text, otherwise, low, high));
}

/** JSON in a text; null where it is none. */
export function readJson(text: string | undefined): unknown {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isFiniteNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
