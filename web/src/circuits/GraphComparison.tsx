/** Two graphs node by node: what both say next, what both have, what only one has, and which edges changed. */

import type { Schemas } from "../api/client";
import { useServer } from "../api/use_server";
import { Table } from "../app/Table";
import { formatNumber, formatPercent } from "../state/format";

type Report = Schemas["GraphComparisonReport"];
type Listing = Schemas["GraphListing"];

interface GraphComparisonProps {
  report: Report;
  /** Of the first graph. */
  listing: Listing;
  first: string;
  second: string;
}

const RELATIONS: Record<NonNullable<Report["relation"]>, string> = {
  "tuned from": "one tuned from the other, or both from a third",
  "same weights, other precision": "the same weights in another precision",
  "same weights, earlier fingerprint": "the same weights under an earlier fingerprint",
  "as stated": "of which nothing is recorded",
};

const MOST = 15;
const FEW = 8;

export function GraphComparison({ report, listing, first, second }: GraphComparisonProps) {
  const query = new URLSearchParams({ run: second }).toString();
  const { value: other } = useServer<Listing>(`/v1/workbench/graph-facts?${query}`);
  return (
    <>
      <p>
        {report.n_shared} nodes are in both, {report.n_only_first} in {first} alone, {report.n_only_second} in {second}{" "}
        alone; {formatPercent(report.overlap)} of all nodes are shared.
        {report.relation && ` They are of two models, ${RELATIONS[report.relation]}, and read through one dictionary.`}
      </p>
      {other && <TargetTable first={first} second={second} listings={[listing, other]} />}
      <Table
        caption="Shared nodes whose influence changed most"
        rows={report.changed.slice(0, MOST)}
        keyOf={(node) => node.node}
        columns={[
          { head: "node", cell: (node) => node.node },
          { head: "means", cell: (node) => node.text },
          { head: `influence in ${first}`, isNumber: true, cell: (node) => formatPercent(node.influence) },
          { head: `in ${second}`, isNumber: true, cell: (node) => formatPercent(node.influence_in_the_second) },
        ]}
      />
      <Table
        caption="Edges between shared nodes that changed most"
        rows={report.edges.slice(0, FEW)}
        keyOf={(edge) => `${edge.source}/${edge.target}`}
        columns={[
          { head: "edge", cell: (edge) => `${edge.source} → ${edge.target}` },
          { head: `weight in ${first}`, isNumber: true, cell: (edge) => formatNumber(edge.weight) },
          { head: `in ${second}`, isNumber: true, cell: (edge) => formatNumber(edge.weight_in_the_second) },
        ]}
      />
      <div className="steps">
        <Alone run={first} nodes={report.only_first} />
        <Alone run={second} nodes={report.only_second} />
      </div>
    </>
  );
}

function Alone({ run, nodes }: { run: string; nodes: Report["only_first"] }) {
  if (!nodes.length) return <p className="quiet">Nothing is in {run} alone.</p>;
  return (
    <Table
      caption={`In ${run} alone, the most influential`}
      rows={nodes.slice(0, FEW)}
      keyOf={(node) => node.node}
      columns={[
        { head: "node", cell: (node) => node.node },
        { head: "at", cell: (node) => node.token },
        { head: "influence", isNumber: true, cell: (node) => formatPercent(node.influence) },
      ]}
    />
  );
}

interface TargetTableProps {
  first: string;
  second: string;
  listings: readonly [Listing, Listing];
}

/** What each of them explains, by its weight among the next tokens. */
function TargetTable({ first, second, listings }: TargetTableProps) {
  const labels = [...new Set(listings.flatMap(({ targets }) => targets.map(({ label }) => nameOf(label))))];
  const weight = (listing: Listing, name: string) =>
    listing.targets.find(({ label }) => nameOf(label) === name)?.weight ?? null;
  const show = (value: number | null) => (value === null ? "–" : formatPercent(value));
  return (
    <Table
      caption="The next tokens that are explained, with their probability"
      rows={labels.slice(0, FEW)}
      keyOf={(name) => name}
      columns={[
        { head: "token", cell: (name) => name },
        { head: first, isNumber: true, cell: (name) => show(weight(listings[0], name)) },
        { head: second, isNumber: true, cell: (name) => show(weight(listings[1], name)) },
      ]}
    />
  );
}

/** A target without its probability, which the two graphs do not share. */
function nameOf(label: string): string {
  return label.replace(/ \(p=[\d.]+\)$/, "");
}
