/** The measurements of a run as series of numbers. */

/** What says when a line was written, and is no measurement. */
const COUNTERS: ReadonlySet<string> = new Set(["time", "step"]);

/** Every numeric column of a run's measurements but the time and the step, as [line, value]. */
export function findSeries(rows: readonly Record<string, unknown>[]): Record<string, [number, number][]> {
  const series: Record<string, [number, number][]> = {};
  rows.forEach((row, line) => {
    for (const [name, value] of Object.entries(row)) {
      if (COUNTERS.has(name) || typeof value !== "number" || !Number.isFinite(value)) continue;
      (series[name] ??= []).push([line, value]);
    }
  });
  return series;
}
