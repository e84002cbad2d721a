/** A latent's page: label with its scores, what it says, when it is active, and what is like it. */

import { useCallback, useMemo } from "react";
import type { Capabilities, Schemas } from "../api/client";
import { useServer } from "../api/use_server";
import { BASE } from "../app/base";
import { ErrorNote } from "../app/ErrorNote";
import { Chart, type ChartProps } from "../charts/Chart";
import { formatNumber, formatPercent } from "../state/format";
import { formatHash } from "../state/hash_state";
import { type FeaturesState, OwnText } from "./FeaturesPage";
import { type FeatureExample, readDocument } from "./document";

const SHOWN = 5;
/** Contexts of a group that stand open. */

interface FeatureSheetProps {
  server: Capabilities;
  dictionary: string;
  state: FeaturesState;
  change: (changes: Partial<FeaturesState>, push?: boolean) => void;
}

export function FeatureSheet({ dictionary, state, change }: FeatureSheetProps) {
  const params = new URLSearchParams({ dictionary, feature: String(state.feature) }).toString();
  const { value: view, error } = useServer<Schemas["FeatureView"]>(`/v1/workbench/feature?${params}`);
  const document = useMemo(() => (view ? readDocument(view.document) : null), [view]);
  if (error) return <ErrorNote text={error} />;
  if (!view || !document) return <p className="quiet">Reading…</p>;
  const steering = { dials: JSON.stringify({ [view.name]: 1 }), colour: view.name };
  return (
    <>
      <header className="sheet-head">
        <h2>{view.label.text || view.name}</h2>
        <span className="quiet">
          {view.name}, active on {formatPercent(view.density)} of the tokens, at most {formatNumber(view.highest)}
        </span>
        <a href={`${BASE}chat${formatHash(steering)}`}>Steer with it</a>
      </header>
      <LabelFacts label={view.label} />
      <div className="feature-figures">
        <section>
          <h3>What it says</h3>
          <Logits name="raises" side="up" tokens={document.topLogits} />
          <Logits name="lowers" side="down" tokens={document.bottomLogits} />
        </section>
        <section>
          <h3>How strongly it is active</h3>
          <Histogram counts={JSON.stringify(document.histogram)} highest={document.highest} />
        </section>
        <section>
          <h3>What is like it</h3>
          <ul className="entries">
            {view.neighbours.map((near) => (
              <li key={near.feature}>
                <button type="button" className="entry" onClick={() => change({ feature: near.feature }, true)}>
                  <span className="name">{near.label || near.name}</span>
                  <span className="state">{formatNumber(near.cosine, 2)}</span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      </div>
      <OwnText feature={view.name} text={state.text} setText={(text) => change({ text })} />
      {document.groups.map(({ name, examples }) => (
        <section key={name}>
          <h3>{name}</h3>
          {examples.slice(0, SHOWN).map((example, number) => (
            <Context key={number} example={example} highest={document.highest} />
          ))}
          {examples.length > SHOWN && (
            <details>
              <summary>{examples.length - SHOWN} more</summary>
              {examples.slice(SHOWN).map((example, number) => (
                <Context key={number} example={example} highest={document.highest} />
              ))}
            </details>
          )}
        </section>
      ))}
    </>
  );
}

function LabelFacts({ label }: { label: Schemas["LabelRow"] }) {
  const scores = Object.entries(label.scores);
  return (
    <p className="quiet">
      Label by {label.source}
      {scores.map(
        ([kind, score]) =>
          `; ${kind}: ${score.accuracy === null ? "no usable answer" : `right in ${formatPercent(score.accuracy)}`} (${score.answered} contexts)`,
      )}
      {scores.length === 0 && "; not tested on other contexts"}
    </p>
  );
}

function Logits({ name, side, tokens }: { name: string; side: "up" | "down"; tokens: string[] }) {
  if (!tokens.length) return null;
  return (
    <p className="logits">
      <span className="quiet">{name}</span>{" "}
      {tokens.map((token, place) => (
        <span key={place} className={`chip ${side}`}>
          {token.replaceAll("\n", "⏎").trim() || "␣"}
        </span>
      ))}
    </p>
  );
}

function Histogram({ counts, highest }: { counts: string; highest: number }) {
  const draw = useCallback<ChartProps["draw"]>(
    (plot) => {
      const bins = JSON.parse(counts) as number[];
      const width = highest / Math.max(1, bins.length);
      return {
        height: 150,
        marginLeft: 44,
        x: { label: "activation" },
        y: { label: "tokens", grid: true },
        marks: [
          plot.rectY(
            bins.map((count, place) => ({ low: place * width, high: (place + 1) * width, count })),
            { x1: "low", x2: "high", y: "count", fill: "var(--c7)" },
          ),
          plot.ruleY([0], { stroke: "var(--line)" }),
        ],
      };
    },
    [counts, highest],
  );
  return <Chart label="Histogram of activations" draw={draw} />;
}

function Context({ example, highest }: { example: FeatureExample; highest: number }) {
  return (
    <p className="context">
      {example.tokens.map((text, place) => {
        const value = example.activations[place] ?? 0;
        return (
          <span
            key={place}
            className={`token up${place === example.peak ? " peak" : ""}`}
            style={{ "--at": `${Math.round((100 * Math.max(0, value)) / (highest || 1))}%` } as React.CSSProperties}
            title={formatNumber(value)}
          >
            {text}
          </span>
        );
      })}
    </p>
  );
}
