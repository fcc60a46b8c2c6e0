/** The pieces of the engine, each useful alone. Times are whole microseconds since an origin of your choice. */

import * as glue from "./glue/core.js";
import { NONE, flag, milliseconds, named, object, optional, whole } from "./checks.js";
import { QUOTAS, spentNumber } from "./codes.js";
import type { Random } from "./engine.js";
import { ArgumentError } from "./errors.js";
import { Slots, ready } from "./module.js";
import type { BreakerState, Quota, Spent } from "./types.js";

const CURVES = [
  "constant",
  "exponential",
  "full",
  "equal",
  "decorrelated",
  "additive",
  "aws_standard_throttled",
  "aws_standard_transient",
  "aws_legacy",
  "seed_article",
] as const;

/** How delays grow; the last four are ready-made, with a base and a cap of their own. */
export type Curve = (typeof CURVES)[number];

/** How long to wait before a retry. */
export class Backoff {
  readonly #raw: glue.Backoff;

  constructor(curve: Curve, baseUs = 0, capUs = 0) {
    ready();
    this.#raw = new glue.Backoff(named(CURVES, curve, "/curve"), whole(baseUs, "/baseUs"), whole(capUs, "/capUs"));
  }

  /**
   * The delay in microseconds before retry number `retry` (0 for the first), after a delay of `previousUs`; `hintUs` is the
   * service's own word.
   */
  delay(random: Random, retry: number, previousUs = 0, hintUs?: number): number {
    const hint = optional(hintUs, "/hintUs");
    return this.#raw.delay(whole(retry, "/retry", 2 ** 32 - 1), whole(previousUs, "/previousUs"), hint, random.raw);
  }
}

/** The limits of one pool; an absent one is learned from refusals. */
export interface Limits {
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
  readonly tokensPerDay?: number;
  readonly concurrency?: number;
  readonly burstPermille?: number;
  /** Milliseconds. */
  readonly windowMargin?: number;
}

/** The answer to a request for admission. */
export type Admission =
  | { readonly type: "granted"; readonly permit: Permit }
  | { readonly type: "not_before"; readonly at: number; readonly quota: Quota }
  | { readonly type: "busy" }
  | { readonly type: "never"; readonly limit: number };

/** A reservation; hand it back to `settle` once. */
export class Permit {
  /** @internal */
  readonly raw: glue.Permit;
  /** @internal */
  constructor(raw: glue.Permit) {
    this.raw = raw;
  }
}

/** Admission under one quota pool: so many requests and tokens in any minute, so many tokens in any day. */
export class Limiter {
  readonly #raw: glue.Limiter;
  readonly #slots: Slots;

  constructor(limits: Limits, now: number) {
    ready();
    this.#raw = new glue.Limiter(limitNumbers(limits), whole(now, "/now"));
    this.#slots = new Slots(this.#raw.slots());
  }

