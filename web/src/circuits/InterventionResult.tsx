/** What became of a change: the next token and the answer, and what the graph had foretold. */

import { useCallback } from "react";
import { Table } from "../app/Table";
import type { Schemas } from "../api/client";
import { Chart, type ChartProps } from "../charts/Chart";
import { describeInterval } from "../charts/Interval";
import { formatNumber, formatPercent } from "../state/format";

type Validation = Schemas["GraphValidation"];

interface InterventionResultProps {
  result: Schemas["InterventionView"];
  labels: ReadonlyMap<string, string>;
}

export function InterventionResult({ result, labels }: InterventionResultProps) {
  const { report, validation } = result;
  return (
    <details className="report" open>
      <summary>
        {result.number}.{" "}
        {validation
          ? `${validation.changed.join(", ")} × ${formatNumber(validation.factor)}`
          : `${report.changes} changed`}{" "}
        <span className="quiet">mode {report.mode}</span>
      </summary>
      <div className="steps">
        <div>
          <Table
            className="outcome"
            caption="The next token, all changes at once"
            rows={report.tokens}
            columns={[
              { head: "token", cell: (one) => JSON.stringify(one.token) },
              { head: "without", isNumber: true, cell: (one) => formatPercent(one.before) },
              { head: "with", isNumber: true, cell: (one) => formatPercent(one.after) },
            ]}
          />
          {report.texts && (
            <>
              <p className="quiet">written without</p>
              <p className="sample-text">{report.texts.before}</p>
              <p className="quiet">written with</p>
              <p className="sample-text">{report.texts.after}</p>
            </>
          )}
        </div>
        <div>
          {validation ? (
            <Agreement validation={validation} labels={labels} />
          ) : (
            <p className="quiet">What the graph foretold is being measured.</p>
          )}
        </div>
      </div>
    </details>
  );
}

function Agreement({ validation, labels }: { validation: Validation; labels: ReadonlyMap<string, string> }) {
  const { overall, predicted, actual, nodes } = validation;
  const draw = useCallback<ChartProps["draw"]>(
    (plot) => {
      const points = predicted.map((value, pair) => ({ predicted: value, actual: actual[pair] ?? 0 }));
      return {
        height: 260,
        marginLeft: 56,
        x: { label: "foretold change", grid: true, nice: true },
        y: { label: "actual change", grid: true, nice: true },
        marks: [
          plot.ruleX([0], { stroke: "var(--line)" }),
          plot.ruleY([0], { stroke: "var(--line)" }),
          plot.line(
            [
              [Math.min(...predicted, 0), Math.min(...predicted, 0)],
              [Math.max(...predicted, 0), Math.max(...predicted, 0)],
            ],
            { stroke: "var(--muted)", strokeDasharray: "3 3" },
          ),
          plot.dot(points, { x: "predicted", y: "actual", fill: "var(--c1)", fillOpacity: 0.5, r: 3 }),
        ],
      };
    },
    [predicted, actual],
  );
  const largest = predicted
    .map((value, pair) => ({ node: nodes[pair] ?? "", predicted: value, actual: actual[pair] ?? 0 }))
    .sort((one, other) => Math.abs(other.actual) - Math.abs(one.actual))
    .slice(0, 8);
  return (
    <>
      <p>
        Foretold against actual, each feature changed on its own: r {describeInterval(overall.r, overall.low, overall.high)}
        , signs agree {overall.sign_agreement === null ? "–" : formatPercent(overall.sign_agreement)}
        {overall.slope !== null && overall.slope !== undefined && `, slope ${formatNumber(overall.slope)}`}, {overall.pairs}{" "}
        pairs.
      </p>
      <Chart label="Foretold and actual changes of the nodes that were measured" draw={draw} />
      <Table
        caption="Largest actual changes"
        rows={largest}
        columns={[
          { head: "node", cell: (one) => (<>{one.node} <span className="quiet">{labels.get(one.node)}</span></>) },
          { head: "foretold", isNumber: true, cell: (one) => formatNumber(one.predicted) },
          { head: "actual", isNumber: true, cell: (one) => formatNumber(one.actual) },
        ]}
      />
    </>
  );
}
