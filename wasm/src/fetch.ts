/** A `fetch` with a gate in front, for HTTP clients of Amazon Bedrock. */

import { regional, regionOf } from "./aws.js";
import { bytesOf, classify, headersOf, type Operation, type Plan, StreamReader } from "./bedrock.js";
import { SluicegateError } from "./errors.js";
import type { CallOptions, Gate } from "./gate.js";
import * as glue from "./glue/core.js";
import type { Attempt } from "./run.js";
import { HeldStream } from "./stream.js";

export type Fetch = (input: string | URL | globalThis.Request, init?: RequestInit) => Promise<Response>;

/** How a request becomes one that the service takes. */
export interface FetchOptions extends Omit<CallOptions, "signal"> {
  /** What sends; the global `fetch` if absent. */
  readonly fetch?: Fetch | undefined;
  /**
   * Signs a request anew for its Region, after the engine has chosen one: takes the URL, the Region, headers without any
   * signature and the body, and answers the headers to send. Without it a signed request can only go where it was signed for.
   */
  readonly sign?: ((request: Unsigned) => HeadersInit | PromiseLike<HeadersInit>) | undefined;
}

/** A request that is to be signed. */
export interface Unsigned {
  readonly url: URL;
  readonly method: string;
  readonly region: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

const PATH = /^(.*\/model\/)([^/]+)\/(converse|converse-stream|invoke|invoke-with-response-stream)$/;

/** What of a signed request belongs to its signature. */
const SIGNATURE = ["authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];

interface Asked {
  readonly url: URL;
  /** Everything in the path before the model. */
  readonly before: string;
  readonly model: string;
  readonly action: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly signal: AbortSignal | undefined;
  readonly init: RequestInit;
  readonly signed: boolean;
}

/** A `fetch` through a gate; {@link Gate.fetch} is this without options. */
export function fetchThrough(gate: Gate, options: FetchOptions = {}): Fetch {
  void gate.appraiser;
  return async (input, init) => {
    const send: Fetch = options.fetch ?? globalThis.fetch;
    const asked = await read(input, init);
    if (asked === undefined) return send(input, init);
    const operation: Operation = asked.action.startsWith("converse") ? "converse" : "invoke_model";
    const stream = asked.action.endsWith("stream");
    const model = named(gate, asked.model);
    const body = asked.body;
    const plan = gate.appraiser.planFor(model, body, operation, stream, gate.asking(options, "/options"));
    if (plan === undefined) {
      throw new SluicegateError("unknown_model", `the policy has no endpoint for model "${asked.model}"`);
    }
    if (asked.signed && options.sign === undefined) fixed(gate, plan, asked);
    let refused: Response | undefined;
    try {
      return await gate.runPlan(plan.raw, asked.signal, async (attempt, signal) => {
        const [url, attemptInit] = await directed(asked, attempt, operation, options, signal);
        const response = await send(url, attemptInit);
        if (!response.ok) {
          const bytes = new Uint8Array(await response.arrayBuffer());
          const headers = headersOf(response.headers);
          attempt.ended(classify({ status: response.status, headers, body: bytes }).outcome);
          refused = copy(response, bytes);
          throw refused;
        }
        return stream
          ? streamed(gate, attempt, plan, operation, response)
          : whole(gate, attempt, plan, response);
      });
    } catch (error) {
      // As `fetch` does: an answer that is an error is an answer.
      if (error instanceof Response) return error;
      throw error;
    }
  };
}

/** What is asked for; `undefined` for a request that is none of Bedrock's. */
async function read(input: string | URL | globalThis.Request, init: RequestInit = {}): Promise<Asked | undefined> {
  const request = typeof input === "string" || input instanceof URL ? undefined : input;
  const url = new URL(request?.url ?? String(input), request === undefined ? globalThis.location?.href : undefined);
  const method = init.method ?? request?.method ?? "GET";
  const path = PATH.exec(url.pathname);
  if (path === null || method.toUpperCase() !== "POST") return undefined;
  const headers = new Headers(init.headers ?? request?.headers);
  const sent = init.body ?? undefined;
  const body =
    sent === undefined && request !== undefined
      ? new Uint8Array(await request.clone().arrayBuffer())
      : typeof sent === "string" || sent instanceof Uint8Array || sent instanceof ArrayBuffer
        ? bytesOf(sent)
        : new Uint8Array(await new Response(sent ?? null).arrayBuffer());
  const signed = headers.get("authorization")?.startsWith("AWS4-") === true || url.searchParams.has("X-Amz-Signature");
  const [, before, model, action] = path as unknown as [string, string, string, string];
  const signal = init.signal ?? request?.signal ?? undefined;
  return { url, before, model: decodeURIComponent(model), action, method, headers, body, signal, init, signed };
}

/** The policy's name for the model of a request: the same, or that of an endpoint which sends it. */
function named(gate: Gate, model: string): string {
  const { models, endpoints } = gate.policy;
  if (models.includes(model)) return model;
  const endpoint = endpoints.find(({ target }) => target === model);
  return endpoint === undefined ? model : (models[endpoint.model] as string);
}

/** A signature holds for one host and one model: throws where the engine might choose another. */
function fixed(gate: Gate, plan: Plan, asked: Asked): void {
  const own = regionOf(asked.url.hostname);
  const other = gate.policy.endpoints.find(
    ({ model, target, region }) => model === plan.model && (target !== asked.model || (own !== undefined && region !== own)),
  );
  if (other === undefined) return;
  throw new SluicegateError(
    "signed",
    `this request is signed for ${asked.model} in ${own ?? asked.url.host}, and the policy may send it to ${other.target} ` +
      `in ${other.region}: give fetchThrough(gate, { sign }) a function that signs it anew, use an API key, or a policy ` +
      `with that one endpoint for the model`,
  );
}

/** The request of one attempt. */
async function directed(
  asked: Asked,
  attempt: Attempt,
  operation: Operation,
  options: FetchOptions,
  signal: AbortSignal,
): Promise<[URL, RequestInit]> {
  const { region, target } = attempt.endpoint;
  const url = new URL(asked.url);
  const headers = new Headers(asked.headers);
  const cap = attempt.maxTokens;
  const movable = !asked.signed || options.sign !== undefined;
  // A signed body cannot be changed either.
  const lowered = cap === undefined || !movable ? undefined : glue.lowerMaxTokens(asked.body, operation === "converse", cap);
  const body = lowered ?? asked.body;
  if (movable) {
    if (target !== asked.model) url.pathname = `${asked.before}${encodeURIComponent(target)}/${asked.action}`;
    url.hostname = regional(url.hostname, region) ?? url.hostname;
  }
  if (lowered !== undefined) headers.delete("content-length");
  let sent: HeadersInit = headers;
  if (options.sign !== undefined) {
    for (const name of SIGNATURE) headers.delete(name);
    headers.delete("host");
    sent = await options.sign({ url, method: asked.method, region, headers, body });
  }
  return [url, { ...asked.init, method: asked.method, headers: sent, body: body as Uint8Array<ArrayBuffer>, signal }];
}

async function whole(gate: Gate, attempt: Attempt, plan: Plan, response: Response): Promise<Response> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  attempt.ended(gate.appraiser.answered(plan, attempt.endpointNumber, bytes, headersOf(response.headers)));
  return copy(response, bytes);
}

async function streamed(
  gate: Gate,
  attempt: Attempt,
  plan: Plan,
  operation: Operation,
  response: Response,
): Promise<Response> {
  const source = chunks(response.body);
  const reader = new StreamReader(operation);
  const held = new HeldStream(source, reader, (piece, into) => into.bytes(piece));
  const broken = (delivered: boolean) => (error: unknown) =>
    classify({ kind: "io", message: String(error), inStream: true, delivered }).outcome;
  const opened = await held.open().catch((error: unknown) => {
    attempt.ended(broken(false)(error));
    throw error;
  });
  if (!opened) {
    attempt.ended(reader.failed(false) ?? { class: "stream_broken" });
    await source.return?.();
    throw new SluicegateError("stream_broken", "the stream ended before it carried any part of the answer");
  }
  held.handOut(gate, attempt, plan);
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await held.next(broken(true));
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    cancel: () => held.drop(),
  });
  return copy(response, body);
}

function chunks(body: ReadableStream<Uint8Array> | null): AsyncIterator<Uint8Array> {
  const reader = body?.getReader();
  return {
    next: async () => {
      const next = await reader?.read();
      return next === undefined || next.done ? { done: true, value: undefined } : { done: false, value: next.value };
    },
    return: async () => {
      await reader?.cancel();
      return { done: true, value: undefined };
    },
  };
}

function copy(response: Response, body: Uint8Array | ReadableStream<Uint8Array>): Response {
  const headers = new Headers(response.headers);
  // `fetch` has decoded the body already.
  headers.delete("content-encoding");
  headers.delete("content-length");
  const { status, statusText } = response;
  return new Response(body as BodyInit, { status, statusText, headers });
}
