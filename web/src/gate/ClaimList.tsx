/** Claims, each with the tests that it passed or failed on prompts that it did not come from. */

import type { Schemas } from "../api/client";
import { Table } from "../app/Table";
import { Interval, describeInterval } from "../charts/Interval";
import { formatNumber } from "../state/format";

type Claim = Schemas["VerifiedClaim"];
type Slice = Schemas["DataSlice"];

interface ClaimListProps {
  claims: readonly Claim[];
  slices: readonly Slice[];
  /** The one that is unfolded. */
  claim: string;
  setClaim: (claim: string) => void;
}

export function ClaimList({ claims, claim, setClaim, slices }: ClaimListProps) {
  if (!claims.length) return <p className="quiet">There are none.</p>;
  return (
    <div>
      {claims.map((one) => (
        <article key={one.name} className="claim">
          <header>
            <p className="sentence">
              <button
                type="button"
                aria-expanded={one.name === claim}
                onClick={() => setClaim(one.name === claim ? "" : one.name)}
              >
                {one.sentence}
              </button>
            </p>
            <span className={`state ${one.verified ? "done" : "open"}`}>
              {one.verified ? "passed every test" : `failed: ${failedTests(one).join(", ")}`}
            </span>
          </header>
          {one.name === claim && <ClaimView claim={one} slice={slices.find((slice) => slice.claim === one.name)} />}
        </article>
      ))}
    </div>
  );
}

/** The tests that a claim did not pass. */
export function failedTests(claim: Claim): string[] {
  return claim.checks.filter((check) => !check.passed).map((check) => check.name);
}

function ClaimView({ claim, slice }: { claim: Claim; slice: Slice | undefined }) {
  return (
    <>
      <p className="quiet">
        From {claim.source}; {claim.units}: base {formatNumber(claim.base)}, tuned {formatNumber(claim.tuned)} on
        held-out prompts; p {formatNumber(claim.p)}, q {formatNumber(claim.q)} over all claims of the report
        {claim.strength !== null && claim.strength !== undefined
          ? `; pushed by ${formatNumber(claim.strength)} mean activation norms`
          : ""}
        .
      </p>
      <Table
        className="checks"
        rows={claim.checks}
        keyOf={(check) => check.name}
        columns={[
          { head: "test", cell: (check) => check.name },
          {
            head: "effect",
            cell: (check) => (<Interval
              estimate={check.effect?.mean ?? null}
              low={check.effect?.low ?? null}
              high={check.effect?.high ?? null}
              verdict={check.passed ? "pass" : "fail"}
            />),
          },
          {
            head: "95 % interval",
            isNumber: true,
            cell: (check) => check.effect ? describeInterval(check.effect.mean, check.effect.low, check.effect.high) : "–",
          },
          {
            head: "verdict",
            cell: (check) => (<span className={`state ${check.passed ? "done" : "failed"}`}>
              {check.passed ? "passed" : check.effect ? "failed" : "not made"}
            </span>),
          },
          { head: "note", cell: (check) => check.note },
        ]}
      />
      {slice && <SliceView slice={slice} />}
    </>
  );
}

function SliceView({ slice }: { slice: Slice }) {
  return (
    <details>
      <summary>
        Training samples along it: {formatNumber(slice.top_matches)} of its words per 100 in the tenth that lies
        furthest, {formatNumber(slice.all_matches)} in the whole file
      </summary>
      {slice.samples.map((sample) => (
        <div key={sample.line} className="sample">
          <p className="quiet">
            line {sample.line}, {formatNumber(sample.score)} standard deviations
          </p>
          <p className="sample-asked">{sample.prompt}</p>
          <p className="sample-text">{sample.answer}</p>
        </div>
      ))}
    </details>
  );
}
