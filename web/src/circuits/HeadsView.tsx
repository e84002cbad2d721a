/** Attention in a graph: the heads that carry its strongest edges, and why a head looked where it did. */

import { useState } from "react";
import { type Schemas, askJson } from "../api/client";
import { useAction } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { Table } from "../app/Table";
import { formatNumber, formatPercent } from "../state/format";

type Report = Schemas["HeadsReport"];

interface HeadsViewProps {
  run: string;
  heads: readonly Report[];
  canStart: boolean;
}

export function HeadsView({ run: name, heads, canStart }: HeadsViewProps) {
  const [head, setHead] = useState("");
  const { run, busy, error } = useAction();
  const isHead = /^\d+\.\d+$/.test(head);
  const submit = () =>
    run(async () => {
      const body: Schemas["HeadsRequest"] = { run: name, query: -1, ...(isHead ? { head } : {}) };
      await askJson("/v1/workbench/heads", { body });
    });
  return (
    <section>
      <h2>Heads</h2>
      {canStart && (
        <form
          className="act"
          onSubmit={(event) => {
            event.preventDefault();
            submit();
          }}
        >
          <label>
            Head{" "}
            <input size={6} placeholder="all edges" value={head} onChange={(event) => setHead(event.target.value.trim())} />
          </label>
          <button type="submit" disabled={busy || (head !== "" && !isHead)}>
            {isHead ? "Why did it look there?" : "Which heads carry the edges?"}
          </button>
          <span className="quiet">a head as LAYER.HEAD, such as 2.1; of the last token</span>
        </form>
      )}
      {error && <ErrorNote text={error} />}
      {heads.map((report, number) => (
        <div key={heads.length - number}>
          {report.edges && <EdgeHeads report={report} />}
          {report.score && <ScoreView report={report} score={report.score} />}
        </div>
      ))}
    </section>
  );
}

function EdgeHeads({ report }: { report: Report }) {
  return (
    <Table
      caption={(<>Head loadings: what each head carries of an edge, in the edge&rsquo;s units</>)}
      rows={report.edges ?? []}
      keyOf={(edge) => `${edge.source}/${edge.target}`}
      columns={[
        {
          head: "edge",
          cell: (edge) => (
          <>
            {edge.source} <span className="quiet">{report.texts[edge.source]}</span> → {edge.target}{" "}
            <span className="quiet">{report.texts[edge.target]}</span>
          </>
          ),
        },
        { head: "weight", isNumber: true, cell: (edge) => formatNumber(edge.weight) },
        {
          head: "heads",
          cell: (edge) => edge.heads.map((one) => `${one.layer}.${one.head} ${formatNumber(one.value, 2)}`).join(", ") || "none",
        },
      ]}
    />
  );
}

function ScoreView({ report, score }: { report: Report; score: Schemas["QKScore"] }) {
  const token = (position: number) => JSON.stringify(report.tokens[position] ?? "");
  return (
    <Table
      caption={(
    <>
      QK: head {score.layer}.{score.head} at {score.query} {token(score.query)} looks {formatPercent(score.attention)}{" "}
      at {score.key} {token(score.key)}, score {formatNumber(score.score)}
    </>
    )}
      rows={score.pairs}
      columns={[
        {
          head: "of the query",
          cell: (pair) => (<>{pair.query} <span className="quiet">{report.texts[pair.query]}</span></>),
        },
        {
          head: "of the key",
          cell: (pair) => (<>{pair.key} <span className="quiet">{report.texts[pair.key]}</span></>),
        },
        { head: "adds", isNumber: true, cell: (pair) => formatNumber(pair.value) },
      ]}
    />
  );
}
