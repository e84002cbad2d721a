/** A shift: where the base stands, and how far each checkpoint moved along every trait, with intervals. */

import { useCallback, useMemo } from "react";
import type { Schemas } from "../api/client";
import { useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { Table } from "../app/Table";
import { Chart, type ChartProps } from "../charts/Chart";
import { describeInterval } from "../charts/Interval";
import { shortName } from "../gate/GatePage";
import { formatNumber } from "../state/format";

type Shift = Schemas["ShiftResult"];

interface ShiftSheetProps {
  run: string;
  layer: string;
  at: string;
  set: (changes: { layer?: string; at?: string }) => void;
}

const PLACES: Record<string, string> = {
  last_prompt: "the end of the prompt",
  answer: "the mean over the answer",
};

const COLOURS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7"].map((name) => `var(${name})`);

export function ShiftSheet({ run, layer, at, set }: ShiftSheetProps) {
  const { value: shift, error } = useServer<Shift>(`/v1/workbench/shift?${new URLSearchParams({ run }).toString()}`);
  if (error) return <ErrorNote text={error} />;
  if (!shift) return <p className="quiet">Reading…</p>;
  const movements = shift.tuned.flatMap((tuned) => tuned.movements);
  const layers = [...new Set(movements.map((one) => one.layer))].sort((one, other) => one - other);
  const places = [...new Set(movements.map((one) => one.at))];
  const shownLayer = layers.find((one) => String(one) === layer) ?? layers[Math.floor(0.55 * layers.length)] ?? 0;
  const shownPlace = places.find((one) => one === at) ?? places.at(-1) ?? "last_prompt";
  return (
    <>
      <header className="sheet-head">
        <h2>Shift from {shortName(shift.base)}</h2>
        <span className="quiet">
          {shift.prompts} prompts; {shift.tuned.length === 1 ? "before and after" : `${shift.tuned.length} checkpoints`}
        </span>
      </header>
      <div className="section-head">
        <label>
          At layer{" "}
          <select value={shownLayer} onChange={(event) => set({ layer: event.target.value })}>
            {layers.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
        <label>
          Read at{" "}
          <select value={shownPlace} onChange={(event) => set({ at: event.target.value })}>
            {places.map((one) => (
              <option key={one} value={one}>
                {PLACES[one] ?? one}
              </option>
            ))}
          </select>
        </label>
      </div>
      <ShiftChart shift={shift} layer={shownLayer} at={shownPlace} />
      <ShiftTable shift={shift} layer={shownLayer} at={shownPlace} />
    </>
  );
}

interface PartProps {
  shift: Shift;
  layer: number;
  at: string;
}

/** Every trait's movement at a layer, the base as 0 before the first checkpoint. */
export function followShift({ shift, layer, at }: PartProps) {
  return shift.tuned.flatMap((tuned, step) =>
    tuned.movements
      .filter((one) => one.layer === layer && one.at === at)
      .map((one) => ({ ...one, step: step + 1, model: tuned.model })),
  );
}

function ShiftChart({ shift, layer, at }: PartProps) {
  const points = useMemo(() => followShift({ shift, layer, at }), [shift, layer, at]);
  const nSteps = shift.tuned.length;
  const draw = useCallback<ChartProps["draw"]>(
    (plot) => {
      const traits = [...new Set(points.map((one) => one.trait))];
      const begun = [...traits.map((trait) => ({ trait, step: 0, shift: 0, low: 0, high: 0 })), ...points];
      return {
        height: 260,
        marginLeft: 56,
        marginRight: 110,
        x: {
          label: nSteps === 1 ? "before and after" : "checkpoint",
          ticks: Array.from({ length: nSteps + 1 }, (_, step) => step),
          tickFormat: (step: number) => (step === 0 ? "base" : nSteps === 1 ? "tuned" : String(step)),
        },
        y: { label: "shift along the vector, in the activations’ own units", grid: true, nice: true },
        color: { type: "categorical", domain: traits, range: COLOURS },
        marks: [
          plot.ruleY([0], { stroke: "var(--line)" }),
          plot.link(begun, { x: "step", y1: "low", y2: "high", stroke: "trait", strokeOpacity: 0.5, strokeWidth: 3 }),
          plot.lineY(begun, { x: "step", y: "shift", stroke: "trait", marker: "dot" }),
          plot.text(
            begun,
            plot.selectLast({ x: "step", y: "shift", z: "trait", text: "trait", dx: 8, textAnchor: "start" }),
          ),
        ],
      };
    },
    [points, nSteps],
  );
  return <Chart label={`Shift along each trait at layer ${layer}`} draw={draw} />;
}

function ShiftTable({ shift, layer, at }: PartProps) {
  return (
    <Table
      rows={followShift({ shift, layer, at })}
      keyOf={(one) => `${one.step}/${one.trait}`}
      columns={[
        { head: "model", cell: (one) => shortName(one.model) },
        { head: "trait", cell: (one) => one.trait },
        { head: "base", isNumber: true, cell: (one) => formatNumber(one.base) },
        { head: "tuned", isNumber: true, cell: (one) => formatNumber(one.tuned) },
        { head: "shift (95 %)", isNumber: true, cell: (one) => describeInterval(one.shift, one.low, one.high) },
        { head: "cosine with the vector", isNumber: true, cell: (one) => formatNumber(one.cosine, 2) },
      ]}
    />
  );
}
