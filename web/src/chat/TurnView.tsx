/** A turn: the question, and its answers side by side with what was read of them. */

import { type CSSProperties, memo } from "react";
import { ErrorNote } from "../app/ErrorNote";
import { formatNumber, formatSigned } from "../state/format";
import { Meters } from "./Meters";
import type { ReadAnswer } from "./answers";
import { ARMS, type Arm, type TokenPlace, type Turn, isSteered, turnedDials } from "./chat_state";
import { type Scale, type Shading, shadeOf } from "./tokens";

interface TurnViewProps {
  index: number;
  turn: Turn;
  answers: Record<Arm, ReadAnswer | null>;
  failures: Record<Arm, string | null>;
  isWriting: boolean;
  isBusy: boolean;
  colour: string;
  shading: Shading | null;
  scales: Readonly<Record<string, Scale>>;
  chosen: TokenPlace | null;
  choose: (place: TokenPlace | null) => void;
  answer: (turn: number) => void;
  branch: (turn: number) => void;
}

export const TurnView = memo(function TurnView(props: TurnViewProps) {
  const { index, turn, answers, failures, isWriting, isBusy } = props;
  const arms = isSteered(turn.dials) ? ARMS : (["default"] as const);
  const isAnswered = arms.some((arm) => answers[arm] ?? failures[arm]);
  return (
    <li className="turn">
      <div className="asked">
        <p>{turn.user}</p>
        <span className="turn-tools">
          <span className="quiet">seed {turn.seed}</span>
          <button type="button" className="small" disabled={isBusy} onClick={() => props.answer(index)}>
            {isAnswered ? "Answer again" : "Answer"}
          </button>
          <button type="button" className="small" disabled={isBusy} onClick={() => props.branch(index)}>
            Branch here
          </button>
        </span>
      </div>
      <div className={arms.length > 1 ? "answers two" : "answers"}>
        {arms.map((arm) => (
          <AnswerView
            key={arm}
            {...props}
            arm={arm}
            answer={answers[arm]}
            failure={failures[arm]}
            isWriting={isWriting && !answers[arm]?.finish && !failures[arm]}
          />
        ))}
      </div>
    </li>
  );
}, isSame);

/** Long conversations are drawn anew only where something changed. */
function isSame(before: TurnViewProps, after: TurnViewProps): boolean {
  const same = (name: keyof TurnViewProps) => before[name] === after[name];
  return (
    (["turn", "isWriting", "isBusy", "colour", "chosen", "choose", "answer"] as const).every(same) &&
    before.shading?.centre === after.shading?.centre &&
    before.shading?.reach === after.shading?.reach &&
    JSON.stringify(before.scales) === JSON.stringify(after.scales) &&
    ARMS.every(
      (arm) =>
        isSameAnswer(before.answers[arm], after.answers[arm]) && before.failures[arm] === after.failures[arm],
    )
  );
}

function isSameAnswer(one: ReadAnswer | null, other: ReadAnswer | null): boolean {
  return one === other || (one?.text === other?.text && one?.readings === other?.readings && one?.finish === other?.finish);
}

interface AnswerViewProps extends Omit<TurnViewProps, "answer"> {
  arm: Arm;
  answer: ReadAnswer | null;
  failure: string | null;
}

const ENDINGS: Record<string, string> = {
  length: "cut at its most tokens",
  content_filter: "ended by an alarm",
};

function AnswerView(props: AnswerViewProps) {
  const { arm, answer, failure, isWriting, turn, colour, scales } = props;
  const dials = Object.entries(turnedDials(turn.dials));
  const ending = answer?.finish ? ENDINGS[answer.finish] : undefined;
  return (
    <article className={`answer ${arm}`} aria-label={`${arm} answer`} aria-busy={isWriting}>
      <header>
        <h3>{arm === "default" ? "as it is" : "steered"}</h3>
        {arm === "steered" && (
          <span className="quiet">{dials.map(([name, at]) => `${formatSigned(at)} ${name}`).join(", ")}</span>
        )}
      </header>
      {answer?.reasoning && (
        <details className="reasoning">
          <summary>reasoning</summary>
          <p>{answer.reasoning}</p>
        </details>
      )}
      {answer && <Tokens {...props} answer={answer} />}
      {!answer && isWriting && <p className="quiet">writing…</p>}
      {!answer && !isWriting && !failure && <p className="quiet">not answered yet</p>}
      {answer && !answer.text && !isWriting && <p className="empty">no text</p>}
      {failure && <ErrorNote text={failure} />}
      {ending && <p className="quiet ending">{ending}</p>}
      {answer && <Meters answer={answer} colour={colour} scales={scales} />}
      {answer?.reply && <Applied answer={answer} />}
    </article>
  );
}

/** The text, a token at a time; arrows walk over them, and one of them takes the keyboard's focus. */
function Tokens({ index, arm, answer, colour, shading, chosen, choose }: AnswerViewProps & { answer: ReadAnswer }) {
  const values = answer.readings[colour];
  const at = chosen?.arm === arm ? chosen.index : -1;
  const walk = (place: HTMLElement, step: number) => {
    const next = step > 0 ? place.nextElementSibling : place.previousElementSibling;
    if (next instanceof HTMLElement) next.focus();
  };
  return (
    <p className="tokens">
      {answer.tokens.map(({ text }, token) => {
        const value = values?.[token];
        const shade = value === undefined || !shading ? 0 : shadeOf(value, shading);
        const side = shade === 0 ? "" : shade > 0 ? "up" : "down";
        return (
          <span
            key={token}
            role="button"
            tabIndex={token === Math.max(0, at) ? 0 : -1}
            className={`token ${side}${token === at ? " chosen" : ""}`}
            style={{ "--at": `${Math.round(100 * Math.abs(shade))}%` } as CSSProperties}
            title={value === undefined ? undefined : `${colour} ${formatNumber(value)}`}
            onClick={() => choose({ turn: index, arm, index: token })}
            onKeyDown={(event) => {
              if (event.key === "ArrowRight") walk(event.currentTarget, 1);
              else if (event.key === "ArrowLeft") walk(event.currentTarget, -1);
              else if (event.key === "Escape") choose(null);
              else if (event.key === "Enter" || event.key === " ") choose({ turn: index, arm, index: token });
              else return;
              event.preventDefault();
            }}
          >
            {text}
          </span>
        );
      })}
    </p>
  );
}

/** What the server measured of its own edits. */
function Applied({ answer }: { answer: ReadAnswer }) {
  const applied = answer.reply?.applied ?? [];
  if (!applied.length) return null;
  return (
    <details className="applied">
      <summary>what was really done</summary>
      <ul>
        {applied.map(({ address, prompt_tokens, answer_tokens, moved }) => (
          <li key={address}>
            {address}: {prompt_tokens} prompt and {answer_tokens} answer tokens moved
            {Object.entries(moved).map(
              ([name, { along, norm }]) =>
                ` ${formatNumber(along)} along ${name} (${formatNumber(along / norm)} of its length)`,
            )}
          </li>
        ))}
      </ul>
    </details>
  );
}
