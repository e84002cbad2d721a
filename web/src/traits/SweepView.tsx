/** A sweep: trait score and coherence at every layer with every coefficient, beside random directions. */

import type { Schemas } from "../api/client";
import { formatNumber } from "../state/format";

type Sweep = Schemas["SweepCard"];
type Point = Schemas["SweptPoint"];

interface SweepViewProps {
  sweep: Sweep;
  point: string;
  setPoint: (point: string) => void;
}

export const nameOfPoint = (sweep: Sweep, point: Point) => `${sweep.run}|${point.layer}|${point.coefficient}`;

export function SweepView({ sweep, point, setPoint }: SweepViewProps) {
  const layers = [...new Set(sweep.points.map((one) => one.layer))].sort((one, other) => one - other);
  const coefficients = [...new Set(sweep.points.map((one) => one.coefficient))].sort((one, other) => one - other);
  const chosen = sweep.chosen === null ? undefined : sweep.points[sweep.chosen];
  const shown = sweep.points.find((one) => nameOfPoint(sweep, one) === point) ?? chosen;
  return (
    <section className="sweep">
      <div className="section-head">
        <h2>Sweep of {sweep.trait}</h2>
        <span className="quiet">
          {sweep.run}, {sweep.questions} questions; unsteered {formatNumber(sweep.unsteered)}, coherence{" "}
          {formatNumber(sweep.unsteered_coherence)}
        </span>
      </div>
      <p className="quiet">
        Trait score from 0 to 100, below it the coherence; struck out below {formatNumber(sweep.coherence_floor)}.{" "}
        {chosen
          ? `Chosen: layer ${chosen.layer}, coefficient ${formatNumber(chosen.coefficient)}.`
          : "No point raises the trait above what random vectors do with enough coherence."}
      </p>
      <div className="wide">
        <table className="matrix">
          <thead>
            <tr>
              <th scope="col">layer</th>
              {coefficients.map((one) => (
                <th key={one} scope="col" className="r">
                  × {formatNumber(one)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {layers.map((layer) => (
              <tr key={layer}>
                <th scope="row">{layer}</th>
                {coefficients.map((coefficient) => (
                  <SweepCell
                    key={coefficient}
                    sweep={sweep}
                    point={sweep.points.find((one) => one.layer === layer && one.coefficient === coefficient)}
                    chosen={chosen}
                    shown={shown}
                    setPoint={setPoint}
                  />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {shown && <PointView sweep={sweep} point={shown} />}
    </section>
  );
}

interface SweepCellProps {
  sweep: Sweep;
  point: Point | undefined;
  chosen: Point | undefined;
  shown: Point | undefined;
  setPoint: (point: string) => void;
}

function SweepCell({ sweep, point, chosen, shown, setPoint }: SweepCellProps) {
  if (!point) return <td className="heat-cell">–</td>;
  const share = Math.round(Math.max(0, Math.min(100, point.trait ?? 0)));
  const isBroken = point.coherence !== null && point.coherence < sweep.coherence_floor;
  const marks = `${point === chosen ? " best" : ""}${point === shown ? " shown" : ""}${isBroken ? " broken" : ""}`;
  return (
    <td className={`heat-cell up${marks}`} style={{ "--at": `${share}%` } as React.CSSProperties}>
      <button
        type="button"
        className="plain"
        aria-label={`layer ${point.layer}, coefficient ${point.coefficient}`}
        onClick={() => setPoint(nameOfPoint(sweep, point))}
      >
        <span className="trait-score">{formatNumber(point.trait)}</span>
        <span className="coherence">{formatNumber(point.coherence)}</span>
        {point.random !== null && <span className="random">random {formatNumber(point.random)}</span>}
      </button>
    </td>
  );
}

function PointView({ sweep, point }: { sweep: Sweep; point: Point }) {
  return (
    <div className="point">
      <h3>
        Layer {point.layer}, coefficient {formatNumber(point.coefficient)}
      </h3>
      <p className="quiet">
        trait {formatNumber(point.trait)} (unsteered {formatNumber(sweep.unsteered)}), coherence{" "}
        {formatNumber(point.coherence)};{" "}
        {point.random === null
          ? "random directions were not measured here"
          : `equally long random directions ${formatNumber(point.random)} (95 % interval ${formatNumber(point.random_low)} to ${formatNumber(point.random_high)})`}
      </p>
      {point.samples.map((sample, number) => (
        <details key={number} open={number === 0}>
          <summary>
            {sample.question}{" "}
            <span className="quiet">
              trait {formatNumber(sample.trait)}, coherence {formatNumber(sample.coherence)}
            </span>
          </summary>
          <p className="sample-text">{sample.answer}</p>
        </details>
      ))}
    </div>
  );
}
