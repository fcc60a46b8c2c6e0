/** What is known of Amazon Bedrock: what calls will cost, what they did cost, and why they failed. */

import * as glue from "./glue/core.js";
import { object, wide } from "./checks.js";
import { outcomeOf } from "./codes.js";
import { ready } from "./module.js";
import { Policy, told } from "./policy.js";
import type { Asking } from "./gate.js";
import type { Outcome } from "./types.js";

/** Which API a body is for; the streaming twin of each has the same body. */
export type Operation = "converse" | "invoke_model";

/** Names and values of headers. */
export type HeaderList = Iterable<readonly [string, string]>;

/** How an attempt failed, as far as its client can see. Fill in what is known. */
export interface Failure {
  /** `response` if absent: the service answered with an error, or sent one in its stream. */
  readonly kind?: "response" | "connect" | "timeout" | "io" | "cancelled" | undefined;
  /** The error's name. */
  readonly code?: string | undefined;
  /** The HTTP status; not for an error inside a stream. */
  readonly status?: number | undefined;
  /** The error's text. */
  readonly message?: string | undefined;
  /** Whether the stream had begun. */
  readonly inStream?: boolean | undefined;
  /** Whether anything of it was handed to the caller. */
  readonly delivered?: boolean | undefined;
  /** `originalStatusCode` of a `ModelErrorException`. */
  readonly originalStatus?: number | undefined;
  /** The answer's headers, for the service's own word on when to come back. */
  readonly headers?: HeaderList | undefined;
  /** The body of an answer over HTTP, whose name and text are read from there. */
  readonly body?: Uint8Array | undefined;
}

/** What a failure means. */
export interface Verdict {
  /** The report for the engine. */
  readonly outcome: Outcome;
  /** The cause, by a stable name. */
  readonly reason: string;
}

const KINDS = ["response", "connect", "timeout", "io", "cancelled"] as const;

/** Why an attempt failed, in classes that the engine can act on. */
export function classify(failure: Failure): Verdict {
  ready();
  object(failure, "/failure");
  const status = (value: number | undefined): number | undefined =>
    value !== undefined && Number.isInteger(value) && value >= 0 && value < 65536 ? value : undefined;
  const [reason, numbers] = JSON.parse(
    glue.classify(
      Math.max(KINDS.indexOf(failure.kind ?? "response"), 0),
      failure.code,
      status(failure.status),
      failure.message,
      failure.inStream === true,
      failure.delivered === true,
      status(failure.originalStatus),
      flat(failure.headers ?? []),
      failure.body,
      Math.floor(Date.now() / 1000),
    ),
  ) as [string, number[]];
  return { reason, outcome: outcomeOf(numbers) };
}

/** @internal Headers as the module takes them. */
export function flat(headers: HeaderList): string[] {
  const list: string[] = [];
  for (const [name, value] of headers) list.push(String(name), String(value));
  return list;
}

/** The size of a request, without a tokenizer. */
export interface RequestShape {
  readonly textBytes: number;
  readonly images: number;
  readonly documentPages: number;
  readonly otherMedia: number;
  /** The request's own maximum of output tokens. */
  readonly maxTokens?: number;
}

/** Reads the size of a request off its body: JSON as text, as bytes, or as an object. */
export function estimate(body: string | Uint8Array | object, operation: Operation): RequestShape {
  ready();
  const [textBytes, images, documentPages, otherMedia, maxTokens] = Array.from(
    glue.estimate(bytesOf(body), operation === "converse"),
  ) as [number, number, number, number, number];
  const shape = { textBytes, images, documentPages, otherMedia };
  return maxTokens < 0 ? shape : { ...shape, maxTokens };
}

const encoder = new TextEncoder();

/** @internal A body as bytes of JSON; what is bytes inside of it becomes base64, as on the wire. */
export function bytesOf(body: unknown): Uint8Array {
  if (body instanceof Uint8Array) return body;
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  return encoder.encode(typeof body === "string" ? body : (JSON.stringify(body, blobs) ?? ""));
}

