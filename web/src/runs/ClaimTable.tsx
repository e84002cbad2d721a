/** The claims of a study: what was needed, what was measured, what the paper has, and whether it holds. */

import type { Schemas } from "../api/client";

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
      <div className="wide">
        <table className="claims">
          <thead>
            <tr>
              <th scope="col">claim</th>
              <th scope="col">about</th>
              <th scope="col">needed</th>
              <th scope="col">measured</th>
              <th scope="col">published</th>
              <th scope="col">holds</th>
            </tr>
          </thead>
          <tbody>
            {claims.map((claim, number) => (
              <tr key={number}>
                <th scope="row">{claim.statement}</th>
                <td>{claim.subject}</td>
                <td>{claim.needed ?? "only reported"}</td>
                <td>
                  {claim.measured}
                  {Object.entries(claim.beside).map(([name, text]) => (
                    <div key={name} className="quiet">
                      {name}: {text}
                    </div>
                  ))}
                </td>
                <td>{claim.published ?? "–"}</td>
                <td>
                  <span className={`state ${claim.holds === null ? "" : claim.holds ? "done" : "failed"}`}>
                    {describeVerdict(claim)}
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

/** In a word; what does not hold is loud. */
export function describeVerdict(claim: Pick<Claim, "holds">): string {
  return claim.holds === null ? "reported" : claim.holds ? "yes" : "NO";
}
