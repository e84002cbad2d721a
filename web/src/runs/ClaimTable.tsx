/** The claims of a study: what was needed, what was measured, what the paper has, and whether it holds. */

import type { Schemas } from "../api/client";
import { Table } from "../app/Table";

type Claim = Schemas["StudyClaim"];

export function ClaimTable({ claims }: { claims: readonly Claim[] }) {
  const hold = claims.filter((claim) => claim.holds === true).length;
  const fail = claims.filter((claim) => claim.holds === false).length;
  const reported = claims.length - hold - fail;
  return (
    <section>
      <h2>Claims</h2>
      <p className="quiet">
        {hold} hold, {fail} do not{reported > 0 && `, ${reported} are only reported`}. What is needed was set before
        measuring.
      </p>
      <Table
        className="claims"
        rows={claims}
        columns={[
          { head: "claim", cell: (claim) => claim.statement },
          { head: "about", cell: (claim) => claim.subject },
          { head: "needed", cell: (claim) => claim.needed ?? "only reported" },
          {
            head: "measured",
            cell: (claim) => (
            <>
              {claim.measured}
              {Object.entries(claim.beside).map(([name, text]) => (
                <div key={name} className="quiet">
                  {name}: {text}
                </div>
              ))}
            </>
            ),
          },
          { head: "published", cell: (claim) => claim.published ?? "–" },
          {
            head: "holds",
            cell: (claim) => (<span className={`state ${claim.holds === null ? "" : claim.holds ? "done" : "failed"}`}>
              {describeVerdict(claim)}
            </span>),
          },
        ]}
      />
    </section>
  );
}

/** In a word; what does not hold is loud. */
export function describeVerdict(claim: Pick<Claim, "holds">): string {
  return claim.holds === null ? "reported" : claim.holds ? "yes" : "NO";
}
