/** All that is known at one token: readings, readings by layer, and what else was likely there. */

import { useCallback, useEffect, useRef, useState } from "react";
import { type Capabilities, type ReadReply, type TokenReading, describeError, isAbort } from "../api/client";
import { BASE } from "../app/base";
import { ErrorNote } from "../app/ErrorNote";
import { Table } from "../app/Table";
import { Chart, type ChartProps } from "../charts/Chart";
import { formatNumber, formatPercent } from "../state/format";
import { formatHash } from "../state/hash_state";
import { type ReadAnswer, readKept } from "./answers";
import type { ChatState, TokenPlace } from "./chat_state";
import { WhyHere } from "./WhyHere";

interface TokenPanelProps {
  server: Capabilities;
  state: ChatState;
  place: TokenPlace;
  answer: ReadAnswer | null;
  /** Colour the conversation by a latent; null where this server reads nothing but what it has thresholds for. */
  colourBy: ((name: string) => void) | null;
  /** Give a latent a dial. */
  turnUp: (name: string) => void;
  close: () => void;
}

type Found = { kind: "waiting" } | { kind: "found"; read: ReadReply } | { kind: "failed"; error: unknown };

export function TokenPanel({ server, state, place, answer, colourBy, turnUp, close }: TokenPanelProps) {
  const [found, setFound] = useState<Found>({ kind: "waiting" });
  const { turn, arm, index } = place;
  const text = state.turns[turn]?.answers[arm]?.text;
  useEffect(() => {
    if (text === undefined) return undefined;
    const controller = new AbortController();
    readKept({ server, state, turn, arm, token: index, signal: controller.signal }).then(
      (read) => setFound({ kind: "found", read }),
      (error: unknown) => {
        if (!isAbort(error)) setFound({ kind: "failed", error });
      },
    );
    return () => controller.abort();
    // The conversation before this token does not change while the panel is open.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [server, text, turn, arm, index]);
  const token = answer?.tokens[index];
  const read = found.kind === "found" ? found.read : null;
  const isMoved = read !== null && token !== undefined && isOther(read, index, token.text);
  const panel = useRef<HTMLElement>(null);
  // In a narrow window it opens below the conversation.
  useEffect(() => {
    panel.current?.scrollIntoView({ block: "nearest" }); // newer browsers return a promise
  }, []);
  return (
    <section className="token-panel" ref={panel}>
      <div className="side-head">
        <h2>
          Token <span className="token-name">{token ? show(token.text) : index + 1}</span>
        </h2>
        <button type="button" className="small" onClick={close}>
          Close
        </button>
      </div>
      <p className="quiet">
        number {index + 1} of the {arm === "default" ? "default" : "steered"} answer to turn {turn + 1}
        {token?.probability != null && <>, drawn with probability {formatPercent(token.probability, 3)}</>}
      </p>
      {answer && <Readings answer={answer} index={index} />}
      {token && text !== undefined && <WhyHere state={state} place={place} answer={answer} />}
      {found.kind === "waiting" && <p className="quiet">{text === undefined ? "More when the answer has ended." : "Reading…"}</p>}
      {found.kind === "failed" && <ErrorNote text={describeError(found.error)} />}
      {isMoved && (
        <p className="quiet">
          Read again from its text, the answer falls into other tokens than it was drawn in; what follows is of the
          token that stands at this place now.
        </p>
      )}
      {read?.token && <LikelyTokens reading={read.token} drawn={token?.text ?? ""} />}
      {read?.token && read.token.latents.length > 0 && (
        <Latents latents={read.token.latents} colourBy={colourBy} turnUp={turnUp} />
      )}
      {read?.token && read.token.layers.length > 0 && <LayerChart layers={JSON.stringify(read.token.layers)} />}
    </section>
  );
}

function isOther(read: ReadReply, index: number, text: string): boolean {
  const now = read.tokens[read.answer + index]?.text;
  return now === undefined || now.trim() !== text.trim();
}

function show(text: string): string {
  return text.replaceAll("\n", "⏎").replaceAll("\t", "⇥") || "∅";
}

function Readings({ answer, index }: { answer: ReadAnswer; index: number }) {
  const rows = Object.entries(answer.readings).flatMap(([name, values]) => {
    const value = values[index];
    return value === undefined ? [] : [{ name, value }];
  });
  if (!rows.length) return null;
  return (
    <Table
      caption="Readings here"
      rows={rows}
      keyOf={({ name }) => name}
      columns={[
        { cell: ({ name }) => name },
        { isNumber: true, cell: ({ value }) => formatNumber(value) },
      ]}
    />
  );
}

function LikelyTokens({ reading, drawn }: { reading: TokenReading; drawn: string }) {
  return (
    <Table
      className="likely"
      caption="Likeliest here, at temperature 1"
      rows={reading.likeliest}
      rowClass={({ text }) => text.trim() === drawn.trim() ? "drawn" : undefined}
      columns={[
        { cell: ({ text }) => show(text) },
        {
          className: "share",
          cell: ({ text, probability }) => <meter min={0} max={1} value={probability} aria-label={`probability of ${text}`} />,
        },
        { isNumber: true, cell: ({ probability }) => formatPercent(probability) },
      ]}
    />
  );
}

interface LatentsProps extends Pick<TokenPanelProps, "colourBy" | "turnUp"> {
  latents: TokenReading["latents"];
}

function Latents({ latents, colourBy, turnUp }: LatentsProps) {
  return (
    <Table
      caption="Latents that are active here, the strongest of each dictionary"
      rows={latents}
      keyOf={({ name }) => name}
      columns={[
        { cell: ({ name }) => <a href={featureAddress(name)}>{name}</a> },
        { isNumber: true, cell: ({ activation }) => formatNumber(activation) },
        {
          isNumber: true,
          cell: ({ name }) => (
          <>
            {colourBy && (
              <button type="button" className="small" onClick={() => colourBy(name)}>
                Colour<span className="unseen"> by {name}</span>
              </button>
            )}{" "}
            <button type="button" className="small" onClick={() => turnUp(name)}>
              Dial<span className="unseen"> for {name}</span>
            </button>
          </>
          ),
        },
      ]}
    />
  );
}

/** The page of a latent. */
function featureAddress(name: string): string {
  const [dictionary = "", feature = ""] = name.split("/");
  return `${BASE}features${formatHash({ dictionary, feature })}`;
}

function LayerChart({ layers }: { layers: string }) {
  const draw = useCallback<ChartProps["draw"]>(
    (plot) => {
      const series = JSON.parse(layers) as TokenReading["layers"];
      const points = series.flatMap(({ feature, layers: numbers, values }) =>
        numbers.map((layer, i) => ({ feature, layer, value: values[i] })),
      );
      const colours = ["--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7"].map((name) => `var(${name})`);
      return {
        height: 200,
        marginLeft: 48,
        marginRight: 64,
        x: { label: "layer", tickFormat: "d", ticks: Math.min(8, series[0]?.layers.length ?? 1) },
        y: { label: "reading", grid: true, nice: true },
        color: { type: "categorical", domain: series.map(({ feature }) => feature), range: colours },
        marks: [
          plot.ruleY([0], { stroke: "var(--line)" }),
          plot.lineY(points, { x: "layer", y: "value", stroke: "feature", marker: "dot" }),
          plot.text(
            points,
            plot.selectLast({ x: "layer", y: "value", z: "feature", text: "feature", dx: 6, textAnchor: "start" }),
          ),
        ],
      };
    },
    [layers],
  );
  return (
    <figure>
      <Chart label="Readings by layer at this token" draw={draw} />
      <figcaption>Each layer&rsquo;s own vector, at that layer&rsquo;s output.</figcaption>
    </figure>
  );
}
