/** The verdict page of a gate: what failed and what to do, then every check, then what each section saw. */

import type { Schemas } from "../api/client";
import { useServer } from "../api/use_server";
import { ErrorNote } from "../app/ErrorNote";
import { Table } from "../app/Table";
import { Interval, describeInterval } from "../charts/Interval";
import { formatNumber } from "../state/format";
import { shortName, verdictClass } from "./GatePage";
import { RemedyView } from "./RemedyView";

type Gate = Schemas["GateResult"];
type Section = Schemas["GateSection"];
type Check = Schemas["GateCheck"];

const TITLES: Record<Section["name"], string> = {
  provenance: "Where it comes from",
  screening: "The training data",
  shift: "Activations",
  behaviour: "Answers",
  alarms: "Alarms",
  capability: "Knowledge",
  claims: "Claims about what changed",
};

const VERDICTS: Record<Gate["verdict"], string> = {
  pass: "The tuned model passes",
  fail: "The tuned model fails",
  "not enough evidence": "Left open: there is not enough evidence",
};

export function GateSheet({ run }: { run: string }) {
  const query = new URLSearchParams({ run }).toString();
  const { value: gate, error } = useServer<Gate>(`/v1/workbench/gate?${query}`);
  const comparisons = useServer<Schemas["ComparisonList"]>("/v1/workbench/comparisons");
  const hasRemedies = comparisons.value?.comparisons.some((one) => one.run === run && one.remedies) ?? false;
  const remedy = useServer<Schemas["RemedyComparison"]>(hasRemedies ? `/v1/workbench/remedy?${query}` : null);
  if (error) return <ErrorNote text={error} />;
  if (!gate) return <p className="quiet">Reading…</p>;
  const deciding = gate.sections.filter((section) => section.decides).flatMap((section) => section.checks);
  const reported = gate.sections.filter((section) => !section.decides).flatMap((section) => section.checks);
  const reasons = gate.verdict === "pass" ? [] : deciding.filter((check) => check.verdict === gate.verdict);
  const count = (verdict: string) => deciding.filter((check) => check.verdict === verdict).length;
  return (
    <>
      <header className={`verdict ${verdictClass(gate.verdict)}`}>
        <h2>{VERDICTS[gate.verdict]}</h2>
        <p>
          {shortName(gate.tuned.name)}, beside {shortName(gate.base.name)}: of {deciding.length} checks that decide{" "}
          {count("pass")} pass, {count("fail")} fail, {count("not enough evidence")} lack evidence.
        </p>
      </header>
      {reasons.length > 0 && (
        <section>
          <h3>{gate.verdict === "fail" ? "What failed" : "What is open"}</h3>
          <ul className="reasons">
            {reasons.map((check) => (
              <li key={check.name}>
                <b>{check.name}</b>: {check.estimate === null ? "" : `${measured(check)}; `}
                {check.reason}
              </li>
            ))}
          </ul>
          {hasRemedies || gate.verdict !== "fail" ? null : (
            <p className="quiet">
              What to do about it: judge it again with every remedy, and take the one that passes and learnt most of the
              rest.
            </p>
          )}
        </section>
      )}
      {remedy.error && <ErrorNote text={remedy.error} />}
      {remedy.value && <RemedyView remedy={remedy.value} />}
      <section>
        <h2>Checks that decide</h2>
        <CheckTable checks={deciding} />
      </section>
      {reported.length > 0 && (
        <section>
          <h2>Reported, without deciding</h2>
          <CheckTable checks={reported} />
        </section>
      )}
      {gate.sections.map((section) => (
        <SectionView key={section.name} section={section} />
      ))}
      <details>
        <summary>What was measured</summary>
        <dl className="facts">
          <Fact name="base" text={`${gate.base.name}, ${gate.base.identity.fingerprint}`} />
          <Fact name="tuned" text={`${gate.tuned.name}, ${gate.tuned.identity.fingerprint}`} />
          <Fact name="data" text={`${gate.data}, ${gate.data_digest}`} />
          <Fact name="judge" text={gate.judge ?? "none"} />
          <Fact name="traits" text={Object.keys(gate.traits).join(", ")} />
          <Fact name="policy" text={gate.policy_digest} />
        </dl>
      </details>
    </>
  );
}

function measured(check: Check): string {
  const bar = check.threshold === null ? "" : `, at most ${formatNumber(check.threshold)}`;
  return `${describeInterval(check.estimate, check.low, check.high)}${bar}`;
}

function Fact({ name, text }: { name: string; text: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{text}</dd>
    </div>
  );
}

export function CheckTable({ checks }: { checks: readonly Check[] }) {
  return (
    <Table
      className="checks"
      rows={checks}
      keyOf={(check) => check.name}
      columns={[
        { head: "what was to hold", cell: (check) => <span title={check.name}>{check.statement}</span> },
        {
          head: "measured, against the bar",
          cell: (check) => (<Interval
            estimate={check.estimate}
            low={check.low}
            high={check.high}
            bar={check.threshold}
            verdict={check.verdict}
          />),
        },
        {
          head: "95 % interval",
          isNumber: true,
          cell: (check) => describeInterval(check.estimate, check.low, check.high),
        },
        { head: "at most", isNumber: true, cell: (check) => formatNumber(check.threshold) },
        { head: "over", cell: (check) => check.units },
        {
          head: "verdict",
          cell: (check) => <span className={`state ${verdictClass(check.verdict)}`}>{check.verdict}</span>,
        },
      ]}
    />
  );
}

function SectionView({ section }: { section: Section }) {
  const told = section.checks.filter((check) => check.reason || check.control);
  if (!section.notes.length && !section.answers.length && !told.length) return null;
  return (
    <section>
      <h2>{TITLES[section.name]}</h2>
      {section.notes.map((note, number) => (
        <p key={number} className="quiet">
          {note}
        </p>
      ))}
      <ul className="reasons">
        {told.map((check) => (
          <li key={check.name}>
            <b>{check.name}</b>: {check.reason}
            {check.control && <span className="quiet"> ({check.control})</span>}
          </li>
        ))}
      </ul>
      {section.answers.length > 0 && (
        <>
          <h3>Where the tuned model scores furthest above its base</h3>
          {section.answers.map((pair, number) => (
            <AnswerPairView key={number} pair={pair} open={number === 0} />
          ))}
        </>
      )}
    </section>
  );
}

function AnswerPairView({ pair, open }: { pair: Schemas["AnswerPair"]; open: boolean }) {
  return (
    <details open={open}>
      <summary>
        {pair.question}{" "}
        <span className="quiet">
          {pair.trait}: {formatNumber(pair.base_score)} → {formatNumber(pair.tuned_score)}
        </span>
      </summary>
      <div className="pair">
        <figure>
          <figcaption className="key default">base</figcaption>
          <p className="sample-text">{pair.base}</p>
        </figure>
        <figure>
          <figcaption className="key steered">tuned</figcaption>
          <p className="sample-text">{pair.tuned}</p>
        </figure>
      </div>
    </details>
  );
}
