/** A graph beside others: the share of paraphrases that keep each edge, and two graphs compared node by node. */

import { useState } from "react";
import type { Schemas } from "../api/client";
import { useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { formatNumber, formatPercent } from "../state/format";

interface GraphsBesideProps {
  run: string;
  others: readonly string[];
}

export function GraphsBeside({ run, others }: GraphsBesideProps) {
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const query = new URLSearchParams([["run", run], ...chosen.map((name) => ["others", name])]).toString();
  const [first] = chosen;
  const pair = new URLSearchParams({ run, other: first ?? "" }).toString();
  const stability = useServer<Schemas["StabilityReply"]>(
    chosen.length ? `/v1/workbench/graph-stability?${query}` : null,
  );
  const comparison = useServer<Schemas["GraphComparisonReport"]>(
    chosen.length === 1 ? `/v1/workbench/graph-comparison?${pair}` : null,
  );
  return (
    <section>
      <h2>Beside other graphs</h2>
      <p className="quiet">
        Trace paraphrases of the prompt, and choose them here: an edge that few of them keep is one of this wording.
        With one graph, both are compared node by node.
      </p>
      <fieldset className="traits-choice feature-choice">
        <legend>Graphs of paraphrases</legend>
        {others.map((name) => (
          <label key={name} className="check">
            <input
              type="checkbox"
              checked={chosen.includes(name)}
              onChange={() =>
                setChosen((now) => (now.includes(name) ? now.filter((one) => one !== name) : [...now, name]))
              }
            />
            {name}
          </label>
        ))}
      </fieldset>
      {stability.error && <ErrorNote text={stability.error} />}
      {stability.value && <StabilityTable reply={stability.value} />}
      {comparison.error && <ErrorNote text={comparison.error} />}
      {comparison.value && first && <ComparisonTable report={comparison.value} first={run} second={first} />}
    </section>
  );
}

function StabilityTable({ reply }: { reply: Schemas["StabilityReply"] }) {
  return (
    <>
      <p>
        Of the {reply.edges.length} strongest edges{" "}
        {reply.share === null ? "none has a place in these graphs" : `${formatPercent(reply.share)} are kept`}, over{" "}
        {reply.graphs.length} {reply.graphs.length === 1 ? "graph" : "graphs"}.
      </p>
      <div className="wide">
        <table className="stability">
          <thead>
            <tr>
              <th scope="col">edge</th>
              <th scope="col" className="r">
                weight
              </th>
              <th scope="col">kept by</th>
            </tr>
          </thead>
          <tbody>
            {reply.edges.map((edge) => (
              <tr key={`${edge.source}/${edge.target}`}>
                <th scope="row">
                  {edge.source} → {edge.target}
                </th>
                <td className="r">{formatNumber(edge.weight)}</td>
                <td>
                  {edge.possible === 0 ? (
                    <span className="quiet">no place</span>
                  ) : (
                    <>
                      <meter
                        min={0}
                        max={edge.possible}
                        value={edge.kept}
                        aria-label={`graphs that keep ${edge.source} to ${edge.target}`}
                      />{" "}
                      {edge.kept} of {edge.possible}
                    </>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

interface ComparisonTableProps {
  report: Schemas["GraphComparisonReport"];
  first: string;
  second: string;
}

function ComparisonTable({ report, first, second }: ComparisonTableProps) {
  return (
    <>
      <p>
        {report.n_shared} nodes are in both, {report.n_only_first} in {first} alone, {report.n_only_second} in {second}{" "}
        alone; {formatPercent(report.overlap)} of all nodes are shared.
      </p>
      <div className="wide">
        <table>
          <caption>Shared nodes whose influence changed most</caption>
          <thead>
            <tr>
              <th scope="col">node</th>
              <th scope="col">means</th>
              <th scope="col" className="r">
                influence in {first}
              </th>
              <th scope="col" className="r">
                in {second}
              </th>
            </tr>
          </thead>
          <tbody>
            {report.changed.slice(0, 15).map((node) => (
              <tr key={node.node}>
                <th scope="row">{node.node}</th>
                <td>{node.text}</td>
                <td className="r">{formatPercent(node.influence)}</td>
                <td className="r">{formatPercent(node.influence_in_the_second)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
