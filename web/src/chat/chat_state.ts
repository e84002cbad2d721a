/** What a reader did on the chat page, as it stands in the address. */

import type { Params, StateForm } from "../state/hash_state";
import { isFiniteNumber, isRecord, readInteger, readJson, readNumber } from "../state/values";

export const ARMS = ["default", "steered"] as const;
/** The two answers of a turn: of the model as it is, and under the dials. */
export type Arm = (typeof ARMS)[number];

/** How far a vector is turned up: h + coefficient * v; by its name. */
export type Dials = Readonly<Record<string, number>>;

export interface KeptAnswer {
  text: string;
  reasoning: string | null;
  /** Why it ended, in the server's words; null while it is written, or where it was broken off. */
  finish: string | null;
}

export interface Turn {
  user: string;
  seed: number;
  /** What the steered answer was steered by. */
  dials: Dials;
  answers: Readonly<Partial<Record<Arm, KeptAnswer>>>;
}

export interface ChatState {
  system: string;
  turns: readonly Turn[];
  dials: Dials;
  /** The feature by which tokens are coloured; empty for the first that is watched. */
  colour: string;
  temperature: number;
  maxTokens: number;
  seed: number;
  /** The token that was clicked; null for none. */
  token: TokenPlace | null;
}

export interface TokenPlace {
  turn: number;
  arm: Arm;
  /** Of the final answer, counted from 0. */
  index: number;
}

export const FIRST_STATE: ChatState = {
  system: "",
  turns: [],
  dials: {},
  colour: "",
  temperature: 0.7,
  maxTokens: 120,
  seed: 0,
  token: null,
};

export const MOST_COEFFICIENT = 1000;

export const CHAT_FORM: StateForm<ChatState> = { read: readChat, write: writeChat };

function writeChat(state: ChatState): Params {
  const { system, turns, dials, colour, temperature, maxTokens, seed, token } = state;
  return {
    system,
    dials: Object.keys(dials).length ? JSON.stringify(dials) : "",
    colour,
    temperature: temperature === FIRST_STATE.temperature ? "" : String(temperature),
    maxTokens: maxTokens === FIRST_STATE.maxTokens ? "" : String(maxTokens),
    seed: seed === FIRST_STATE.seed ? "" : String(seed),
    token: token ? `${token.turn}.${token.arm}.${token.index}` : "",
    turns: turns.length ? JSON.stringify(turns.map(packTurn)) : "",
  };
}

function readChat(params: Params): ChatState {
  const turns = readJson(params["turns"]);
  return {
    system: params["system"] ?? "",
    dials: readDials(readJson(params["dials"])),
    colour: params["colour"] ?? "",
    temperature: readNumber(params["temperature"], FIRST_STATE.temperature, 0, 2),
    maxTokens: readInteger(params["maxTokens"], FIRST_STATE.maxTokens, 1, 100_000),
    seed: readInteger(params["seed"], FIRST_STATE.seed, 0, 2 ** 31),
    token: readPlace(params["token"]),
    turns: Array.isArray(turns) ? turns.map(unpackTurn).filter((turn) => turn !== null) : [],
  };
}

function readPlace(text: string | undefined): TokenPlace | null {
  const [turn = "", arm = "", index = ""] = (text ?? "").split(".");
  const isArm = (name: string): name is Arm => ARMS.some((known) => known === name);
  if (!/^\d{1,6}$/.test(turn) || !/^\d{1,6}$/.test(index) || !isArm(arm)) return null;
  return { turn: Number(turn), arm, index: Number(index) };
}

/** Short keys: conversations are long, and addresses are passed on. */
function packTurn({ user, seed, dials, answers }: Turn) {
  const pack = ({ text, reasoning, finish }: KeptAnswer) => ({ t: text, r: reasoning ?? undefined, f: finish });
  return {
    u: user,
    n: seed,
    k: dials,
    d: answers.default && pack(answers.default),
    s: answers.steered && pack(answers.steered),
  };
}

function unpackTurn(value: unknown): Turn | null {
  if (!isRecord(value) || typeof value["u"] !== "string") return null;
  const first = unpackAnswer(value["d"]);
  const second = unpackAnswer(value["s"]);
  return {
    user: value["u"],
    seed: isFiniteNumber(value["n"]) ? Math.round(value["n"]) : 0,
    dials: readDials(value["k"]),
    answers: { ...(first && { default: first }), ...(second && { steered: second }) },
  };
}

function unpackAnswer(value: unknown): KeptAnswer | null {
  if (!isRecord(value) || typeof value["t"] !== "string") return null;
  return {
    text: value["t"],
    reasoning: typeof value["r"] === "string" ? value["r"] : null,
    finish: typeof value["f"] === "string" ? value["f"] : null,
  };
}

function readDials(value: unknown): Dials {
  if (!isRecord(value)) return {};
  const dials = Object.entries(value).filter((entry): entry is [string, number] => isFiniteNumber(entry[1]));
  return Object.fromEntries(
    dials.map(([name, at]) => [name, Math.min(MOST_COEFFICIENT, Math.max(-MOST_COEFFICIENT, at))]),
  );
}

/** The dials that are turned away from zero. */
export function turnedDials(dials: Dials): Dials {
  return Object.fromEntries(Object.entries(dials).filter(([, at]) => at !== 0));
}

export function isSteered(dials: Dials): boolean {
  return Object.values(dials).some((at) => at !== 0);
}

/** The conversation of one arm up to a turn: what was asked, and what this arm answered. */
export function conversationOf(state: Pick<ChatState, "system" | "turns">, arm: Arm, turn: number) {
  const messages: { role: "system" | "user" | "assistant"; content: string; reasoning?: string }[] = [];
  if (state.system.trim()) messages.push({ role: "system", content: state.system });
  for (const [index, { user, answers }] of state.turns.slice(0, turn + 1).entries()) {
    messages.push({ role: "user", content: user });
    const answer = index < turn ? (answers[arm] ?? answers.default ?? answers.steered) : undefined;
    if (answer) {
      messages.push({
        role: "assistant",
        content: answer.text,
        ...(answer.reasoning === null ? {} : { reasoning: answer.reasoning }),
      });
    }
  }
  return messages;
}
