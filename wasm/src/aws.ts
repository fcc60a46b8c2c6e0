/** In front of the AWS SDK's client: a plugin for its middleware stack. */

import { bytesOf, classify, failureOf, type Operation, StreamReader } from "./bedrock.js";
import { ArgumentError } from "./errors.js";
import type { CallOptions, Gate } from "./gate.js";
import * as glue from "./glue/core.js";
import type { Attempt } from "./run.js";
import { HeldStream } from "./stream.js";
import type { Outcome } from "./types.js";

/** What the plugin says about itself, in the SDK's own words. */
export interface Plugin {
  applyToStack(stack: {
    add(middleware: any, options: any): void;
    addRelativeTo(middleware: any, options: any): void;
  }): void;
}

/** The calls that pass the gate. All others go through as they are. */
const COMMANDS: { readonly [name: string]: { readonly operation: Operation; readonly stream?: "stream" | "body" } } = {
  ConverseCommand: { operation: "converse" },
  ConverseStreamCommand: { operation: "converse", stream: "stream" },
  InvokeModelCommand: { operation: "invoke_model" },
  InvokeModelWithResponseStreamCommand: { operation: "invoke_model", stream: "body" },
};

/** Where the SDK keeps what middlewares tell each other. */
const SMITHY = "__smithy_context";

/** Goes with the arguments of one attempt through the middlewares. */
const ATTEMPT = Symbol("sluicegate");

/** Stands in for the output of a failed attempt, so that the SDK's own retries do not see a failure. */
const FAILED = Symbol("sluicegate");

interface Args {
  input: Record<string, any>;
  request?: { hostname?: string; headers?: Record<string, string> };
  [ATTEMPT]?: Attempt;
}
interface Result {
  response: unknown;
  output: Record<string, any>;
}
type Handler = (args: Args) => Promise<Result>;
type Context = Record<string, any>;

const wanted = new WeakMap<object, CallOptions>();

/**
 * Says more of one command than the SDK lets its input say: `client.send(withOptions(command, { deadline: 20_000 }))`.
 * A `signal` gives the call up, whether it waits or is out, with any version of the SDK.
 * @returns the same command.
 */
export function withOptions<C extends { input: object }>(command: C, options: CallOptions): C {
  wanted.set(command.input, options);
  return command;
}

/**
 * Puts a gate in front of a `BedrockRuntimeClient`: `client.middlewareStack.use(sluicegate(gate))`.
 *
 * The Region, the model id or inference profile and, where the policy wants it, a lower cap of each attempt are the
 * engine's; one client serves all Regions of the policy. The SDK's own retries are off for these calls; errors are the
 * SDK's. The `abortSignal` of `client.send` gives a waiting call up where the SDK tells middlewares of it. Where the client has an `endpoint` of its own, all
 * attempts go there, signed for their Region.
 *
 * @param options what holds for every call of this client; see {@link withOptions}.
 */
export function sluicegate(gate: Gate, options: Omit<CallOptions, "signal"> = {}): Plugin {
  // Its faults belong to whoever sets the client up, not to the first call.
  void gate.appraiser;
  return {
    applyToStack(stack) {
      stack.add((next: Handler, context: Context) => (args: Args) => gated(gate, options, next, context, args), {
        step: "initialize",
        priority: "low",
        name: "sluicegateMiddleware",
        override: true,
      });
      stack.addRelativeTo((next: Handler) => (args: Args) => once(next, args), {
        relation: "after",
        toMiddleware: "retryMiddleware",
        name: "sluicegateOnceMiddleware",
        override: true,
      });
      stack.addRelativeTo((next: Handler, context: Context) => (args: Args) => next(directed(args, context)), {
        relation: "before",
        toMiddleware: "httpSigningMiddleware",
        name: "sluicegateRegionMiddleware",
        override: true,
      });
    },
  };
}

