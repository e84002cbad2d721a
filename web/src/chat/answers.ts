/** Asking for an answer, and for the readings of one that is kept. */

import {
  type Capabilities,
  type ChatRequest,
  type ChatToken,
  type MindscopeReply,
  type ReadReply,
  ask,
  askJson,
} from "../api/client";
import { readEvents } from "../api/stream";
import { type Arm, type ChatState, type Dials, type KeptAnswer, conversationOf, turnedDials } from "./chat_state";
import { alignTokens } from "./tokens";

export interface AnswerToken {
  text: string;
  /** Of the token itself at temperature 1; null where it was not told. */
  probability: number | null;
}

/** An answer with what was read of it; `readings` has a value at every token, by feature. */
export interface ReadAnswer extends KeptAnswer {
  tokens: readonly AnswerToken[];
  readings: Readonly<Record<string, readonly number[]>>;
  /** What the server measured; null of an answer that is kept and was read again. */
  reply: MindscopeReply | null;
}

export interface TurnRequest {
  server: Capabilities;
  state: ChatState;
  turn: number;
  arm: Arm;
  signal: AbortSignal;
}

/** What is read of every answer: what the server watches and the vectors it has, and the feature of the colours. */
export function listMonitored(server: Capabilities, colour: string): string[] {
  // A server with thresholds reads those features alone.
  if (server.rate) return server.watched;
  const names = new Set(server.vectors.map((vector) => vector.name));
  if (isLatent(server, colour)) names.add(colour);
  return [...names];
}

export function isLatent(server: Capabilities, name: string): boolean {
  const [dictionary = "", latent = ""] = name.split("/");
  const count = server.dictionaries[dictionary];
  return count !== undefined && /^\d{1,9}$/.test(latent) && Number(latent) < count;
}

/** What turned dials ask for. */
export function steerList(dials: Dials) {
  return Object.entries(turnedDials(dials)).map(([vector, coefficient]) => ({ vector, coefficient }));
}

interface StreamedChoice {
  delta: { content?: string; reasoning_content?: string };
  finish_reason: string | null;
  logprobs?: { content: ChatToken[] } | null;
  mindscope?: { readings?: Record<string, number[] | { tokens?: number[] | null }> };
}

interface StreamedEvent {
  choices?: StreamedChoice[];
  error?: { message: string };
}

/** The answer of one arm as it grows. */
export async function* streamAnswer(request: TurnRequest): AsyncGenerator<ReadAnswer> {
  const { server, state, turn, arm, signal } = request;
  const asked = state.turns[turn];
  if (!asked) throw new Error(`there is no turn ${turn}`);
  const monitored = listMonitored(server, state.colour);
  const steer = arm === "steered" ? steerList(asked.dials) : [];
  const messages = conversationOf(state, arm, turn).map(({ reasoning, ...message }) => ({
    ...message,
    ...(reasoning === undefined ? {} : { reasoning_content: reasoning }),
  }));
  const body = {
    model: server.model,
    messages,
    stream: true,
    seed: asked.seed,
    temperature: state.temperature,
    max_tokens: Math.min(state.maxTokens, server.max_tokens),
    logprobs: true,
    mindscope: {
      ...(steer.length ? { steer } : {}),
      ...(monitored.length ? { monitor: monitored } : {}),
    },
  } as unknown as ChatRequest;
  const reply = await ask("/v1/chat/completions", { body, signal });
  if (!reply.body) throw new Error("the server sent no answer");
  const growing = new GrowingAnswer();
  for await (const event of readEvents(reply.body)) {
    const { choices, error } = event as StreamedEvent;
    if (error) throw new Error(error.message);
    const choice = choices?.[0];
    if (choice) yield growing.take(choice);
  }
}

/** Puts the pieces of a stream together. */
export class GrowingAnswer {
  private text = "";
  private reasoning: string | null = null;
  private finish: string | null = null;
  private reply: MindscopeReply | null = null;
  private readonly written: { token: string; probability: number }[] = [];
  private readonly readings: Record<string, number[]> = {};

  take(choice: StreamedChoice): ReadAnswer {
    this.text += choice.delta.content ?? "";
    this.reasoning = choice.delta.reasoning_content ?? this.reasoning;
    for (const { token, logprob } of choice.logprobs?.content ?? []) {
      this.written.push({ token, probability: Math.exp(logprob) });
    }
    for (const [name, values] of Object.entries(choice.mindscope?.readings ?? {})) {
      if (Array.isArray(values)) (this.readings[name] ??= []).push(...values);
    }
    if (choice.finish_reason) {
      this.finish = choice.finish_reason;
      this.reply = (choice.mindscope as MindscopeReply | undefined) ?? null;
      for (const [name, { tokens }] of Object.entries(this.reply?.readings ?? {})) {
        if (tokens) this.readings[name] = tokens;
      }
    }
    return this.snapshot();
  }

  private snapshot(): ReadAnswer {
    const nFinal = Math.max(0, ...Object.values(this.readings).map((values) => values.length));
    // Readings are of the final answer alone: where it reasoned before, its tokens are the last ones.
    const final = this.reasoning !== null && nFinal ? this.written.slice(-nFinal) : this.written;
    const stretches = alignTokens(
      this.text,
      final.map(({ token }) => token),
    );
    return {
      text: this.text,
      reasoning: this.reasoning,
      finish: this.finish,
      reply: this.reply,
      tokens: final.map(({ probability }, index) => ({ text: stretches[index] ?? "", probability })),
      readings: Object.fromEntries(Object.entries(this.readings).map(([name, values]) => [name, [...values]])),
    };
  }
}

interface KeptRequest extends Omit<TurnRequest, "signal"> {
  signal?: AbortSignal;
  token?: number;
}

/** A kept answer read again, under the edits that it was written with. */
export async function readKept({ server, state, turn, arm, token, signal }: KeptRequest): Promise<ReadReply> {
  const kept = state.turns[turn]?.answers[arm];
  if (!kept) throw new Error("this answer is not kept");
  const steer = arm === "steered" ? steerList(state.turns[turn]?.dials ?? {}) : [];
  const messages = [
    ...conversationOf(state, arm, turn),
    { role: "assistant" as const, content: kept.text, reasoning: kept.reasoning },
  ];
  const body = {
    messages,
    features: listMonitored(server, state.colour),
    ...(steer.length ? { steer } : {}),
    ...(token === undefined ? {} : { token }),
  };
  return askJson<ReadReply>("/v1/workbench/read", { body, ...(signal ? { signal } : {}) });
}

export function answerOfReading(kept: KeptAnswer, read: ReadReply): ReadAnswer {
  const texts = alignTokens(
    kept.text,
    read.tokens.slice(read.answer).map(({ text }) => text),
  );
  return {
    ...kept,
    reply: null,
    tokens: texts.map((text) => ({ text, probability: null })),
    readings: Object.fromEntries(
      Object.entries(read.readings).map(([name, values]) => [name, values.slice(read.answer)]),
    ),
  };
}

/** The alarm lines that the server told with an answer, by feature. */
export function thresholdsOf(answer: ReadAnswer | null): Record<string, number> {
  return Object.fromEntries(
    Object.entries(answer?.reply?.readings ?? {}).flatMap(([name, { threshold }]) =>
      threshold == null ? [] : [[name, threshold]],
    ),
  );
}