function blobs(_: string, value: unknown): unknown {
  return value instanceof Uint8Array ? base64(value) : value;
}

function base64(bytes: Uint8Array): string {
  let binary = "";
  for (let from = 0; from < bytes.length; from += 8192) {
    binary += String.fromCharCode(...bytes.subarray(from, from + 8192));
  }
  return btoa(binary);
}

/** A call before its submission: what it will cost, and what is to be remembered until its answer. */
export class Plan {
  /** @internal */
  readonly raw: glue.Plan;

  /** @internal */
  constructor(raw: glue.Plan) {
    this.raw = raw;
  }

  /** The tokens that the service will reserve. */
  get tokens(): number {
    return this.raw.tokens;
  }

  /** The number of its model in the policy. */
  get model(): number {
    return this.raw.model;
  }
}

/** What a plan is made from, besides the body. */
export interface PlanOptions {
  readonly affinity?: bigint | undefined;
  /** The answer comes as a stream. */
  readonly stream?: boolean | undefined;
}

/** Estimates what calls will cost and reads what they did cost, learning from each answer. */
export class Appraiser {
  readonly #raw: glue.Appraiser;

  /** @throws {PolicyError} with every fault of the policy's section `data.bedrock`. */
  constructor(policy: Policy) {
    ready();
    this.#raw = told(() => new glue.Appraiser(policy.raw));
  }

