/** The words that engine and callers share. Times and durations that end in `Us` or stand in `at` are microseconds. */

/** Which quota a refusal names. */
export type Quota = "requests" | "tokens" | "day" | "unknown";

/** How an attempt ended. */
export type OutcomeClass =
  | "success"
  | `throttled_${Quota}`
  | "overloaded"
  | "unavailable"
  | "not_ready"
  | "timed_out"
  | "model_error"
  | "stream_broken"
  | "stream_broken_delivered"
  | "refused"
  | "unusable"
  | "cancelled";

/** What an attempt took: quota tokens, or what is known instead. */
export type Spent = number | "unknown" | "nothing" | "never_sent";

/** The report on one attempt. */
export interface Outcome {
  /** How it ended. */
  readonly class: OutcomeClass;
  /** What it took; what the class normally takes, if absent. */
  readonly spent?: Spent | undefined;
  /** The service's own word on when to come back, in microseconds from the report. */
  readonly retryAfterUs?: number | undefined;
  /** Tokens of the answer, where the service said. */
  readonly outputTokens?: number | undefined;
  /** The answer was cut short by the cap on its length, and none of it was handed out. */
  readonly truncated?: boolean | undefined;
}

/** Why a call was not sent. */
export type Refusal = "deadline" | "too_large" | "queue_full" | "target_wait" | "no_endpoint";

/** How a call ended. */
export type EndReason =
  | { readonly type: "answered" }
  | { readonly type: "refused"; readonly why: Refusal; readonly retryAt?: number; readonly limit?: number }
  | { readonly type: "expired" }
  | { readonly type: "cancelled" }
  | { readonly type: "failed"; readonly class: OutcomeClass };

/** One logical request, for the engine. */
export interface Call {
  /** Its name; whole, and not used again. */
  readonly id: number;
  /** The number of the model: its place among `policy.models`. */
  readonly model: number;
  /** The tokens that the service reserves for it. */
  readonly tokens: number;
  /** When it must have been answered. */
  readonly deadline?: number | undefined;
  /** 0 to 255; higher goes first. */
  readonly priority?: number | undefined;
  /** The number of the tenant. */
  readonly tenant?: number | undefined;
  /** What keeps it where its prompt cache is. */
  readonly affinity?: bigint | number | undefined;
  /** What that cache is expected to hold, in tokens. */
  readonly cachedTokens?: number | undefined;
  /** The cap on the answer that is part of `tokens`, where it can be lowered. */
  readonly maxTokens?: number | undefined;
  /** What kind of call it is, 0 to 65535. */
  readonly label?: number | undefined;
  /** A hash of what is asked. */
  readonly fingerprint?: bigint | number | undefined;
  /** Never sent twice at once. */
  readonly lone?: boolean | undefined;
}

/** What the engine is told. */
export type Input =
  | { readonly type: "submit"; readonly call: Call }
  | { readonly type: "report"; readonly attempt: number; readonly outcome: Outcome }
  | { readonly type: "cancel"; readonly call: number }
  | { readonly type: "wake" };

/** What the engine wants done. */
export type Decision =
  | {
      readonly type: "send" | "hedge";
      readonly call: number;
      readonly attempt: number;
      readonly endpoint: number;
      readonly maxTokens?: number;
    }
  | { readonly type: "abort"; readonly call: number; readonly attempt: number }
  | { readonly type: "end"; readonly call: number; readonly reason: EndReason };

/** What a wake-up is for. */
export type WakeReason = "undrained" | "start" | "retry" | "deadline" | "hedge" | "lease";

/** When to hand in the next `wake`; the time may lie in the past, meaning now. */
export interface Wakeup {
  readonly at: number;
  readonly reason: WakeReason;
}

/** The state of a breaker. */
export type BreakerState = "closed" | "open" | "half_open";

interface OfCall {
  readonly call: number;
}
interface OfAttempt extends OfCall {
  readonly attempt: number;
}

/** What happened, for logs and metrics. The core's `EVENTS.md` says what each field is. */
export type Event =
  | (OfAttempt & {
      readonly type: "sent";
      readonly endpoint: number;
      readonly number: number;
      readonly waitedUs: number;
      readonly reservedTokens: number;
    })
  | (OfAttempt & { readonly type: "hedged"; readonly first: number; readonly afterUs: number })
  | (OfAttempt & {
      readonly type: "settled";
      readonly endpoint: number | null;
      readonly class: OutcomeClass;
      readonly reservedTokens: number;
      readonly spentTokens: number;
      readonly tookUs: number;
    })
  | (OfCall & {
      readonly type: "retry_planned";
      readonly at: number;
      readonly class: OutcomeClass;
      readonly bounded: boolean;
    })
  | (OfCall & { readonly type: "ended"; readonly reason: EndReason; readonly attempts: number; readonly tookUs: number })
  | { readonly type: "limit_learned"; readonly pool: number; readonly quota: Quota; readonly limit: number }
  | {
      readonly type: "phase_learned";
      readonly pool: number;
      readonly quota: Quota;
      readonly beginsUs: number;
      readonly withinUs: number;
    }
  | { readonly type: "phase_lost"; readonly pool: number; readonly quota: Quota }
  | { readonly type: "concurrency_lowered"; readonly endpoint: number; readonly limit: number }
  | { readonly type: "breaker_changed"; readonly endpoint: number; readonly state: BreakerState }
  | (OfCall & { readonly type: "stacked_retry"; readonly sinceUs: number })
  | {
      readonly type: "cap_advised";
      readonly model: number;
      readonly label: number;
      readonly cap: number;
      readonly holdsPermille: number;
      readonly freesTokensPerMinute: number;
    }
  | (OfCall & { readonly type: "cap_lifted"; readonly cap: number })
  | (OfCall & { readonly type: "affinity_moved"; readonly from: number; readonly to: number })
  | { readonly type: "endpoint_unusable"; readonly endpoint: number; readonly until: number }
  | (OfAttempt & { readonly type: "lease_expired" })
  | { readonly type: "clock_backwards"; readonly byUs: number }
  | { readonly type: "events_dropped"; readonly count: number };

/** Where a call stands. */
export type Phase =
  | { readonly type: "waiting" }
  | { readonly type: "delayed"; readonly at: number }
  | { readonly type: "out"; readonly attempt: number }
  | { readonly type: "ended"; readonly reason: EndReason };

/** Whether an endpoint can start a call, and if not, why. */
export type Standing =
  | { readonly type: "chosen" | "ready" | "too_slow" | "in_reserve" | "busy" | "excluded" }
  | { readonly type: "quota"; readonly quota: Quota; readonly at: number }
  | { readonly type: "shut"; readonly at: number | null }
  | { readonly type: "too_large"; readonly limit: number };

/** Why a call waits, or what became of it. */
export interface Explanation {
  readonly call: number;
  readonly phase: Phase;
  /** Attempts so far. */
  readonly attempts: number;
  /** Calls of the same tenant and model before it; `null` unless it is in the queue. */
  readonly ahead: number | null;
  /** When the endpoints were as they are described. */
  readonly asOf: number;
  readonly endpoints: readonly { readonly endpoint: number; readonly standing: Standing }[];
  readonly trials: readonly {
    readonly attempt: number;
    readonly endpoint: number;
    readonly sentAt: number;
    readonly class: OutcomeClass | null;
  }[];
}
