/** A number with its interval against the bar that it is held to, as a line in a row of a table. */

import { formatNumber } from "../state/format";

export interface IntervalProps {
  estimate: number | null;
  low: number | null;
  high: number | null;
  /** What it may be at most, or is compared with. */
  bar?: number | null;
  /** The values at both ends of the picture; by default just enough for all that is drawn. */
  reach?: readonly [number, number];
  verdict?: string;
}

const WIDTH = 180;
const HEIGHT = 18;

/** The ends of a scale on which all these numbers and zero are seen. */
export function findReach(values: readonly (number | null | undefined)[]): readonly [number, number] {
  const known = values.filter((value): value is number => typeof value === "number" && Number.isFinite(value));
  const low = Math.min(0, ...known);
  const high = Math.max(0, ...known);
  const room = (high - low || 1) * 0.06;
  return [low - room, high + room];
}

export function Interval({ estimate, low, high, bar = null, reach, verdict = "" }: IntervalProps) {
  if (estimate === null || !Number.isFinite(estimate)) return <span className="quiet">–</span>;
  const [first, last] = reach ?? findReach([estimate, low, high, bar]);
  const place = (value: number) => Math.max(2, Math.min(WIDTH - 2, ((value - first) / (last - first)) * WIDTH));
  const middle = HEIGHT / 2;
  const hasInterval = low !== null && high !== null;
  const text = describeInterval(estimate, low, high);
  return (
    <svg
      className={`interval ${verdict.replaceAll(" ", "-")}`}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={bar === null ? text : `${text}, bar ${formatNumber(bar)}`}
    >
      <line className="zero" x1={place(0)} x2={place(0)} y1={1} y2={HEIGHT - 1} />
      {bar !== null && <line className="bar" x1={place(bar)} x2={place(bar)} y1={0} y2={HEIGHT} />}
      {hasInterval && <line className="spread" x1={place(low)} x2={place(high)} y1={middle} y2={middle} />}
      <circle cx={place(estimate)} cy={middle} r={3.6} />
    </svg>
  );
}

export function describeInterval(estimate: number | null, low: number | null, high: number | null): string {
  if (low === null || high === null) return formatNumber(estimate);
  return `${formatNumber(estimate)} (${formatNumber(low)} to ${formatNumber(high)})`;
}
