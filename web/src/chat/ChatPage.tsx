/** Chat: the same question answered by the model as it is and as it is steered, and what was read of both. */

import { useCallback, useMemo } from "react";
import type { PageProps } from "../app/pages";
import { Composer } from "./Composer";
import { Dials } from "./Dials";
import { Drift } from "./Drift";
import { Settings } from "./Settings";
import { TokenPanel } from "./TokenPanel";
import { TurnView } from "./TurnView";
import { isLatent, listMonitored, thresholdsOf } from "./answers";
import { ARMS, type TokenPlace } from "./chat_state";
import { findScales, findShading } from "./tokens";
import { useConversation } from "./use_conversation";
import "../style/chat.css";

export function ChatPage({ server }: PageProps) {
  const conversation = useConversation(server);
  const { state, change, find, writing } = conversation;
  const { turns } = state;
  const monitored = useMemo(() => listMonitored(server, state.colour), [server, state.colour]);
  const colour = monitored.includes(state.colour) ? state.colour : (monitored[0] ?? "");

  const readingsOf = (arm: (typeof ARMS)[number]) =>
    turns.flatMap((_, turn) => find(turn, arm)?.readings[colour] ?? []);
  const base = readingsOf("default");
  const shading = findShading(base, [...base, ...readingsOf("steered")], isLatent(server, colour));

  const scales = findScales(
    turns.flatMap((_, turn) =>
      ARMS.flatMap((arm) => {
        const answer = find(turn, arm);
        return answer ? [{ readings: answer.readings, thresholds: thresholdsOf(answer) }] : [];
      }),
    ),
  );

  const choose = useCallback((token: TokenPlace | null) => change({ token }), [change]);
  const branch = (turn: number) => {
    const field = document.getElementById("question");
    const user = conversation.branch(turn);
    if (field instanceof HTMLTextAreaElement) {
      // React's own setter, so that the field is told.
      Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, "value")?.set?.call(field, user);
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.focus();
    }
  };

  return (
    <div className="chat-page">
      <aside className="dials-side" aria-label="Steering">
        <Dials server={server} dials={state.dials} setDials={(dials) => change({ dials })} />
        <Settings server={server} state={state} change={change} />
      </aside>
      <section className="conversation" aria-label="Conversation">
        <h1 className="unseen">Chat</h1>
        <div className="colour-bar">
          <label>
            Colour tokens by{" "}
            <select value={colour} onChange={(event) => change({ colour: event.target.value })}>
              {monitored.length === 0 && <option value="">nothing is read</option>}
              {monitored.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
          <Legend shading={shading} isLatent={isLatent(server, colour)} />
          <span className="grow" />
          <button type="button" disabled={!turns.length || writing !== null} onClick={conversation.replay}>
            Replay
          </button>
          <button
            type="button"
            disabled={!turns.length}
            onClick={() => {
              conversation.branch(0);
            }}
          >
            New
          </button>
        </div>
        {turns.length === 0 && <Invitation hasVectors={server.vectors.length > 0} />}
        <ol className="turns">
          {turns.map((turn, index) => (
            <TurnView
              key={index}
              index={index}
              turn={turn}
              answers={{ default: find(index, "default"), steered: find(index, "steered") }}
              failures={{
                default: conversation.failure(index, "default"),
                steered: conversation.failure(index, "steered"),
              }}
              isWriting={writing === index}
              isBusy={writing !== null}
              colour={colour}
              shading={shading}
              scales={scales}
              chosen={state.token?.turn === index ? state.token : null}
              choose={choose}
              answer={conversation.answer}
              branch={branch}
            />
          ))}
        </ol>
        <Composer
          isWriting={writing !== null}
          isSteered={Object.values(state.dials).some((at) => at !== 0)}
          send={conversation.send}
          stop={conversation.stop}
        />
      </section>
      <aside className="detail-side" aria-label="Details">
        {state.token && (
          <TokenPanel
            key={`${state.token.turn}.${state.token.arm}.${state.token.index}`}
            server={server}
            state={state}
            place={state.token}
            answer={find(state.token.turn, state.token.arm)}
            colourBy={server.rate ? null : (name) => change({ colour: name })}
            turnUp={(name) => change({ dials: { ...state.dials, [name]: state.dials[name] ?? 0 } })}
            close={() => choose(null)}
          />
        )}
        <Drift server={server} feature={colour} turns={turns} find={find} />
      </aside>
    </div>
  );
}

function Legend({ shading, isLatent: zero }: { shading: ReturnType<typeof findShading>; isLatent: boolean }) {
  if (!shading) return null;
  const { centre, reach } = shading;
  const show = (value: number) => value.toPrecision(3).replace("-", "−");
  return (
    <span
      className="legend"
      title={
        zero
          ? "Blank where the latent is inactive"
          : "Blank at the mean of the default answers; full where 2 % of the tokens are beyond"
      }
    >
      {!zero && <span className="down full">{show(centre - reach)}</span>}
      <span>{show(centre)}</span>
      <span className="up full">{show(centre + reach)}</span>
    </span>
  );
}

function Invitation({ hasVectors }: { hasVectors: boolean }) {
  return (
    <div className="invitation">
      <p className="lead">
        {hasVectors
          ? "Turn a dial, ask a question, and see both answers from the same seed."
          : "Ask a question. This server has no vectors to steer with yet."}
      </p>
      <p className="quiet">
        {hasVectors
          ? "Tokens are coloured by what a vector reads there; click one for all that is known of it."
          : "Start it with --vectors FOLDER, or make a trait's vectors with mindscope persona extract."}
      </p>
    </div>
  );
}
