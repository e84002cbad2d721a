/** Remedies head to head: the rise of each trait, knowledge lost, and what was learnt all the same. */

import type { Schemas } from "../api/client";
import { Table } from "../app/Table";
import { Interval, describeInterval, findReach } from "../charts/Interval";
import { verdictClass } from "./GatePage";

type Comparison = Schemas["RemedyComparison"];
type Arm = Schemas["RemedyArm"];

export function RemedyView({ remedy }: { remedy: Comparison }) {
  const columns = [...remedy.traits.map((trait) => `behaviour/${trait}`), "capability/knowledge"];
  const find = (arm: Arm, name: string) => arm.checks.find((check) => check.name === name);
  const reaches = columns.map((name) =>
    findReach(
      remedy.arms.flatMap((arm) => {
        const check = find(arm, name);
        return [check?.estimate, check?.low, check?.high, check?.threshold];
      }),
    ),
  );
  const learnt = findReach(remedy.arms.flatMap(({ learnt: one }) => [one?.mean, one?.low, one?.high]));
  return (
    <section>
      <h2>Remedies head to head</h2>
      <p className={`verdict small-verdict ${remedy.chosen ? "done" : "failed"}`}>
        Take {remedy.chosen ?? "none"}: {remedy.why}.
      </p>
      <p className="quiet">
        The base tuned anew by the same recipe, once for each arm; all answer the same questions. Rises and losses are
        points of 100 beside the base, the line is the bar.
      </p>
      <Table
        className="checks"
        rows={remedy.arms}
        keyOf={(arm) => arm.name}
        rowClass={(arm) => (arm.name === remedy.chosen ? "chosen" : undefined)}
        columns={[
          {
            head: "remedy",
            cell: (arm) => (
              <>
                {arm.name}
                <p className="quiet about">{arm.about}</p>
              </>
            ),
          },
          ...columns.map((name, number) => ({
            head: name === "capability/knowledge" ? "knowledge lost" : `rise of ${name.replace("behaviour/", "")}`,
            cell: (arm: Arm) => {
              const check = find(arm, name);
              if (!check) return "–";
              const { estimate, low, high, threshold, verdict } = check;
              return (
                <>
                  <Interval {...{ estimate, low, high, verdict }} reach={reaches[number] ?? [0, 1]} bar={threshold} />
                  <div className="figures">{describeInterval(estimate, low, high)}</div>
                </>
              );
            },
          })),
          {
            head: "learnt of the rest, nats a token",
            cell: ({ learnt: one }) =>
              one ? (
                <>
                  <Interval estimate={one.mean} low={one.low} high={one.high} reach={learnt} />
                  <div className="figures">{describeInterval(one.mean, one.low, one.high)}</div>
                </>
              ) : (
                "–"
              ),
          },
          {
            head: "verdict",
            cell: (arm) => (
              <span className={`state ${verdictClass(armVerdict(arm))}`}>
                {arm.checks.length ? armVerdict(arm) : "not made"}
              </span>
            ),
          },
        ]}
      />
      {remedy.falls.length > 0 && (
        <details>
          <summary>Question by question beside the arm without a remedy</summary>
          <Table
            rows={remedy.falls}
            keyOf={({ arm, trait }) => `${arm}/${trait}`}
            columns={[
              { head: "remedy", cell: ({ arm }) => arm },
              { head: "trait", cell: ({ trait }) => trait },
              { head: "scores lower by", cell: ({ fall }) => describeInterval(fall.mean, fall.low, fall.high) },
            ]}
          />
        </details>
      )}
    </section>
  );
}

/** One that fails fails all; else one without evidence leaves all open. */
export function armVerdict(arm: Arm): string {
  const verdicts = arm.checks.map((check) => check.verdict);
  if (verdicts.includes("fail")) return "fail";
  return !verdicts.length || verdicts.includes("not enough evidence") ? "not enough evidence" : "pass";
}
