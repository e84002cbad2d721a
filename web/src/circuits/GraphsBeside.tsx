/** A graph beside others: the share of paraphrases that keep each edge, and two graphs compared node by node. */

import type { Schemas } from "../api/client";
import { useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { Table } from "../app/Table";
import { formatNumber, formatPercent } from "../state/format";
import { GraphComparison } from "./GraphComparison";

type Listing = Schemas["GraphListing"];

/** Whose graph it is, where it is not of the served model as it is. */
export function describeModel({ tune, steered }: Pick<Schemas["GraphCard"], "tune" | "steered">): string {
  return [tune && `of ${tune}`, steered && "under steering"].filter(Boolean).join(", ");
}

interface GraphsBesideProps {
  graph: Listing;
  run: string;
  others: readonly Schemas["GraphCard"][];
  chosen: readonly string[];
  setChosen: (chosen: readonly string[]) => void;
}

export function GraphsBeside({ graph, run, others, chosen: asked, setChosen }: GraphsBesideProps) {
  const chosen = asked.filter((name) => others.some((one) => one.run === name));
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
        With one graph, both are compared node by node; it may be of a tune of the model, or of the model under steering.
      </p>
      <fieldset className="traits-choice feature-choice">
        <legend>Other graphs</legend>
        {others.map((one) => (
          <label key={one.run} className="check">
            <input
              type="checkbox"
              checked={chosen.includes(one.run)}
              onChange={() =>
                setChosen(
                  chosen.includes(one.run) ? chosen.filter((name) => name !== one.run) : [...chosen, one.run],
                )
              }
            />
            <span>
              {one.run} <span className="quiet">{describeModel(one)}</span>
            </span>
          </label>
        ))}
      </fieldset>
      {stability.error && <ErrorNote text={stability.error} />}
      {stability.value && <StabilityTable reply={stability.value} />}
      {comparison.error && <ErrorNote text={comparison.error} />}
      {comparison.value && first && (
        <GraphComparison report={comparison.value} listing={graph} first={run} second={first} />
      )}
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
      <Table
        className="stability"
        rows={reply.edges}
        keyOf={(edge) => `${edge.source}/${edge.target}`}
        columns={[
          { head: "edge", cell: (edge) => (<>{edge.source} → {edge.target}</>) },
          { head: "weight", isNumber: true, cell: (edge) => formatNumber(edge.weight) },
          {
            head: "kept by",
            cell: (edge) => edge.possible === 0 ? (
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
            ),
          },
        ]}
      />
    </>
  );
}
