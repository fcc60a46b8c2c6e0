/** The gate: the engine with a clock, and the promises of those who wait. */

import * as glue from "./glue/core.js";
import { Appraiser, appraiserFor } from "./bedrock.js";
import { bits, flag, milliseconds, object, optional, text, whole, wide } from "./checks.js";
import { Clock } from "./clock.js";
import { INPUT_ERRORS, type OutcomeNumbers } from "./codes.js";
import { saved } from "./engine.js";
import { ArgumentError, SluicegateError } from "./errors.js";
import { fetchThrough, type Fetch } from "./fetch.js";
import { eventOf, explanationOf } from "./json.js";
import { Slots, ready } from "./module.js";
import { Policy, type PolicyLike } from "./policy.js";
import { Run, type Attempt } from "./run.js";
import type { Event, Explanation } from "./types.js";

/** What a caller may say of a call, whatever it is. */
export interface CallOptions {
  /** Milliseconds within which it must have been answered; else the policy's own deadline holds. */
  readonly deadline?: number | undefined;
  /** 0 to 255; higher goes first among the calls of its tenant. */
  readonly priority?: number | undefined;
  /** Whom it is made for: a name, or a number. */
  readonly tenant?: string | number | undefined;
  /** What it shares its prompt cache with, such as the name of a conversation. */
  readonly affinity?: string | bigint | undefined;
  /** What kind of call it is: lengths of answers are learned for each. */
  readonly label?: string | number | undefined;
  /** Never to be sent twice at once, whatever the policy says of hedging. */
  readonly lone?: boolean | undefined;
  /** Gives the call up, whether it waits or is out. */
  readonly signal?: AbortSignal | undefined;
}

/** What one call asks for. */
export interface Request extends CallOptions {
  /** The model, by its name in the policy. */
  readonly model: string;
  /** The tokens that the service reserves for it. */
  readonly cost: number;
  /** What its prompt cache is expected to hold, in tokens. */
  readonly cachedTokens?: number | undefined;
  /** The cap on the answer that is part of `cost`; give it only where each attempt is sent with its `attempt.maxTokens`. */
  readonly maxTokens?: number | undefined;
  /** A hash of what is asked, by which the engine notices that somebody else retries as well. */
  readonly fingerprint?: bigint | undefined;
}

/** How a gate begins. */
export interface GateOptions {
  /** Where its generator starts, for runs that are to be repeated; 64 bits. */
  readonly seed?: bigint | number | undefined;
  /** What another gate's `snapshot()` said. */
  readonly snapshot?: string | undefined;
  /** Milliseconds since that was taken; leave it out where nobody knows, which is safe. */
  readonly asleep?: number | undefined;
}

/** The numbers of the options that every call has. */
export interface Asking {
  readonly within: number;
  readonly priority: number;
  readonly tenant: number;
  readonly affinity: bigint | undefined;
  readonly label: number;
  readonly lone: boolean;
}

const CLOSED = INPUT_ERRORS.length + 1;

/**
 * Decides when, where and whether calls go out. One gate stands in front of everything that draws on the same quotas.
 *
 * ```js
 * const gate = new Gate(policy);
 * const answer = await gate.run({ model: "claude", cost: 1500, deadline: 20_000 }, async (attempt, signal) => {
 *   const answer = await send(attempt.endpoint.region, attempt.endpoint.target, signal);
 *   attempt.spent(answer.usage.totalTokens);
 *   return answer;
 * });
 * ```
 */
