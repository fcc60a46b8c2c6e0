/** The engine without a clock, for those who bring their own loop. */

import * as glue from "./glue/core.js";
import { NONE, bits, flag, object, optional, whole, wide } from "./checks.js";
import { ABORT, END, INPUT_ERRORS, QUOTAS, SEND, WAKE_REASONS, endReason, outcomeNumbers } from "./codes.js";
import { ArgumentError, InputError, SnapshotError } from "./errors.js";
import { eventOf, explanationOf } from "./json.js";
import { Slots, ready } from "./module.js";
import { Policy, type PolicyLike } from "./policy.js";
import type { Decision, Event, Explanation, Input, Quota, WakeReason, Wakeup } from "./types.js";

/** Random numbers as an argument: the same ones lead to the same decisions in every language. */
export class Random {
  /** @internal */
  readonly raw: glue.Random;

  private constructor(raw: glue.Random) {
    this.raw = raw;
  }

  /** The generator that gates use, started from a seed of 64 bits. */
  static seeded(seed: bigint | number): Random {
    ready();
    return new Random(glue.Random.seeded(wide(seed, "/seed") ?? 0n));
  }

  /** These numbers of 64 bits in their order; the last one repeats, and an empty list gives 0. For tests and replays. */
  static listed(draws: readonly (bigint | number)[]): Random {
    ready();
    const wanted = draws.map((draw, index) => wide(draw, `/draws/${index}`) ?? 0n);
    return new Random(glue.Random.listed(BigUint64Array.from(wanted)));
  }
}

/**
 * The engine: hand in inputs with the time, take out decisions and events until there are none, come back at the next
 * wake-up. All times are whole microseconds since an origin of your choice.
 *
 * ```js
 * const engine = new Engine(policy, 0);
 * engine.handle(0, { type: "submit", call: { id: 1, model: 0, tokens: 1500 } }, random);
 * for (let decision; (decision = engine.pollDecision()); ) perform(decision);
 * ```
 */
export class Engine {
  readonly #raw: glue.Engine;
  readonly #slots: Slots;
  #policy: Policy;

  /** An engine with full pools. */
  constructor(policy: PolicyLike, now: number);
  /** @internal */
  constructor(policy: PolicyLike, now: number, raw?: glue.Engine);
  constructor(policy: PolicyLike, now: number, raw?: glue.Engine) {
    ready();
    this.#policy = Policy.of(policy);
    this.#raw = raw ?? new glue.Engine(this.#policy.raw, whole(now, "/now"));
    this.#slots = new Slots(this.#raw.slots());
  }

  /**
   * An engine that goes on from a snapshot, taken `asleepUs` ago; 0 where nobody knows, which is safe.
   * @throws {SnapshotError} if it is none, or one of a newer version.
   */
  static restore(policy: PolicyLike, now: number, snapshot: string, asleepUs: number): Engine {
    ready();
    const read = Policy.of(policy);
    const [at, asleep] = [whole(now, "/now"), whole(asleepUs, "/asleepUs")];
    return new Engine(
      read,
      now,
      saved(() => glue.Engine.restore(read.raw, snapshot, at, asleep)),
    );
  }

  /** The policy in force. */
  get policy(): Policy {
    return this.#policy;
  }

