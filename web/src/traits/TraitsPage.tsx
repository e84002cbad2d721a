/** Traits: vectors by layer, how alike they are, where to steer, and making new ones. */

import { useCallback, useMemo } from "react";
import type { Schemas } from "../api/client";
import { useServer } from "../api/use_server";
import type { PageProps } from "../app/pages";
import { ErrorNote } from "../app/ErrorNote";
import { Table } from "../app/Table";
import { Chart, type ChartProps } from "../charts/Chart";
import { Jobs } from "../jobs/Jobs";
import { type StateForm, useHashState } from "../state/hash_state";
import { formatNumber } from "../state/format";
import { readInteger } from "../state/values";
import { Extraction } from "./Extraction";
import { KeptVectors } from "./KeptVectors";
import { SweepView } from "./SweepView";
import "../style/desk.css";

export const MEASURES = ["norm", "d_prime", "auroc", "cosine"] as const;
export type Measure = (typeof MEASURES)[number];

const NAMES: Record<Measure, string> = {
  norm: "norm",
  d_prime: "separation (d′)",
  auroc: "separation (AUROC)",
  cosine: "cosine of two halves",
};

export interface TraitsState {
  measure: Measure;
  /** Of the similarities; -1 for the middle one. */
  layer: number;
  /** The point of the sweep that was chosen, as RUN|LAYER|COEFFICIENT. */
  point: string;
}

const TRAITS_FORM: StateForm<TraitsState> = {
  read: (params) => ({
    measure: MEASURES.find((name) => name === params["measure"]) ?? "norm",
    layer: readInteger(params["layer"], -1, -1, 9999),
    point: params["point"] ?? "",
  }),
  write: ({ measure, layer, point }) => ({
    measure: measure === "norm" ? "" : measure,
    layer: layer < 0 ? "" : String(layer),
    point,
  }),
};

export function TraitsPage({ server, refreshServer }: PageProps) {
  const [state, set] = useHashState(TRAITS_FORM);
  const { value, error, again } = useServer<Schemas["TraitList"]>("/v1/workbench/traits");
  const similarity = useServer<Schemas["SimilarityReply"]>("/v1/workbench/similarity");
  const sweeps = useServer<Schemas["SweepList"]>("/v1/workbench/sweeps");
  const { again: againSimilar } = similarity;
  const { again: againSweeps } = sweeps;
  const refresh = useCallback(() => {
    again();
    againSimilar();
    againSweeps();
    refreshServer();
  }, [again, againSimilar, againSweeps, refreshServer]);
  const change = (changes: Partial<TraitsState>) => set((now) => ({ ...now, ...changes }));
  return (
    <div className="desk">
      <aside className="list-side" aria-label="New vectors">
        <h1>Traits</h1>
        {value && <Extraction known={value.known} canStart={value.can_start} refresh={refresh} />}
        {value && value.kept.length > 0 && (
          <KeptVectors kept={value.kept} canStart={value.can_start} refresh={refresh} />
        )}
        <Jobs about={isAboutTraits} onEnd={refresh} />
      </aside>
      <section className="sheet" aria-label="Vectors">
        {error && <ErrorNote text={error} />}
        {value && value.traits.length === 0 && (
          <p className="quiet">
            This server has no vectors yet: make some at the side, or start it with --vectors FOLDER.
          </p>
        )}
        {value && value.traits.length > 0 && (
          <LayerQuality
            traits={value.traits}
            measure={state.measure}
            setMeasure={(measure) => change({ measure })}
            nLayers={server.n_layers}
          />
        )}
        {similarity.value && similarity.value.traits.length > 1 && (
          <Similarity reply={similarity.value} layer={state.layer} setLayer={(layer) => change({ layer })} />
        )}
        {sweeps.error && <ErrorNote text={sweeps.error} />}
        {sweeps.value?.sweeps.map((sweep) => (
          <SweepView
            key={`${sweep.run}/${sweep.trait}`}
            sweep={sweep}
            point={state.point}
            setPoint={(point) => change({ point })}
          />
        ))}
      </section>
    </div>
  );
}

const isAboutTraits = (job: Schemas["JobCard"]) => /^(vectors|sweep) of /.test(job.title);

const COLOURS = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7"].map((name) => `var(${name})`);

interface LayerQualityProps {
  traits: Schemas["TraitCard"][];
  measure: Measure;
  setMeasure: (measure: Measure) => void;
  nLayers: number;
}

