/** What a graph of a token of the conversation is asked with. */

import type { Schemas } from "../api/client";
import { type ReadAnswer, steerList } from "./answers";
import { type ChatState, type TokenPlace, conversationOf } from "./chat_state";

type TraceRequest = Schemas["TraceRequest"];
type Turn = TraceRequest["turns"][number];

export interface WhyAsked {
  state: ChatState;
  place: TokenPlace;
  answer: ReadAnswer | null;
}

/** Null of an answer that was reasoned about, which a graph does not know. */
export function describeTrace({ state, place, answer }: WhyAsked): TraceRequest | null {
  const { turn, arm, index } = place;
  const asked = state.turns[turn];
  const messages = conversationOf(state, arm, turn);
  if (!asked || !answer || answer.reasoning !== null || messages.some(({ reasoning }) => reasoning !== undefined)) {
    return null;
  }
  const before = messages.filter(({ role }) => role !== "system").slice(0, -1);
  const texts = answer.tokens.map(({ text }) => text);
  const target = texts[index];
  return {
    prompt: asked.user,
    chat: true,
    system: state.system.trim() ? state.system : "",
    turns: before.map(({ role, content }): Turn => ({ role: role === "assistant" ? "assistant" : "user", content })),
    answer: texts.slice(0, index).join(""),
    steer: arm === "steered" ? steerList(asked.dials).map((one) => ({ ...one, operation: "add" })) : [],
    ...(target ? { target } : {}),
  };
}