  /**
   * Takes one input.
   * @throws {InputError} for misuse, such as a report on an attempt that is not out; nothing has changed then.
   */
  handle(now: number, input: Input, random: Random): void {
    whole(now, "/now");
    object(input, "/input");
    if (!(random instanceof Random)) throw new ArgumentError("wrong_type", "/random", "a Random is wanted");
    const raw = this.#raw;
    switch (input.type) {
      case "submit": {
        const call = input.call;
        object(call, "/input/call");
        const code = raw.submit(
          now,
          random.raw,
          whole(call.id, "/input/call/id"),
          whole(call.model, "/input/call/model", 2 ** 32 - 1),
          whole(call.tokens, "/input/call/tokens"),
          optional(call.deadline, "/input/call/deadline"),
          bits(call.priority, "/input/call/priority", 8),
          bits(call.tenant, "/input/call/tenant", 32),
          wide(call.affinity, "/input/call/affinity"),
          bits(call.cachedTokens, "/input/call/cachedTokens", 32),
          optional(call.maxTokens, "/input/call/maxTokens", 2 ** 32 - 1),
          bits(call.label, "/input/call/label", 16),
          wide(call.fingerprint, "/input/call/fingerprint"),
          flag(call.lone, "/input/call/lone"),
        );
        return misuse(code, code === INPUT_ERRORS.length ? call.model : call.id);
      }
      case "report": {
        object(input.outcome, "/input/outcome");
        const attempt = whole(input.attempt, "/input/attempt");
        const numbers = outcomeNumbers(input.outcome, "/input/outcome");
        return misuse(raw.report(now, random.raw, attempt, ...numbers), attempt);
      }
      case "cancel":
        return misuse(raw.cancel(now, random.raw, whole(input.call, "/input/call")), input.call);
      case "wake":
        return misuse(raw.wake(now, random.raw), 0);
      default:
        throw new ArgumentError("unknown_name", "/input/type", "submit, report, cancel or wake is wanted");
    }
  }

  /** Takes out the next thing to do. */
  pollDecision(): Decision | undefined {
    const kind = this.#raw.pollDecision();
    if (kind === 0) return undefined;
    const [slots, call] = [this.#slots, this.#raw.decidedCall()];
    if (kind === END) return { type: "end", call, reason: endReason(slots) };
    const attempt = slots.get(0);
    if (kind === ABORT) return { type: "abort", call, attempt };
    const maxTokens = slots.get(3);
    const decision = { type: kind === SEND ? "send" : "hedge", call, attempt, endpoint: slots.get(1) } as const;
    return maxTokens === NONE ? decision : { ...decision, maxTokens };
  }

  /** Takes out the next thing that happened. */
  pollEvent(): Event | undefined {
    const text = this.#raw.pollEvent();
    return text === undefined ? undefined : eventOf(JSON.parse(text));
  }

  /** When to hand in the next `wake` if nothing else happens before; `undefined` while nothing waits. */
  nextWakeup(): Wakeup | undefined {
    const at = this.#raw.nextWakeup();
    return at === NONE ? undefined : { at, reason: WAKE_REASONS[this.#slots.get(0)] as WakeReason };
  }

  /** Puts another policy in force without losing a call. */
  reconfigure(now: number, policy: PolicyLike): void {
    const read = Policy.of(policy);
    this.#raw.reconfigure(whole(now, "/now"), read.raw);
    this.#policy = read;
  }

  /** All that was learned and counted, as a text to keep. */
  snapshot(now: number): string {
    return this.#raw.snapshot(whole(now, "/now"));
  }

  /** Why a call waits, or what became of it; `undefined` for a call that nobody knows (any more). */
  explain(now: number, call: number): Explanation | undefined {
    return explanationOf(this.#raw.explain(whole(now, "/now"), whole(call, "/call")));
  }

  /** The same as one line to read. */
  describe(now: number, call: number): string | undefined {
    return this.#raw.describe(whole(now, "/now"), whole(call, "/call"));
  }

  /** Calls that wait. */
  get waiting(): number {
    return this.#raw.waiting;
  }

  /** Attempts that are out. */
  get inFlight(): number {
    return this.#raw.inFlight;
  }

  /** How much of a pool's limit in force is used, in thousandths. */
  poolUse(now: number, pool: number, quota: Quota): number | undefined {
    const use = this.#raw.poolUse(whole(now, "/now"), whole(pool, "/pool", 65535), QUOTAS.indexOf(quota));
    return use === NONE ? undefined : use;
  }
}

function misuse(code: number, subject: number): void {
  if (code !== 0) {
    throw new InputError(INPUT_ERRORS[code - 1] as string, glue.Engine.inputError(code, subject));
  }
}

/** @internal Turns what the module throws into a `SnapshotError`. */
export function saved<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (typeof error !== "string") throw error;
    const colon = error.indexOf(":");
    throw new SnapshotError(error.slice(0, colon), error.slice(colon + 1));
  }
}

