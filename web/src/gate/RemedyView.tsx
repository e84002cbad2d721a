/** Remedies head to head: the rise of each trait, knowledge lost, and what was learnt all the same. */

import type { Schemas } from "../api/client";
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
      <div className="wide">
        <table className="checks">
          <thead>
            <tr>
              <th scope="col">remedy</th>
              {columns.map((name) => (
                <th key={name} scope="col">
                  {name === "capability/knowledge" ? "knowledge lost" : `rise of ${name.replace("behaviour/", "")}`}
                </th>
              ))}
              <th scope="col">learnt of the rest, nats a token</th>
              <th scope="col">verdict</th>
            </tr>
          </thead>
          <tbody>
            {remedy.arms.map((arm) => (
              <tr key={arm.name} className={arm.name === remedy.chosen ? "chosen" : undefined}>
                <th scope="row">
                  {arm.name}
                  <p className="quiet about">{arm.about}</p>
                </th>
                {columns.map((name, number) => {
                  const check = find(arm, name);
                  if (!check) return <td key={name}>–</td>;
                  const { estimate, low, high, threshold, verdict } = check;
                  const reach = reaches[number] ?? [0, 1];
                  return (
                    <td key={name}>
                      <Interval {...{ estimate, low, high, reach, verdict }} bar={threshold} />
                      <div className="figures">{describeInterval(estimate, low, high)}</div>
                    </td>
                  );
                })}
                <td>
                  {arm.learnt ? (
                    <>
                      <Interval
                        estimate={arm.learnt.mean}
                        low={arm.learnt.low}
                        high={arm.learnt.high}
                        reach={learnt}
                      />
                      <div className="figures">{describeInterval(arm.learnt.mean, arm.learnt.low, arm.learnt.high)}</div>
                    </>
                  ) : (
                    "–"
                  )}
                </td>
                <td>
                  <span className={`state ${verdictClass(armVerdict(arm))}`}>
                    {arm.checks.length ? armVerdict(arm) : "not made"}
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {remedy.falls.length > 0 && (
        <details>
          <summary>Question by question beside the arm without a remedy</summary>
          <table>
            <thead>
              <tr>
                <th scope="col">remedy</th>
                <th scope="col">trait</th>
                <th scope="col">scores lower by</th>
              </tr>
            </thead>
            <tbody>
              {remedy.falls.map(({ arm, trait, fall }) => (
                <tr key={`${arm}/${trait}`}>
                  <th scope="row">{arm}</th>
                  <td>{trait}</td>
                  <td>{describeInterval(fall.mean, fall.low, fall.high)}</td>
                </tr>
              ))}
            </tbody>
          </table>
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
