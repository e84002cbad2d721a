/** What a tool told: its findings, the strongest first, each with the evidence it rests on. */

import type { Schemas } from "../api/client";
import { formatNumber } from "../state/format";

interface ReportViewProps {
  report: Schemas["ToolReport"];
  number: number;
  open: boolean;
  marked: readonly string[];
  /** Marks a piece of evidence, or takes its mark away; absent once the game has ended. */
  mark?: (id: string) => void;
}

export function ReportView({ report, number, open, marked, mark }: ReportViewProps) {
  const texts = new Map(report.evidence.map((one) => [one.id, one.text]));
  return (
    <details className="report" open={open}>
      <summary>
        {number}. {report.tool.replaceAll("_", " ")}: {report.summary}{" "}
        <span className="quiet">
          {report.price.tokens.toLocaleString("en-GB")} tokens, {formatNumber(report.price.seconds)} s
        </span>
      </summary>
      <ol className="findings">
        {report.findings.map((finding, place) => (
          <li key={place}>
            <p className="finding">
              {finding.what} {finding.score !== null && <span className="quiet">{formatNumber(finding.score)}</span>}
            </p>
            {finding.evidence.map((id) => (
              <p key={id} className="sample-text evidence">
                {mark ? (
                  <button
                    type="button"
                    className="small"
                    aria-pressed={marked.includes(id)}
                    title="Let it speak for the verdict"
                    onClick={() => mark(id)}
                  >
                    {id}
                  </button>
                ) : (
                  <span className="quiet">{id}</span>
                )}{" "}
                {texts.get(id)}
              </p>
            ))}
          </li>
        ))}
      </ol>
    </details>
  );
}
