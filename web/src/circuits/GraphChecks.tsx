/** How far to trust a graph: supernodes with scores, interventions beside its predictions, heads, other graphs. */

import { useState } from "react";
import { type Schemas, askJson } from "../api/client";
import { useAction, useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { Table } from "../app/Table";
import { formatNumber, formatPercent } from "../state/format";
import { readNumber } from "../state/values";
import { GraphsBeside } from "./GraphsBeside";
import { HeadsView } from "./HeadsView";
import { InterventionResult } from "./InterventionResult";

type Listing = Schemas["GraphListing"];

interface GraphChecksProps {
  run: string;
  others: readonly Schemas["GraphCard"][];
  /** Of the model under steering, in which nothing can be changed. */
  isSteered: boolean;
  beside: readonly string[];
  setBeside: (beside: readonly string[]) => void;
  canStart: boolean;
}

const RESULTS_MS = 3000;
/** Members of a group that are named without asking for more. */
const FEW = 5;

export function GraphChecks({ run, others, isSteered, beside, setBeside, canStart }: GraphChecksProps) {
  const query = new URLSearchParams({ run }).toString();
  const { value: graph, error } = useServer<Listing>(`/v1/workbench/graph-facts?${query}`);
  const results = useServer<Schemas["GraphResults"]>(`/v1/workbench/graph-results?${query}`, RESULTS_MS);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  if (error) return <ErrorNote text={error} />;
  if (!graph) return <p className="quiet">Reading…</p>;
  const labels = new Map(graph.nodes.map((node) => [node.node, node.text]));
  const toggle = (nodes: readonly string[]) =>
    setChosen((now) => {
      const isIn = nodes.every((node) => now.includes(node));
      return isIn ? now.filter((node) => !nodes.includes(node)) : [...new Set([...now, ...nodes])];
    });
  return (
    <>
      <section>
        <h2>Supernodes of {run}</h2>
        <p className="quiet">
          A score says how much closer the members of a group are to each other than to the next group; automatic groups
          have one.
        </p>
        <Supernodes graph={graph} chosen={chosen} toggle={toggle} />
      </section>
      <section>
        <h2>Interventions</h2>
        {isSteered ? (
          <p className="quiet">
            This graph is of the model under steering, and changes are made in the model as it is: trace the prompt
            unsteered to check it.
          </p>
        ) : (
          <Intervene graph={graph} run={run} chosen={chosen} toggle={toggle} canStart={canStart} />
        )}
        {results.error && <ErrorNote text={results.error} />}
        {results.value?.interventions.map((one) => (
          <InterventionResult key={one.number} result={one} labels={labels} />
        ))}
      </section>
      {!isSteered && <HeadsView run={run} heads={results.value?.heads ?? []} canStart={canStart} />}
      {others.length > 0 && (
        <GraphsBeside graph={graph} run={run} others={others} chosen={beside} setChosen={setBeside} />
      )}
    </>
  );
}

interface ChoiceProps {
  graph: Listing;
  chosen: readonly string[];
  toggle: (nodes: readonly string[]) => void;
}

const isFeature = (node: string) => /^\d+_\d+_\d+$/.test(node);

function Supernodes({ graph, chosen, toggle }: ChoiceProps) {
  const groups = graph.supernodes ?? [];
  if (!groups.length) return <p className="quiet">No groups were found in it.</p>;
  const rows = groups.map((group) => ({ ...group, features: group.members.filter(isFeature) }));
  return (
    <Table
      className="roomy"
      rows={rows}
      keyOf={(group) => group.label}
      columns={[
        { head: "group", cell: (group) => group.label },
        { head: "score", isNumber: true, cell: (group) => formatNumber(group.score, 2) },
        { head: "members", cell: ({ members }) => <Members members={members} /> },
        {
          head: "",
          isNumber: true,
          cell: ({ label, features }) =>
            features.length > 0 && (
              <button
                type="button"
                className="small"
                aria-pressed={features.every((node) => chosen.includes(node))}
                onClick={() => toggle(features)}
              >
                Change<span className="unseen"> {label}</span>
              </button>
            ),
        },
      ]}
    />
  );
}

function Members({ members }: { members: readonly string[] }) {
  if (members.length <= FEW) return members.join(", ");
  return (
    <details>
      <summary>
        {members.slice(0, FEW).join(", ")} and {members.length - FEW} more
      </summary>
      {members.slice(FEW).join(", ")}
    </details>
  );
}

interface InterveneProps extends ChoiceProps {
  run: string;
  canStart: boolean;
}

function Intervene({ graph, run: name, chosen, toggle, canStart }: InterveneProps) {
  const [factor, setFactor] = useState("0");
  const { run, busy, error } = useAction();
  const [isSent, setSent] = useState(false);
  const features = graph.nodes.filter((node) => isFeature(node.node)).slice(0, 20);
  if (!canStart) return <p className="quiet">To intervene here, start the server with --runs FOLDER.</p>;
  const submit = () =>
    run(async () => {
      const body: Schemas["InterveneRequest"] = {
        run: name,
        nodes: [...chosen],
        factor: readNumber(factor, 0, -100, 100),
        mode: "open",
        generate: 12,
      };
      await askJson("/v1/workbench/interventions", { body });
      setSent(true);
    });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <fieldset className="traits-choice feature-choice">
        <legend>Features to change, the most influential first</legend>
        {features.map((node) => (
          <label key={node.node} className="check">
            <input type="checkbox" checked={chosen.includes(node.node)} onChange={() => toggle([node.node])} />
            <span>
              {node.node} <span className="quiet">at {node.token}</span> {node.text}{" "}
              <span className="quiet">influence {formatPercent(node.influence)}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <p className="act">
        <label>
          multiply by{" "}
          <input
            inputMode="decimal"
            size={4}
            value={factor}
            onChange={(event) => setFactor(event.target.value)}
          />
        </label>
        <button type="submit" className="main-action" disabled={busy || !chosen.length}>
          Change {chosen.length || ""} {chosen.length === 1 ? "feature" : "features"}
        </button>
        {isSent && <span className="quiet">The result stands below when it is done.</span>}
      </p>
      {error && <ErrorNote text={error} />}
    </form>
  );
}
