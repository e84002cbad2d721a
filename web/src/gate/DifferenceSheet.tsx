/** What tuning changed: claims with their tests beside the null, and the ladder that they came from. */

import type { Schemas } from "../api/client";
import { useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { Table } from "../app/Table";
import { describeInterval } from "../charts/Interval";
import { formatNumber, formatPercent } from "../state/format";
import { ClaimList } from "./ClaimList";
import { shortName } from "./GatePage";
import { LadderView } from "./LadderView";

type Difference = Schemas["ModelDifference"];

interface DifferenceSheetProps {
  run: string;
  claim: string;
  setClaim: (claim: string) => void;
}

export function DifferenceSheet({ run, claim, setClaim }: DifferenceSheetProps) {
  const query = new URLSearchParams({ run }).toString();
  const { value: result, error } = useServer<Difference>(`/v1/workbench/difference?${query}`);
  if (error) return <ErrorNote text={error} />;
  if (!result) return <p className="quiet">Reading…</p>;
  const verified = result.claims.filter((one) => one.verified);
  return (
    <>
      <header className="sheet-head">
        <h2>
          What changed from {shortName(result.base)} to {shortName(result.tuned)}
        </h2>
        <span className="quiet">
          {result.relation}; claims were made on {result.n_discovery} prompts and tested on {result.n_held_out} others
        </span>
      </header>
      {result.notes.map((note, number) => (
        <p key={number} className="quiet">
          {note}
        </p>
      ))}
      <section>
        <h2>Claims</h2>
        <p className={`verdict small-verdict ${verified.length ? "done" : ""}`}>
          {verified.length} of {result.claims.length} claims passed every test. <NullLine result={result} />
        </p>
        <ClaimList claims={result.claims} claim={claim} setClaim={setClaim} slices={result.slices} />
      </section>
      {result.nulls.length > 0 && <NullView nulls={result.nulls} />}
      {result.baseline.length > 0 && (
        <section>
          <h2>From the answers alone</h2>
          <p className="quiet">
            What a reader says who cannot look inside. These claims have no direction, so no causal test.
          </p>
          <ClaimList claims={result.baseline} claim={claim} setClaim={setClaim} slices={[]} />
        </section>
      )}
      <LadderView result={result} />
    </>
  );
}

function NullLine({ result }: { result: Difference }) {
  const rate = result.null_rate;
  if (!rate || !rate.n) {
    return <>No harmless tune says how many would pass by chance.</>;
  }
  return (
    <>
      Of {rate.n} claims about harmless tunes {rate.hits} passed ({formatPercent(rate.low)} to {formatPercent(rate.high)}
      {"), "}
      which lets expect {formatNumber(result.expected_false, 2)} false ones here.
    </>
  );
}

function NullView({ nulls }: { nulls: Difference["nulls"] }) {
  return (
    <section>
      <h2>The null: harmless tunes</h2>
      <Table
        rows={nulls}
        keyOf={(one) => one.fingerprint}
        columns={[
          {
            head: "harmless tune",
            cell: (one) => (<>{shortName(one.model)} {one.made && <span className="quiet">(made by the same recipe)</span>}</>),
          },
          {
            head: "how far it moved, KL in nats a token",
            isNumber: true,
            cell: (one) => describeInterval(one.kl.mean, one.kl.low, one.kl.high),
          },
          { head: "its claims", isNumber: true, cell: (one) => one.claims.length },
          { head: "that pass", isNumber: true, cell: (one) => one.claims.filter((claim) => claim.verified).length },
        ]}
      />
    </section>
  );
}