export class Gate {
  readonly #desk: glue.Desk;
  readonly #slots: Slots;
  readonly #clock = new Clock(() => {
    this.#desk.wake(this.#clock.now());
    this.#pump();
  });
  readonly #runs = new Map<number, Run<unknown>>();
  #policy: Policy;
  #models: Map<string, number>;
  #appraiser: Appraiser | undefined;
  #listeners: ((event: Event, at: number) => void)[] = [];
  #closed = false;
  #fetch: Fetch | undefined;

  /**
   * A gate under a policy.
   * @throws {PolicyError} with every fault of the policy.
   * @throws {SnapshotError} if the snapshot is none.
   */
  constructor(policy: PolicyLike, options: GateOptions = {}) {
    ready();
    object(options, "/options");
    this.#policy = Policy.of(policy);
    this.#models = numbered(this.#policy);
    const seed = options.seed === undefined ? drawn() : (wide(options.seed, "/options/seed") ?? 0n);
    const asleep = Math.max(milliseconds(options.asleep, "/options/asleep"), 0);
    const [raw, now, snapshot] = [this.#policy.raw, this.#clock.now(), options.snapshot];
    this.#desk =
      snapshot === undefined
        ? new glue.Desk(raw, seed, now)
        : saved(() => glue.Desk.restore(raw, seed, now, text(snapshot, "/options/snapshot"), asleep));
    this.#slots = new Slots(this.#desk.slots());
  }

  /** The policy in force. */
  get policy(): Policy {
    return this.#policy;
  }

  /** Calls that wait. */
  get waiting(): number {
    return this.#desk.waiting;
  }

  /** Attempts that are out. */
  get inFlight(): number {
    return this.#desk.inFlight;
  }

  /** Whether it was closed. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * What is known of the costs of calls to Amazon Bedrock; it learns from each answer.
   * @throws {PolicyError} with every fault of the policy's section `data.bedrock`.
   */
  get appraiser(): Appraiser {
    return (this.#appraiser ??= appraiserFor(this.#policy));
  }

  /**
   * Runs a call: waits for its turn, makes the attempts that the engine wants, and settles each. `work` makes one attempt;
   * what it throws is classified, and tried again where that can help. Its signal says that the attempt is given up;
   * for speed it is only made for a `work` that declares it, or at the first look at `attempt.signal`.
   *
   * @throws the error of the last attempt, or {@link EndedError} where the engine ended the call.
   */
  run<T>(request: Request, work: (attempt: Attempt, signal: AbortSignal) => T | PromiseLike<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      object(request, "/request");
      if (typeof work !== "function") throw new ArgumentError("wrong_type", "/work", "a function is wanted");
      const asking = this.asking(request, "/request");
      const { affinity, within, priority, tenant, label, lone } = asking;
      const maxTokens = optional(request.maxTokens, "/request/maxTokens", 2 ** 32 - 1);
      const model = this.#model(request.model);
      const cost = whole(request.cost, "/request/cost");
      const now = this.#clock.now();
      const call =
        affinity === undefined && request.fingerprint === undefined
          ? this.#desk.submit(now, model, cost, within, priority, tenant, maxTokens, label, lone)
          : this.#desk.submitWith(
              now,
              model,
              cost,
              within,
              priority,
              tenant,
              maxTokens,
              label,
              lone,
              affinity,
              bits(request.cachedTokens, "/request/cachedTokens", 32),
              wide(request.fingerprint, "/request/fingerprint"),
            );
      this.#begin(call, request.signal, new Run(this, call, work, resolve, reject));
    });
  }

  /** @internal The same for a plan of the appraiser. */
  runPlan<T>(
    plan: glue.Plan,
    signal: AbortSignal | undefined,
    work: (attempt: Attempt, signal: AbortSignal) => T | PromiseLike<T>,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const call = this.#desk.submitPlan(this.#clock.now(), plan);
      this.#begin(call, signal, new Run(this, call, work, resolve, reject));
    });
  }

  #begin<T>(call: number, signal: AbortSignal | undefined, run: Run<T>): void {
    if (call < 0) {
      if (-call === CLOSED) throw new SluicegateError("closed", "the gate is closed; open another one");
      throw new SluicegateError(INPUT_ERRORS[-call - 1] ?? "input", "the engine does not take this call");
    }
    this.#runs.set(call, run as Run<unknown>);
    if (signal !== undefined) {
      if (signal.aborted) return run.abort(signal.reason);
      run.heed(signal);
    }
    this.#pump();
  }

  /** @internal The options of a call as numbers. */
  asking(options: CallOptions, pointer: string): Asking {
    const { tenant, affinity, label, signal } = options;
    if (signal !== undefined && typeof signal.addEventListener !== "function") {
      throw new ArgumentError("wrong_type", `${pointer}/signal`, "an AbortSignal is wanted");
    }
    return {
      within: milliseconds(options.deadline, `${pointer}/deadline`),
      priority: bits(options.priority, `${pointer}/priority`, 8),
      tenant: typeof tenant === "string" ? this.#policy.tenant(tenant) : bits(tenant, `${pointer}/tenant`, 32),
      affinity: typeof affinity === "string" ? glue.affinityOf(affinity) : wide(affinity, `${pointer}/affinity`),
      label: typeof label === "string" ? glue.labelNamed(label) : bits(label, `${pointer}/label`, 16),
      lone: flag(options.lone, `${pointer}/lone`),
    };
  }

  #model(name: unknown): number {
    const model = this.#models.get(name as string);
    if (model !== undefined) return model;
    text(name, "/request/model");
    throw new ArgumentError("unknown_model", "/request/model", `the policy has no endpoint for model "${name as string}"`);
  }

  /**
   * A `fetch` for any HTTP client of Amazon Bedrock, such as `@ai-sdk/amazon-bedrock` and `@anthropic-ai/bedrock-sdk`. Requests
   * to anything else pass as they are. Switch the client's own retries off.
   */
  get fetch(): Fetch {
    return (this.#fetch ??= fetchThrough(this));
  }

  /** Tells every event, with its time in microseconds since the epoch. What comes back stops it. */
  on(listener: (event: Event, at: number) => void): () => void {
    this.#listeners.push(listener);
    this.#desk.watch(true);
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
      if (this.#listeners.length === 0) this.#desk.watch(false);
    };
  }

  /** Calls that the engine knows, by their numbers: why each waits. For {@link Gate.explain}. */
  get calls(): number[] {
    return [...this.#runs.keys()];
  }

  /** Why a call waits, or what became of it. */
  explain(call: number): Explanation | undefined {
    return explanationOf(this.#desk.explain(this.#clock.now(), whole(call, "/call")));
  }

  /** The same as one line to read. */
  describe(call: number): string | undefined {
    return this.#desk.describe(this.#clock.now(), whole(call, "/call"));
  }

  /** All that was learned and counted, as a text to keep for the next process. */
  snapshot(): string {
    return this.#desk.snapshot(this.#clock.now());
  }

  /**
   * Puts another policy in force without losing a call.
   * @throws {PolicyError} with every fault; nothing has changed then.
   */
  reconfigure(policy: PolicyLike): void {
    const read = Policy.of(policy);
    this.#appraiser?.reconfigure(read);
    this.#policy = read;
    this.#models = numbered(read);
    this.#desk.reconfigure(this.#clock.now(), read.raw);
    this.#pump();
  }

  /** Lets nothing more in and ends every call that waits; those that are out go on. */
  close(): void {
    this.#closed = true;
    this.#desk.close(this.#clock.now());
    this.#pump();
    if (this.#runs.size === 0) this.#clock.stop();
  }

  /** @internal The kind of a call's next turn; what it is about stands in `slots`. */
  turn(call: number): number {
    return this.#desk.turn(call);
  }

  /** @internal */
  get slots(): Slots {
    return this.#slots;
  }

  /** @internal */
  now(): number {
    return this.#clock.now();
  }

  /** @internal */
  report(call: number, attempt: number, outcome: OutcomeNumbers): void {
    this.#desk.report(this.#clock.now(), call, attempt, outcome[0], outcome[1], outcome[2], outcome[3], outcome[4]);
    this.#pump();
  }

  /** @internal The caller has gone; what it still held is settled. */
  leave(call: number): void {
    this.#runs.delete(call);
    this.#desk.leave(this.#clock.now(), call);
    this.#pump();
  }

  /** @internal The call is over, and nothing of it is out. */
  forget(call: number): void {
    this.#runs.delete(call);
    if (this.#closed && this.#runs.size === 0) this.#clock.stop();
  }

  /** Wakes whoever has a turn to take, tells what happened, and arms the timer. */
  #pump(): void {
    const desk = this.#desk;
    for (let call = desk.nextNews(); call >= 0; call = desk.nextNews()) this.#runs.get(call)?.advance();
    if (this.#listeners.length > 0) this.#tell();
    this.#clock.arm(desk.nextWakeup());
  }

  #tell(): void {
    for (let said = this.#desk.nextEvent(); said !== undefined; said = this.#desk.nextEvent()) {
      const [at, event] = JSON.parse(said) as [number, never];
      for (const listener of this.#listeners) {
        try {
          listener(eventOf(event), at);
        } catch (error) {
          // A listener's fault is nobody's call's fault.
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    }
  }
}

function numbered(policy: Policy): Map<string, number> {
  return new Map(policy.models.map((name, number) => [name, number]));
}

/** A seed of the system's. */
function drawn(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n;
}