function LayerQuality({ traits, measure, setMeasure, nLayers }: LayerQualityProps) {
  const points = useMemo(
    () =>
      traits.flatMap(({ name, layers }) =>
        layers.flatMap((one) => {
          const value = one[measure];
          return value === null ? [] : [{ trait: name, layer: one.layer, value }];
        }),
      ),
    [traits, measure],
  );
  const draw = useCallback<ChartProps["draw"]>(
    (plot) => ({
      height: 260,
      marginLeft: 52,
      marginRight: 96,
      x: { label: "layer", tickFormat: "d", ticks: Math.min(12, nLayers) },
      y: { label: NAMES[measure], grid: true, nice: true, ...(measure === "norm" ? { zero: true } : {}) },
      color: { type: "categorical", domain: traits.map(({ name }) => name), range: COLOURS },
      marks: [
        plot.lineY(points, { x: "layer", y: "value", stroke: "trait", marker: "dot" }),
        plot.text(
          points,
          plot.selectLast({ x: "layer", y: "value", z: "trait", text: "trait", dx: 8, textAnchor: "start" }),
        ),
      ],
    }),
    [points, measure, nLayers, traits],
  );
  return (
    <section>
      <div className="section-head">
        <h2>By layer</h2>
        <label>
          Show{" "}
          <select value={measure} onChange={(event) => setMeasure(event.target.value as Measure)}>
            {MEASURES.map((name) => (
              <option key={name} value={name}>
                {NAMES[name]}
              </option>
            ))}
          </select>
        </label>
      </div>
      {points.length ? (
        <Chart label={`${NAMES[measure]} by layer`} draw={draw} />
      ) : (
        <p className="quiet">These vectors were brought without it: it is measured where they are extracted.</p>
      )}
      <Table
        rows={traits}
        keyOf={(trait) => trait.name}
        columns={[
          { head: "trait", cell: (trait) => trait.name },
          { head: "written at", cell: (trait) => trait.written_at.join(", ") },
          { head: "norm there", isNumber: true, cell: (trait) => formatNumber(layerOf(trait)?.norm) },
          { head: "d′", isNumber: true, cell: (trait) => formatNumber(layerOf(trait)?.d_prime) },
          { head: "AUROC", isNumber: true, cell: (trait) => formatNumber(layerOf(trait)?.auroc) },
          {
            head: "pairs kept",
            isNumber: true,
            cell: (trait) => (trait.pairs === null ? "–" : `${trait.kept ?? "–"} of ${trait.pairs}`),
          },
        ]}
      />
    </section>
  );
}

/** The layer at which a trait is written. */
function layerOf(trait: Schemas["TraitCard"]) {
  const [place = ""] = trait.written_at;
  return trait.layers.find((one) => place === `resid_post.${one.layer}`);
}

interface SimilarityProps {
  reply: Schemas["SimilarityReply"];
  layer: number;
  setLayer: (layer: number) => void;
}

function Similarity({ reply, layer, setLayer }: SimilarityProps) {
  const { traits, layers, cosines } = reply;
  const at = layers.includes(layer) ? layer : (layers[Math.floor(0.55 * layers.length)] ?? 0);
  const table = cosines[layers.indexOf(at)] ?? [];
  return (
    <section>
      <div className="section-head">
        <h2>Cosine similarity</h2>
        <label>
          at layer{" "}
          <select value={at} onChange={(event) => setLayer(Number(event.target.value))}>
            {layers.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
      </div>
      <div className="wide">
        <table className="matrix">
          <thead>
            <tr>
              <td />
              {traits.map((trait) => (
                <th key={trait} scope="col">
                  {trait}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {traits.map((trait, row) => (
              <tr key={trait}>
                <th scope="row">{trait}</th>
                {traits.map((other, column) => (
                  <Cell key={other} value={table[row]?.[column] ?? 0} reach={1} digits={2} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

interface CellProps {
  value: number | null;
  /** At which the cell is shaded fully. */
  reach: number;
  digits?: number;
}

export function Cell({ value, reach, digits = 3 }: CellProps) {
  if (value === null) return <td className="heat-cell">–</td>;
  const share = Math.round(100 * Math.min(1, Math.abs(value) / reach));
  return (
    <td
      className={`heat-cell ${value >= 0 ? "up" : "down"}`}
      style={{ "--at": `${share}%` } as React.CSSProperties}
    >
      {formatNumber(value, digits)}
    </td>
  );
}
