/** Requests to the server that the pages came from; nothing else is ever asked. */

import type { components } from "./schema";

export type Schemas = components["schemas"];
export type Capabilities = Schemas["CapabilityReply"];
export type ReadRequest = Schemas["ReadRequest"];
export type ReadReply = Schemas["ReadReply"];
export type TokenReading = Schemas["TokenReading"];
export type MindscopeReply = Schemas["MindscopeReply"];
export type ChatToken = Schemas["ChatToken"];
export type ChatRequest = Schemas["ChatCompletionRequest"];

/** A refusal, in the server's own words. */
export class RefusedError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "RefusedError";
    this.status = status;
  }
}

const TOKEN = "mindscope.token";

/** The token is kept in this tab alone, and sent to this server alone. */
export function keepToken(token: string): void {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
}

export interface AskOptions {
  method?: string;
  body?: unknown;
  signal?: AbortSignal;
}

/** An open reply of the server; a refusal becomes an error that says what is wrong. */
export async function ask(path: string, { method, body, signal }: AskOptions = {}): Promise<Response> {
  const token = sessionStorage.getItem(TOKEN);
  const isFile = body instanceof Blob;
  const headers: Record<string, string> = {};
  if (token) headers["Authorization"] = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = isFile ? "application/octet-stream" : "application/json";
  let reply: Response;
  try {
    reply = await fetch(path, {
      method: method ?? (body === undefined ? "GET" : "POST"),
      headers,
      ...(body === undefined ? {} : { body: isFile ? body : JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
      credentials: "omit",
      redirect: "error",
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new RefusedError(0, "the server does not answer: see whether `mindscope serve` still runs");
  }
  if (!reply.ok) throw new RefusedError(reply.status, await readRefusal(reply));
  return reply;
}

export async function askJson<T>(path: string, options: AskOptions = {}): Promise<T> {
  return (await (await ask(path, options)).json()) as T;
}

async function readRefusal(reply: Response): Promise<string> {
  try {
    const body = (await reply.json()) as Partial<Schemas["ErrorReply"]>;
    if (body.error?.message) return body.error.message;
  } catch {
    // It was no error of this server's own shape.
  }
  return `the server answered ${reply.status}`;
}

export function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
