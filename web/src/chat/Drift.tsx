/** Drift: the mean reading of a feature turn by turn, of both arms, with the alarm's line and its stated rate. */

import { useCallback } from "react";
import type { Capabilities } from "../api/client";
import { Chart, type ChartProps } from "../charts/Chart";
import { formatPercent } from "../state/format";
import { type ReadAnswer, thresholdsOf } from "./answers";
import { ARMS, type Arm, type Turn } from "./chat_state";
import { meanOf } from "./tokens";

interface DriftProps {
  server: Capabilities;
  feature: string;
  turns: readonly Turn[];
  find: (turn: number, arm: Arm) => ReadAnswer | null;
}

interface DriftPoint {
  turn: number;
  arm: Arm;
  mean: number;
}

export function Drift({ server, feature, turns, find }: DriftProps) {
  const points: DriftPoint[] = turns.flatMap((_, turn) =>
    ARMS.flatMap((arm) => {
      const mean = meanOf(find(turn, arm)?.readings[feature] ?? []);
      return mean === null ? [] : [{ turn: turn + 1, arm, mean }];
    }),
  );
  let threshold: number | null = null;
  for (const [turn] of turns.entries()) {
    threshold ??= thresholdsOf(find(turn, "default"))[feature] ?? null;
  }
  return (
    <section className="drift">
      <h2>Over the conversation</h2>
      <AlarmRate server={server} />
      {points.length === 0 ? (
        <p className="quiet">The mean of a feature at each turn stands here.</p>
      ) : (
        <DriftChart points={JSON.stringify(points)} threshold={threshold} feature={feature} nTurns={turns.length} />
      )}
    </section>
  );
}

interface DriftChartProps {
  /** As JSON, so that an equal list is not drawn again. */
  points: string;
  threshold: number | null;
  feature: string;
  nTurns: number;
}

function DriftChart({ points, threshold, feature, nTurns }: DriftChartProps) {
  const draw = useCallback<ChartProps["draw"]>(
    (plot) => {
      const data = JSON.parse(points) as DriftPoint[];
      return {
        height: 190,
        marginLeft: 48,
        x: { label: "turn", domain: [0.5, nTurns + 0.5], ticks: Math.min(nTurns, 8), tickFormat: "d" },
        y: { label: feature, grid: true, nice: true },
        symbol: { domain: [...ARMS], range: ["circle", "diamond"] },
        marks: [
          ...(threshold === null
            ? []
            : [plot.ruleY([threshold], { stroke: "var(--c6)", strokeDasharray: "4 3" })]),
          plot.lineY(data, {
            x: "turn",
            y: "mean",
            z: "arm",
            stroke: (point: DriftPoint) => (point.arm === "default" ? "var(--c1)" : "var(--c2)"),
          }),
          plot.dot(data, {
            x: "turn",
            y: "mean",
            symbol: "arm",
            fill: (point: DriftPoint) => (point.arm === "default" ? "var(--c1)" : "var(--c2)"),
            title: (point: DriftPoint) => `${point.arm}, turn ${point.turn}: ${point.mean.toPrecision(3)}`,
          }),
        ],
      };
    },
    [points, threshold, feature, nTurns],
  );
  return (
    <figure>
      <Chart label={`Mean of ${feature} turn by turn`} draw={draw} />
      <figcaption>
        <span className="key default">● as it is</span> <span className="key steered">◆ steered</span>
        {threshold !== null && <span className="key line"> – – alarm line</span>}
      </figcaption>
    </figure>
  );
}

function AlarmRate({ server }: { server: Capabilities }) {
  const { rate } = server;
  if (!rate) return <p className="quiet">Without --thresholds there is no alarm line: readings are shown as they are.</p>;
  return (
    <p className="quiet">
      The line is crossed by at most {formatPercent(rate.false_alarms)} of ordinary conversations, by{" "}
      {rate.over === "any" ? "any feature" : "each feature"} (95 % interval {formatPercent(rate.low)} to{" "}
      {formatPercent(rate.high)}, {rate.conversations} conversations). An alarm holds the trailing mean against it, a
      meter shows the mean of the answer.
    </p>
  );
}