async function gated(gate: Gate, common: CallOptions, next: Handler, context: Context, args: Args): Promise<Result> {
  const command = COMMANDS[context["commandName"] as string];
  if (command === undefined) return next(args);
  const { operation, stream } = command;
  const { input } = args;
  const model = input["modelId"] as string;
  const asked = { ...common, ...wanted.get(input) };
  const asking = gate.asking(asked, "/options");
  const body = bytesOf(operation === "converse" ? input : (input["body"] ?? ""));
  const plan = gate.appraiser.planFor(model, body, operation, stream !== undefined, asking);
  if (plan === undefined) {
    throw new ArgumentError("unknown_model", "/modelId", `the policy has no endpoint for model "${model}"`);
  }
  return gate.runPlan(plan.raw, asked.signal ?? context[SMITHY]?.abortSignal, async (attempt) => {
    const result = await next({ ...args, input: lowered(input, operation, attempt), [ATTEMPT]: attempt });
    const failure = result.output as unknown as { [FAILED]?: { error: unknown } };
    if (failure[FAILED] !== undefined) throw failure[FAILED].error;
    const { output } = result;
    if (stream === undefined) {
      const answer = operation === "converse" ? output : (output["body"] as Uint8Array);
      const headers = Object.entries((result.response as { headers?: Record<string, string> })?.headers ?? {});
      attempt.ended(gate.appraiser.answered(plan, attempt.endpointNumber, answer, headers));
      return result;
    }
    const source = (output[stream] as AsyncIterable<object>)[Symbol.asyncIterator]();
    const held = new HeldStream(source, new StreamReader(operation), (event, reader) => reader.event(event));
    const failed = (delivered: boolean) => (error: unknown) => inStream(error, delivered);
    const opened = await held.open().catch((error: unknown) => {
      attempt.ended(failed(false)(error));
      throw error;
    });
    if (!opened) {
      attempt.ended({ class: "stream_broken" });
      throw new Error("the stream ended before it carried any part of the answer");
    }
    held.handOut(gate, attempt, plan);
    output[stream] = {
      [Symbol.asyncIterator]: () => ({
        next: () => held.next(failed(true)),
        return: async () => {
          await held.drop();
          return { done: true, value: undefined };
        },
      }),
    };
    return result;
  });
}

/** The input of one attempt. */
function lowered(input: Record<string, any>, operation: Operation, attempt: Attempt): Record<string, any> {
  const sent = { ...input, modelId: attempt.endpoint.target };
  const cap = attempt.maxTokens;
  if (cap === undefined) return sent;
  if (operation === "converse") return { ...sent, inferenceConfig: { ...input["inferenceConfig"], maxTokens: cap } };
  return { ...sent, body: glue.lowerMaxTokens(bytesOf(input["body"]), false, cap) ?? input["body"] };
}

/** Hides a failure of an attempt from the SDK's own retries: two who retry would multiply. */
async function once(next: Handler, args: Args): Promise<Result> {
  if (args[ATTEMPT] === undefined) return next(args);
  try {
    return await next(args);
  } catch (error) {
    return { response: undefined, output: { [FAILED]: { error }, $metadata: {} } };
  }
}

/** Sends an attempt to its Region: the host that the client would have called there, signed for it. */
function directed(args: Args, context: Context): Args {
  const region = args[ATTEMPT]?.endpoint.region;
  const { request } = args;
  const smithy = context[SMITHY];
  const scheme = smithy?.selectedHttpAuthScheme;
  if (region === undefined || request === undefined) return args;
  const signing = scheme?.httpAuthOption?.signingProperties;
  const own = (signing?.signingRegion ?? signing?.region) as string | undefined;
  // A copy: another attempt of the same call may be about to be signed.
  if (own !== undefined) {
    const signingProperties = { ...signing, region, signingRegion: region, signing_region: region };
    smithy.selectedHttpAuthScheme = { ...scheme, httpAuthOption: { ...scheme.httpAuthOption, signingProperties } };
  }
  const host = regional(request.hostname, region);
  if (host === undefined || host === request.hostname) return args;
  const clone = Object.assign(Object.create(Object.getPrototypeOf(request) as object), request) as typeof request;
  clone!.hostname = host;
  clone!.headers = { ...request.headers };
  if (clone!.headers["host"] !== undefined) clone!.headers["host"] = host;
  return { ...args, request: clone };
}

const HOST = /^(bedrock-runtime(?:-fips)?)\.([a-z0-9-]+)\.((?:amazonaws|api)\..+)$/;

/** A host of Bedrock in another Region; `undefined` for any other host. */
export function regional(host: string | undefined, region: string): string | undefined {
  const parts = HOST.exec(host ?? "");
  return parts === null ? undefined : `${parts[1]}.${region}.${parts[3]}`;
}

/** The Region that a host of Bedrock names. */
export function regionOf(host: string): string | undefined {
  return HOST.exec(host)?.[2];
}

/** An error that came in a stream; the SDK gives it the frame's name, and the status of the answer that began well. */
function inStream(error: unknown, delivered: boolean): Outcome {
  return classify({ ...failureOf(error), status: undefined, inStream: true, delivered }).outcome;
}
