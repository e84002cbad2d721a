/** The measurements of a run as series of numbers. */

/** Every numeric column of a run's measurements but the time, as [line, value]. */
export function findSeries(rows: readonly Record<string, unknown>[]): Record<string, [number, number][]> {
  const series: Record<string, [number, number][]> = {};
  rows.forEach((row, line) => {
    for (const [name, value] of Object.entries(row)) {
      if (name === "time" || typeof value !== "number" || !Number.isFinite(value)) continue;
      (series[name] ??= []).push([line, value]);
    }
  });
  return series;
}