  /** Asks to let an attempt of so many tokens out. */
  acquire(now: number, tokens: number): Admission {
    switch (this.#raw.acquire(whole(now, "/now"), whole(tokens, "/tokens"))) {
      case 0:
        return { type: "granted", permit: new Permit(this.#raw.permit() as glue.Permit) };
      case 1:
        return { type: "not_before", at: this.#slots.get(0), quota: QUOTAS[this.#slots.get(1)] as Quota };
      case 2:
        return { type: "busy" };
      default:
        return { type: "never", limit: this.#slots.get(0) };
    }
  }

  /** Settles a permit at what the attempt took. */
  settle(now: number, permit: Permit, spent: Spent): void {
    if (!(permit instanceof Permit)) throw new ArgumentError("wrong_type", "/permit", "a Permit is wanted");
    if (!this.#raw.settle(whole(now, "/now"), permit.raw, spentNumber(spent, "/spent"))) {
      throw new ArgumentError("settled", "/permit", "it is settled already");
    }
  }

  /** The service refused an attempt of so many tokens, sent at a time: the limit that it names may be lower. */
  refused(now: number, sentAt: number, tokens: number, quota: Quota): void {
    const of = named(QUOTAS, quota, "/quota");
    this.#raw.refused(whole(now, "/now"), whole(sentAt, "/sentAt"), whole(tokens, "/tokens"), of);
  }

  /** Grants nothing before a time. */
  pause(until: number): void {
    this.#raw.pause(whole(until, "/until"));
  }

  /** Puts other limits in force. */
  reconfigure(now: number, limits: Limits): void {
    this.#raw.reconfigure(limitNumbers(limits), whole(now, "/now"));
  }

  /** The limit in force. */
  limit(quota: Quota): number | undefined {
    const limit = this.#raw.limit(named(QUOTAS, quota, "/quota"));
    return limit === NONE ? undefined : limit;
  }

  /** Permits that are not settled. */
  get inFlight(): number {
    return this.#raw.inFlight;
  }
}

function limitNumbers(limits: Limits): Float64Array {
  object(limits, "/limits");
  return Float64Array.of(
    optional(limits.requestsPerMinute, "/limits/requestsPerMinute"),
    optional(limits.tokensPerMinute, "/limits/tokensPerMinute"),
    optional(limits.tokensPerDay, "/limits/tokensPerDay"),
    optional(limits.concurrency, "/limits/concurrency"),
    optional(limits.burstPermille, "/limits/burstPermille"),
    milliseconds(limits.windowMargin, "/limits/windowMargin"),
  );
}

const MODES = ["enabled", "disabled", "metrics_only", "forced_open"] as const;
const STATES = ["closed", "open", "half_open"] as const satisfies readonly BreakerState[];

/** The parameters of a breaker; what is absent is as in a policy that does not say. */
export interface BreakerConfig {
  readonly mode?: (typeof MODES)[number];
  readonly failureRatePercent?: number;
  readonly slowRatePercent?: number;
  /** Milliseconds. */
  readonly slowAfter?: number;
  /** Over what the rates are measured. */
  readonly window?: { readonly attempts: number } | { readonly seconds: number };
  readonly minimumAttempts?: number;
  /** Milliseconds. */
  readonly openFor?: number;
  /** Milliseconds. */
  readonly openAtMost?: number;
  readonly openJitterPermille?: number;
  readonly probes?: number;
}

/** The answer of a breaker to an attempt that wants to pass. */
export type BreakerVerdict =
  | { readonly type: "pass" }
  | { readonly type: "probe" }
  | { readonly type: "open_until"; readonly at: number }
  | { readonly type: "probes_out" };

/** Shuts out what keeps failing. */
export class Breaker {
  readonly #raw: glue.Breaker;
  readonly #slots: Slots;

  constructor(config: BreakerConfig = {}) {
    ready();
    object(config, "/config");
    const count = (value: number | undefined, name: string): number => optional(value, `/config/${name}`, 2 ** 32 - 1);
    const window: { attempts?: number; seconds?: number } = config.window ?? {};
    this.#raw = new glue.Breaker(
      Float64Array.of(
        config.mode === undefined ? NONE : named(MODES, config.mode, "/config/mode"),
        count(config.failureRatePercent, "failureRatePercent"),
        count(config.slowRatePercent, "slowRatePercent"),
        milliseconds(config.slowAfter, "/config/slowAfter"),
        count(window.attempts, "window/attempts"),
        count(window.seconds, "window/seconds"),
        count(config.minimumAttempts, "minimumAttempts"),
        milliseconds(config.openFor, "/config/openFor"),
        milliseconds(config.openAtMost, "/config/openAtMost"),
        count(config.openJitterPermille, "openJitterPermille"),
        count(config.probes, "probes"),
      ),
    );
    this.#slots = new Slots(this.#raw.slots());
  }

  /** Asks to let an attempt pass; report its end by `record`, or by `release` if it never went. */
  acquire(now: number): BreakerVerdict {
    return this.#verdict(now, false);
  }

  /** The same without going. */
  check(now: number): BreakerVerdict {
    return this.#verdict(now, true);
  }

  #verdict(now: number, look: boolean): BreakerVerdict {
    switch (this.#raw.acquire(whole(now, "/now"), look)) {
      case 0:
        return { type: "pass" };
      case 1:
        return { type: "probe" };
      case 2:
        return { type: "open_until", at: this.#slots.get(0) };
      default:
        return { type: "probes_out" };
    }
  }

  /** An attempt that was let through never went. */
  release(): void {
    this.#raw.release();
  }

  /** How an attempt ended; answers the new state if it changed. */
  record(now: number, failed: boolean, tookUs: number, random: Random): BreakerState | undefined {
    const [at, took] = [whole(now, "/now"), whole(tookUs, "/tookUs")];
    return STATES[this.#raw.record(at, flag(failed, "/failed"), took, random.raw)];
  }

  /** Its state. */
  get state(): BreakerState {
    return STATES[this.#raw.state] as BreakerState;
  }
}

const KINDS = ["throttled", "other", "hedge"] as const;

/** The parameters of a retry budget, in thousandths of a token; what is absent is as in a policy that does not say. */
export interface RetryBudgetConfig {
  /** Starts from the budget of the AWS SDKs instead. */
  readonly like?: "aws_standard";
  readonly capacity?: number;
  readonly throttledCost?: number;
  readonly otherCost?: number;
  readonly hedgeCost?: number;
  readonly deposit?: number;
  readonly refund?: boolean;
  readonly perSecond?: number;
  readonly floor?: number;
  readonly chargeRefused?: boolean;
}

/** A bound on retries and hedges over all calls, so that neither failures nor slowness can multiply the load. */
export class RetryBudget {
  readonly #raw: glue.RetryBudget;
  readonly #slots: Slots;

  constructor(now: number, config: RetryBudgetConfig = {}) {
    ready();
    object(config, "/config");
    const { like, refund, chargeRefused } = config;
    const given = (name: keyof RetryBudgetConfig): number => optional(config[name], `/config/${name}`);
    const yes = (value: boolean | undefined): number => (value === undefined ? NONE : Number(value));
    this.#raw = new glue.RetryBudget(
      like === undefined ? 0 : 1 + named(["aws_standard"], like, "/config/like"),
      Float64Array.of(
        given("capacity"),
        given("throttledCost"),
        given("otherCost"),
        given("hedgeCost"),
        given("deposit"),
        yes(refund),
        given("perSecond"),
        given("floor"),
        yes(chargeRefused),
      ),
      whole(now, "/now"),
    );
    this.#slots = new Slots(this.#raw.slots());
  }

  /** What is left. */
  left(now: number): number {
    return this.#raw.left(whole(now, "/now"));
  }

  /** Asks for a retry or a hedge: what it was charged, or from when on it would be allowed (`undefined` for never by itself). */
  withdraw(now: number, kind: (typeof KINDS)[number]): { charged: number } | { notBefore: number | undefined } {
    const charged = this.#raw.withdraw(whole(now, "/now"), named(KINDS, kind, "/kind"));
    if (charged !== NONE) return { charged };
    const at = this.#slots.get(0);
    return { notBefore: at === NONE ? undefined : at };
  }

  /** A call succeeded, whose last retry was charged so much; nothing for one that needed none. */
  success(now: number, charged?: number): void {
    this.#raw.success(whole(now, "/now"), optional(charged, "/charged"));
  }
}
