/** A screening: the data set along each trait, its histogram beside the reference's, and the highest samples. */

import { useCallback } from "react";
import { type Schemas, ask } from "../api/client";
import { useAction, useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { Table } from "../app/Table";
import { Chart, type ChartProps } from "../charts/Chart";
import { formatNumber } from "../state/format";
import { findShading, shadeOf } from "../chat/tokens";
import { type DataState, nameOfFile } from "./DataPage";

type View = Schemas["ScreeningView"];
type Trait = View["result"]["traits"][number];
type Sample = Trait["ranked"][number];

interface ScreeningSheetProps {
  state: DataState;
  set: (changes: Partial<DataState>) => void;
}

export function ScreeningSheet({ state, set }: ScreeningSheetProps) {
  const query = new URLSearchParams({ run: state.run, folder: state.folder }).toString();
  const { value: view, error } = useServer<View>(`/v1/workbench/screening?${query}`);
  const { run, busy, error: failed } = useAction();
  if (error) return <ErrorNote text={error} />;
  if (!view) return <p className="quiet">Reading…</p>;
  const { result } = view;
  const trait = result.traits.find((one) => one.trait === state.trait) ?? result.traits[0];
  const histogram = view.histograms.find((one) => one.trait === trait?.trait);
  const save = async () => {
    const reply = await ask(`/v1/workbench/screening/table?${query}`);
    saveBlob(await reply.blob(), `${nameOfFile(result.data)}-scores.parquet`);
  };
  return (
    <>
      <header className="sheet-head">
        <h2>{nameOfFile(result.data)}</h2>
        <span className="quiet">
          {result.samples} samples, {result.turns} answers
          {result.left_out > 0 && `, ${result.left_out} rows left out`};{" "}
          {result.reference
            ? `thresholds from ${nameOfFile(result.reference)}`
            : "thresholds from the data itself, which flag as many samples whatever they hold"}
        </span>
        <button type="button" className="small" disabled={busy} onClick={() => run(save)}>
          Save all scores
        </button>
      </header>
      {failed && <ErrorNote text={failed} />}
      <TraitTable view={view} chosen={trait?.trait ?? ""} choose={(name) => set({ trait: name })} />
      {histogram && trait && <Histogram histogram={histogram} trait={trait} reference={result.reference ?? null} />}
      {trait && <Samples trait={trait} find={state.find} setFind={(find) => set({ find })} data={result.data} />}
    </>
  );
}

function saveBlob(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

interface TraitTableProps {
  view: View;
  chosen: string;
  choose: (trait: string) => void;
}

function TraitTable({ view, chosen, choose }: TraitTableProps) {
  return (
    <Table
      rows={view.result.traits}
      keyOf={(trait) => trait.trait}
      rowClass={(trait) => trait.trait === chosen ? "chosen" : undefined}
      columns={[
        {
          head: "trait",
          cell: (trait) => (<button
            type="button"
            className="small"
            aria-pressed={trait.trait === chosen}
            onClick={() => choose(trait.trait)}
          >
            {trait.trait}
          </button>),
        },
        { head: "layer", isNumber: true, cell: (trait) => trait.layer },
        {
          head: "mean dP (95 %)",
          isNumber: true,
          cell: (trait) => trait.mean
            ? `${formatNumber(trait.mean.mean)} (${formatNumber(trait.mean.low)} to ${formatNumber(trait.mean.high)})`
            : "–",
        },
        { head: "ordinary", isNumber: true, cell: (trait) => formatNumber(trait.ordinary) },
        { head: "threshold", isNumber: true, cell: (trait) => formatNumber(trait.threshold) },
        { head: "flagged", isNumber: true, cell: (trait) => trait.flagged },
        {
          head: "among random directions",
          isNumber: true,
          cell: (trait) => trait.control ? `${formatNumber(trait.control.percentile)} %` : "–",
        },
      ]}
    />
  );
}

interface HistogramProps {
  histogram: Schemas["TraitHistogram"];
  trait: Trait;
  reference: string | null;
}

function Histogram({ histogram, trait, reference }: HistogramProps) {
  const hasReference = reference !== null && histogram.bins.some((bin) => bin.reference !== null);
  const draw = useCallback<ChartProps["draw"]>(
    (plot) => {
      const { bins } = histogram;
      return {
        height: 230,
        marginLeft: 48,
        x: { label: `dP along ${trait.trait}` },
        y: { label: "share of samples", tickFormat: "%", grid: true },
        marks: [
          plot.rectY(bins, { x1: "low", x2: "high", y: "data", fill: "var(--c2)", fillOpacity: 0.55 }),
          ...(hasReference
            ? [
                plot.line(
                  bins.flatMap(({ low, high, reference: share }) => [
                    { x: low, y: share },
                    { x: high, y: share },
                  ]),
                  { x: "x", y: "y", stroke: "var(--c1)", strokeWidth: 1.6 },
                ),
              ]
            : []),
          ...(trait.threshold === null
            ? []
            : [plot.ruleX([trait.threshold], { stroke: "var(--c6)", strokeDasharray: "4 3" })]),
          plot.ruleY([0], { stroke: "var(--line)" }),
        ],
      };
    },
    [histogram, trait, hasReference],
  );
  return (
    <section>
      <h2>How far the samples lie along {trait.trait}</h2>
      <figure>
        <Chart label={`Histogram of dP along ${trait.trait}`} draw={draw} />
        <figcaption>
          <span className="key steered">■ this data</span>
          {hasReference && <span className="key default"> — {nameOfFile(reference)}</span>}
          {trait.threshold !== null && <span className="key line"> – – threshold</span>}
        </figcaption>
      </figure>
    </section>
  );
}

interface SamplesProps {
  trait: Trait;
  find: string;
  setFind: (find: string) => void;
  data: string;
}

function Samples({ trait, find, setFind, data }: SamplesProps) {
  const wanted = find.trim().toLowerCase();
  const shown = trait.ranked.filter(
    (sample) => !wanted || `${sample.question} ${sample.tokens.join("")}`.toLowerCase().includes(wanted),
  );
  const all = trait.ranked.flatMap((sample) => sample.heat);
  const save = () => {
    const lines = shown.map(({ row, line, id, dp, percentile, question, tokens }) =>
      JSON.stringify({ row, line, id, dp, percentile, question, answer: tokens.join("") }),
    );
    saveBlob(new Blob([`${lines.join("\n")}\n`]), `${nameOfFile(data)}-${trait.trait}.jsonl`);
  };
  return (
    <section>
      <div className="section-head">
        <h2>Highest samples</h2>
        <label>
          that hold{" "}
          <input type="search" value={find} placeholder="any text" onChange={(event) => setFind(event.target.value)} />
        </label>
        <button type="button" className="small" disabled={!shown.length} onClick={save}>
          Save these
        </button>
      </div>
      <p className="quiet">
        A token is shaded by how far it lies along the trait beyond the baseline: their mean is the answer&rsquo;s dP.
      </p>
      {shown.length === 0 && <p className="empty">none of the {trait.ranked.length} samples</p>}
      {shown.map((sample) => (
        <SampleView key={`${sample.row}`} sample={sample} reach={reachOf(all)} />
      ))}
    </section>
  );
}

function reachOf(values: readonly number[]): number {
  return findShading([], values, true)?.reach ?? 1;
}

function SampleView({ sample, reach }: { sample: Sample; reach: number }) {
  return (
    <article className="sample" aria-label={`row ${sample.row}`}>
      <header>
        <b>dP {formatNumber(sample.dp)}</b>
        <span className="quiet">
          percentile {formatNumber(sample.percentile)}, row {sample.row}
          {sample.id !== null && `, ${sample.id}`}
          {sample.turns > 1 && `, answer ${sample.turn} of ${sample.turns}`}
        </span>
      </header>
      <p className="sample-asked">{sample.question}</p>
      <p className="tokens">
        {sample.tokens.map((text, place) => {
          const value = sample.heat[place] ?? 0;
          const shade = shadeOf(value, { centre: 0, reach });
          return (
            <span
              key={place}
              className={`token ${shade > 0 ? "up" : "down"}`}
              style={{ "--at": `${Math.round(100 * Math.abs(shade))}%` } as React.CSSProperties}
              title={formatNumber(value)}
            >
              {text}
            </span>
          );
        })}
      </p>
      {sample.own && (
        <details>
          <summary>the model&rsquo;s own answer</summary>
          <p className="sample-text">{sample.own}</p>
        </details>
      )}
    </article>
  );
}