  /** The same with what it has learned, for another policy. */
  reconfigure(policy: Policy): void {
    told(() => this.#raw.reconfigure(policy.raw));
  }

  /** What a call to a model of the policy will cost; `undefined` for a model that the policy does not have. */
  plan(
    model: string,
    body: string | Uint8Array | object,
    operation: Operation,
    options: PlanOptions = {},
  ): Plan | undefined {
    const asking = { within: -1, priority: 0, tenant: 0, label: 0, lone: false };
    const affinity = wide(options.affinity, "/options/affinity");
    return this.planFor(model, bytesOf(body), operation, options.stream === true, { ...asking, affinity });
  }

  /** @internal */
  planFor(
    model: string,
    body: Uint8Array,
    operation: Operation,
    stream: boolean,
    asking: Asking,
  ): Plan | undefined {
    const { within, priority, tenant, affinity, label, lone } = asking;
    const converse = operation === "converse";
    const raw = this.#raw.plan(model, body, converse, stream, within, priority, tenant, affinity, label, lone);
    return raw && new Plan(raw);
  }

  /** The report on an answer of an endpoint, by what its body and headers say of its usage. */
  answered(plan: Plan, endpoint: number, body: string | Uint8Array | object, headers: HeaderList = []): Outcome {
    return outcomeOf(this.#raw.answered(plan.raw, endpoint, bytesOf(body), flat(headers)));
  }

  /** The report on a stream that ended, or that its caller dropped before. */
  streamed(plan: Plan, endpoint: number, stream: StreamReader, dropped: boolean): Outcome {
    return outcomeOf(this.#raw.streamed(plan.raw, endpoint, stream.raw, dropped));
  }
}

/** What is known of a stream so far. Hold its events back until it delivers. */
export class StreamReader {
  /** @internal */
  readonly raw: glue.StreamReader;

  constructor(operation: Operation) {
    ready();
    this.raw = new glue.StreamReader(operation === "converse");
  }

  /** Takes in an event as SDKs hand it out: an object with one field. */
  event(event: object): void {
    const chunk = (event as { chunk?: { bytes?: unknown } }).chunk;
    if (chunk?.bytes instanceof Uint8Array) this.raw.chunk(chunk.bytes);
    else this.raw.event(JSON.stringify(event, blobs));
  }

  /** Takes in bytes of `application/vnd.amazon.eventstream`. */
  bytes(bytes: Uint8Array): void {
    this.raw.bytes(bytes);
  }

  /** Part of the answer has come: from here on the attempt cannot be repeated. */
  get delivers(): boolean {
    return this.raw.delivers;
  }

  /** The answer is complete. */
  get completes(): boolean {
    return this.raw.completes;
  }

  /** What came are no frames. */
  get broken(): boolean {
    return this.raw.broken;
  }

  /** The report by the error that the stream itself told, if it did. */
  failed(delivered: boolean): Outcome | undefined {
    const numbers = this.raw.failed(delivered);
    return numbers && outcomeOf(numbers);
  }
}

/** @internal */
export function appraiserFor(policy: Policy): Appraiser {
  return new Appraiser(policy);
}

/** Node's names for connections that did not come about: nothing was sent. */
const UNCONNECTED = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH", "UND_ERR_CONNECT_TIMEOUT"];
/** And for those that broke. */
const BROKEN = ["ECONNRESET", "EPIPE", "ECONNABORTED", "UND_ERR_SOCKET", "ERR_HTTP2_STREAM_ERROR", "ERR_HTTP2_STREAM_CANCEL"];
const TIMED_OUT = ["ETIMEDOUT", "UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT"];
/** Without credentials an SDK gives up before it sends; that will not mend itself. */
const LOCAL = ["CredentialsProviderError", "TokenProviderError"];

interface Thrown {
  name?: unknown;
  code?: unknown;
  message?: unknown;
  status?: unknown;
  statusCode?: unknown;
  originalStatusCode?: unknown;
  cause?: unknown;
  headers?: unknown;
  $metadata?: { httpStatusCode?: unknown };
  $response?: { headers?: unknown };
}

/** @internal What can be seen of an error of any client. */
export function failureOf(error: unknown, more: Partial<Failure> = {}): Failure {
  if (typeof error !== "object" || error === null) return { message: String(error), ...more };
  const thrown = error as Thrown;
  const name = typeof thrown.name === "string" ? thrown.name : undefined;
  const message = typeof thrown.message === "string" ? thrown.message : String(error);
  const status = [thrown.$metadata?.httpStatusCode, thrown.status, thrown.statusCode].find(
    (value) => typeof value === "number",
  ) as number | undefined;
  if (name !== undefined && LOCAL.includes(name)) return { code: "UnrecognizedClientException", message, ...more };
  const codes = [thrown.code, (thrown.cause as Thrown | undefined)?.code].filter((code) => typeof code === "string");
  const is = (list: readonly string[]): boolean => codes.some((code) => list.includes(code as string));
  const original = thrown.originalStatusCode;
  const seen: Failure = {
    code: name === "Error" ? undefined : name,
    status,
    message,
    headers: headersOf(thrown.$response?.headers ?? thrown.headers),
    originalStatus: typeof original === "number" ? original : undefined,
  };
  if (status !== undefined) return { ...seen, ...more };
  if (is(UNCONNECTED)) return { ...seen, kind: "connect", ...more };
  if (is(TIMED_OUT) || name === "TimeoutError") return { ...seen, kind: "timeout", ...more };
  if (is(BROKEN)) return { ...seen, kind: "io", ...more };
  // What `fetch` says in browsers, which tell no more.
  if (name === "TypeError" && /fetch|network|load failed/i.test(message)) return { ...seen, kind: "io", ...more };
  if (name === "AbortError") return { ...seen, kind: "cancelled", ...more };
  return { ...seen, ...more };
}

/** @internal Headers in any of the forms that clients have. */
export function headersOf(headers: unknown): [string, string][] {
  if (typeof headers !== "object" || headers === null) return [];
  const list = Symbol.iterator in headers ? [...(headers as Iterable<[string, string]>)] : Object.entries(headers);
  return list.map(([name, value]) => [String(name), String(value)]);
}

/** @internal */
export function failureOutcome(error: unknown): Outcome {
  return classify(failureOf(error)).outcome;
}
