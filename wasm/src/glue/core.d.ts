/* tslint:disable */
/* eslint-disable */

/**
 * Estimates what calls will cost and reads what they did cost.
 */
export class Appraiser {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The report on an answer, as the numbers of an outcome. The headers are names and values in turn.
     */
    answered(plan: Plan, endpoint: number, body: Uint8Array | number[], headers: string[]): Float64Array;
    /**
     * An appraiser for the endpoints of a policy.
     *
     * # Errors
     * All faults of the section `data.bedrock`, as a JSON text.
     */
    constructor(policy: Policy);
    /**
     * Reads a request for a model of the policy; `None` for a model that it does not have. A stream's cap cannot be
     * lowered, and it is never sent twice at once.
     */
    plan(model: string, body: Uint8Array | number[], converse: boolean, stream: boolean, within: number, priority: number, tenant: number, affinity: bigint | null | undefined, label: number, lone: boolean): Plan | undefined;
    /**
     * The same with what it has learned, for another policy.
     *
     * # Errors
     * All faults of the section `data.bedrock`, as a JSON text.
     */
    reconfigure(policy: Policy): void;
    /**
     * The report on a stream that ended, or that its caller dropped before.
     */
    streamed(plan: Plan, endpoint: number, stream: StreamReader, dropped: boolean): Float64Array;
}

/**
 * How long to wait before a retry.
 */
export class Backoff {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The delay in microseconds before a retry; a hint below zero is none.
     */
    delay(retry: number, previous: number, hint: number, random: Random): number;
    /**
     * A curve by its number, or one of the ready-made ones from 6 on.
     */
    constructor(curve: number, base: number, cap: number);
}

/**
 * Shuts out what keeps failing.
 */
export class Breaker {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * 0 to pass, 1 to pass as a probe, 2 if shut until the time in the slots, 3 if all probes are out. To look only, or to
     * go.
     */
    acquire(now: number, look: boolean): number;
    /**
     * Mode, failure rate, slow rate, what is slow, window in attempts, window in seconds, minimum of attempts, open for, open
     * at most, jitter, probes.
     */
    constructor(config: Float64Array | number[]);
    /**
     * How an attempt ended; answers the new state if it changed, else a negative number.
     */
    record(now: number, failed: boolean, took: number, random: Random): number;
    /**
     * An attempt that was let through never went.
     */
    release(): void;
    /**
     * Where the four numbers of an answer stand in memory.
     */
    slots(): number;
    /**
     * 0 closed, 1 open, 2 half open.
     */
    readonly state: number;
}

/**
 * The desk. A submission answers the call's number, or minus the number of an error.
 */
export class Desk {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Lets nothing more in and cancels every call that waits.
     */
    close(now: number): void;
    /**
     * The same as a line to read.
     */
    describe(now: number, call: number): string | undefined;
    /**
     * Why a call waits or what became of it, as JSON.
     */
    explain(now: number, call: number): string | undefined;
    /**
     * The caller goes.
     */
    leave(now: number, call: number): void;
    /**
     * A desk with full pools.
     */
    constructor(policy: Policy, seed: bigint, now: number);
    /**
     * The next event as JSON: its time, then itself.
     */
    nextEvent(): string | undefined;
    /**
     * The next call with a turn to take; negative for none.
     */
    nextNews(): number;
    /**
     * When to wake the desk next; negative for never.
     */
    nextWakeup(): number;
    /**
     * Puts another policy in force.
     */
    reconfigure(now: number, policy: Policy): void;
    /**
     * Reports how an attempt ended. Answers 0, or the number of an error.
     */
    report(now: number, call: number, attempt: number, _class: number, cost: number, retry_after: number, output_tokens: number, truncated: boolean): number;
    /**
     * A desk that goes on from a snapshot.
     *
     * # Errors
     * The text is no snapshot: the code and the message, with a colon in between.
     */
    static restore(policy: Policy, seed: bigint, now: number, snapshot: string, asleep: number): Desk;
    /**
     * Where the four numbers of an answer stand in memory.
     */
    slots(): number;
    /**
     * All that was learned and counted, as a text.
     */
    snapshot(now: number): string;
    /**
     * Submits what was planned.
     */
    submitPlan(now: number, plan: Plan): number;
    /**
     * Submits a call with what is rarely there as well.
     */
    submitWith(now: number, model: number, tokens: number, within: number, priority: number, tenant: number, max_tokens: number, label: number, lone: boolean, affinity: bigint | null | undefined, cached_tokens: number, fingerprint?: bigint | null): number;
    /**
     * Submits a call. What is negative is not there.
     */
    submit(now: number, model: number, tokens: number, within: number, priority: number, tenant: number, max_tokens: number, label: number, lone: boolean): number;
    /**
     * Takes a call's next turn and answers its kind, 0 while it waits; what it is about stands in the slots.
     */
    turn(call: number): number;
    /**
     * The time of the next wake-up has come.
     */
    wake(now: number): void;
    /**
     * Keeps events from now on, or drops them.
     */
    watch(watching: boolean): void;
    /**
     * Attempts that are out.
     */
    readonly inFlight: number;
    /**
     * Calls that wait.
     */
    readonly waiting: number;
}

/**
 * The engine. Inputs answer 0, or the number of an error.
 */
export class Engine {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The caller no longer wants a call.
     */
    cancel(now: number, random: Random, call: number): number;
    /**
     * The call that the last decision is about.
     */
    decidedCall(): number;
    /**
     * The same as a line to read.
     */
    describe(now: number, call: number): string | undefined;
    /**
     * Why a call waits or what became of it, as JSON.
     */
    explain(now: number, call: number): string | undefined;
    /**
     * The message of an error that an input answered, about this call, attempt or model.
     */
    static inputError(code: number, subject: number): string;
    /**
     * An engine with full pools.
     */
    constructor(policy: Policy, now: number);
    /**
     * When to wake the engine next: the time and, as the first slot, the number of the reason. Negative for never.
     */
    nextWakeup(): number;
    /**
     * Takes out the next decision and answers its kind; what it is about stands in the slots.
     */
    pollDecision(): number;
    /**
     * Takes out the next event, as JSON.
     */
    pollEvent(): string | undefined;
    /**
     * How much of a pool's limit is used, in thousandths; negative for a pool that does not exist.
     */
    poolUse(now: number, pool: number, of: number): number;
    /**
     * Puts another policy in force.
     */
    reconfigure(now: number, policy: Policy): void;
    /**
     * How an attempt ended.
     */
    report(now: number, random: Random, attempt: number, _class: number, cost: number, retry_after: number, output_tokens: number, truncated: boolean): number;
    /**
     * An engine that goes on from a snapshot.
     *
     * # Errors
     * The text is no snapshot: the code and the message, with a colon in between.
     */
    static restore(policy: Policy, snapshot: string, now: number, asleep: number): Engine;
    /**
     * Where the four numbers of an answer stand in memory.
     */
    slots(): number;
    /**
     * All that was learned and counted, as a text.
     */
    snapshot(now: number): string;
    /**
     * A new call. Deadline, maximum and label are negative where there is none.
     */
    submit(now: number, random: Random, id: number, model: number, tokens: number, deadline: number, priority: number, tenant: number, affinity: bigint | null | undefined, cached_tokens: number, max_tokens: number, label: number, fingerprint: bigint | null | undefined, lone: boolean): number;
    /**
     * The time of the next wake-up has come.
     */
    wake(now: number, random: Random): number;
    /**
     * Attempts that are out.
     */
    readonly inFlight: number;
    /**
     * Calls that wait.
     */
    readonly waiting: number;
}

/**
 * Admission under one quota pool.
 */
export class Limiter {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * 0 if it is granted, 1 if not before a time (and because of which quota), 2 if all are out, 3 if it is larger than a
     * limit; the numbers stand in the slots.
     */
    acquire(now: number, tokens: number): number;
    /**
     * The limit in force; negative for none.
     */
    limit(of: number): number;
    /**
     * Requests per minute, tokens per minute, tokens per day, concurrency, burst, margin.
     */
    constructor(limits: Float64Array | number[], now: number);
    /**
     * Grants nothing before a time.
     */
    pause(until: number): void;
    /**
     * The permit that was granted last; each can be had once.
     */
    permit(): Permit | undefined;
    /**
     * Puts other limits in force.
     */
    reconfigure(limits: Float64Array | number[], now: number): void;
    /**
     * The service refused an attempt, sent at a time: its quota was used up.
     */
    refused(now: number, sent: number, tokens: number, of: number): void;
    /**
     * Settles a permit; `false` for one that is settled already.
     */
    settle(now: number, permit: Permit, cost: number): boolean;
    /**
     * Where the four numbers of an answer stand in memory.
     */
    slots(): number;
    /**
     * Permits that are not settled.
     */
    readonly inFlight: number;
}

/**
 * A reservation, until it is settled.
 */
export class Permit {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
}

/**
 * What is to be submitted for a call, and to be remembered until its answer.
 */
export class Plan {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * The number of the model in the policy.
     */
    readonly model: number;
    /**
     * The tokens that the service will reserve.
     */
    readonly tokens: number;
}

/**
 * A policy that was read without a fault.
 */
export class Policy {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Reads a JSON text.
     *
     * # Errors
     * All faults, as a JSON text.
     */
    constructor(text: string);
    /**
     * Its names in the order of their numbers, and where its endpoints are, as JSON.
     */
    shape(): string;
    /**
     * The number of the tenant of this name, whether or not the policy names it.
     */
    tenantNamed(name: string): number;
}

/**
 * A generator, or a list of numbers in its place.
 */
export class Random {
    private constructor();
    free(): void;
    [Symbol.dispose](): void;
    /**
     * These numbers in their order; the last one repeats, and an empty list gives 0.
     */
    static listed(draws: BigUint64Array | bigint[]): Random;
    /**
     * The generator that gates use, from a seed.
     */
    static seeded(seed: bigint): Random;
}

/**
 * A bound on retries and hedges.
 */
export class RetryBudget {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * What is left, in thousandths of a token.
     */
    left(now: number): number;
    /**
     * Starts from a ready-made budget (0 the core's own, 1 that of the AWS SDKs); then capacity, cost of a throttled retry, of
     * any other, of a hedge, deposit, refund, inflow per second, floor, whether refused ones are charged.
     */
    constructor(ready_made: number, config: Float64Array | number[], now: number);
    /**
     * Where the four numbers of an answer stand in memory.
     */
    slots(): number;
    /**
     * A call succeeded, whose last retry was charged so much; negative for one that needed none.
     */
    success(now: number, charged: number): void;
    /**
     * What a retry (0 throttled, 1 other, 2 hedge) was charged; negative if it is not allowed, with the time from which it
     * would be in the slots.
     */
    withdraw(now: number, kind: number): number;
}

/**
 * What is known of a stream so far.
 */
export class StreamReader {
    free(): void;
    [Symbol.dispose](): void;
    /**
     * Takes in bytes of `application/vnd.amazon.eventstream`.
     */
    bytes(bytes: Uint8Array | number[]): void;
    /**
     * Takes in a decoded chunk of InvokeModelWithResponseStream.
     */
    chunk(bytes: Uint8Array | number[]): void;
    /**
     * Takes in an event as SDKs hand it out, as JSON.
     */
    event(text: string): void;
    /**
     * The outcome by the error that the stream itself told, if it did.
     */
    failed(delivered: boolean): Float64Array | undefined;
    /**
     * A stream of which nothing has come.
     */
    constructor(converse: boolean);
    /**
     * What came are no frames.
     */
    readonly broken: boolean;
    /**
     * The answer is complete.
     */
    readonly completes: boolean;
    /**
     * Part of the answer has come.
     */
    readonly delivers: boolean;
}

/**
 * The number of an affinity key, the same in every language.
 */
export function affinityOf(key: string): bigint;

/**
 * Why an attempt failed, as JSON: the reason, then the numbers of the outcome. With a body it is an answer over HTTP,
 * whose name and text are read from there.
 */
export function classify(kind: number, code: string | null | undefined, status: number | null | undefined, message: string | null | undefined, in_stream: boolean, delivered: boolean, original_status: number | null | undefined, headers: string[], body: Uint8Array | number[] | null | undefined, unix_seconds: number): string;

/**
 * The size of a request: bytes of text, images, pages of documents, other media, and its own maximum (negative for none).
 */
export function estimate(body: Uint8Array | number[], converse: boolean): Float64Array;

/**
 * The number of a label.
 */
export function labelNamed(name: string): number;

/**
 * The same request with another cap on its answer, where it has one that can be lowered.
 */
export function lowerMaxTokens(body: Uint8Array | number[], converse: boolean, cap: number): Uint8Array | undefined;

/**
 * The names behind the numbers, as JSON: what the package's own lists are held against.
 */
export function names(): string;

/**
 * The JSON Schema of policies, as a text.
 */
export function policySchema(): string;

/**
 * The wait that an answer asks for, in microseconds; negative for none.
 */
export function retryAfter(headers: string[], unix_seconds: number): number;

export type InitInput = RequestInfo | URL | Response | BufferSource | WebAssembly.Module;

export interface InitOutput {
    readonly memory: WebAssembly.Memory;
    readonly __wbg_appraiser_free: (a: number, b: number) => void;
    readonly __wbg_backoff_free: (a: number, b: number) => void;
    readonly __wbg_breaker_free: (a: number, b: number) => void;
    readonly __wbg_desk_free: (a: number, b: number) => void;
    readonly __wbg_engine_free: (a: number, b: number) => void;
    readonly __wbg_limiter_free: (a: number, b: number) => void;
    readonly __wbg_permit_free: (a: number, b: number) => void;
    readonly __wbg_plan_free: (a: number, b: number) => void;
    readonly __wbg_policy_free: (a: number, b: number) => void;
    readonly __wbg_random_free: (a: number, b: number) => void;
    readonly __wbg_retrybudget_free: (a: number, b: number) => void;
    readonly __wbg_streamreader_free: (a: number, b: number) => void;
    readonly affinityOf: (a: number, b: number) => bigint;
    readonly appraiser_answered: (a: number, b: number, c: number, d: number, e: number, f: number, g: number) => [number, number];
    readonly appraiser_new: (a: number) => [number, number, number];
    readonly appraiser_plan: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: bigint, m: number, n: number) => number;
    readonly appraiser_reconfigure: (a: number, b: number) => [number, number];
    readonly appraiser_streamed: (a: number, b: number, c: number, d: number, e: number) => [number, number];
    readonly backoff_delay: (a: number, b: number, c: number, d: number, e: number) => number;
    readonly backoff_new: (a: number, b: number, c: number) => number;
    readonly breaker_acquire: (a: number, b: number, c: number) => number;
    readonly breaker_new: (a: number, b: number) => number;
    readonly breaker_record: (a: number, b: number, c: number, d: number, e: number) => number;
    readonly breaker_release: (a: number) => void;
    readonly breaker_slots: (a: number) => number;
    readonly breaker_state: (a: number) => number;
    readonly classify: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: number, m: number, n: number) => [number, number];
    readonly desk_close: (a: number, b: number) => void;
    readonly desk_describe: (a: number, b: number, c: number) => [number, number];
    readonly desk_explain: (a: number, b: number, c: number) => [number, number];
    readonly desk_inFlight: (a: number) => number;
    readonly desk_leave: (a: number, b: number, c: number) => void;
    readonly desk_new: (a: number, b: bigint, c: number) => number;
    readonly desk_nextEvent: (a: number) => [number, number];
    readonly desk_nextNews: (a: number) => number;
    readonly desk_nextWakeup: (a: number) => number;
    readonly desk_reconfigure: (a: number, b: number, c: number) => void;
    readonly desk_report: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number) => number;
    readonly desk_restore: (a: number, b: bigint, c: number, d: number, e: number, f: number) => [number, number, number];
    readonly desk_slots: (a: number) => number;
    readonly desk_snapshot: (a: number, b: number) => [number, number];
    readonly desk_submit: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number) => number;
    readonly desk_submitPlan: (a: number, b: number, c: number) => number;
    readonly desk_submitWith: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: number, l: bigint, m: number, n: number, o: bigint) => number;
    readonly desk_turn: (a: number, b: number) => number;
    readonly desk_waiting: (a: number) => number;
    readonly desk_wake: (a: number, b: number) => void;
    readonly desk_watch: (a: number, b: number) => void;
    readonly engine_cancel: (a: number, b: number, c: number, d: number) => number;
    readonly engine_decidedCall: (a: number) => number;
    readonly engine_describe: (a: number, b: number, c: number) => [number, number];
    readonly engine_explain: (a: number, b: number, c: number) => [number, number];
    readonly engine_inFlight: (a: number) => number;
    readonly engine_inputError: (a: number, b: number) => [number, number];
    readonly engine_new: (a: number, b: number) => number;
    readonly engine_nextWakeup: (a: number) => number;
    readonly engine_pollDecision: (a: number) => number;
    readonly engine_pollEvent: (a: number) => [number, number];
    readonly engine_poolUse: (a: number, b: number, c: number, d: number) => number;
    readonly engine_reconfigure: (a: number, b: number, c: number) => void;
    readonly engine_report: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number) => number;
    readonly engine_restore: (a: number, b: number, c: number, d: number, e: number) => [number, number, number];
    readonly engine_slots: (a: number) => number;
    readonly engine_snapshot: (a: number, b: number) => [number, number];
    readonly engine_submit: (a: number, b: number, c: number, d: number, e: number, f: number, g: number, h: number, i: number, j: number, k: bigint, l: number, m: number, n: number, o: number, p: bigint, q: number) => number;
    readonly engine_waiting: (a: number) => number;
    readonly engine_wake: (a: number, b: number, c: number) => number;
    readonly estimate: (a: number, b: number, c: number) => [number, number];
    readonly labelNamed: (a: number, b: number) => number;
    readonly limiter_acquire: (a: number, b: number, c: number) => number;
    readonly limiter_inFlight: (a: number) => number;
    readonly limiter_limit: (a: number, b: number) => number;
    readonly limiter_new: (a: number, b: number, c: number) => number;
    readonly limiter_pause: (a: number, b: number) => void;
    readonly limiter_permit: (a: number) => number;
    readonly limiter_reconfigure: (a: number, b: number, c: number, d: number) => void;
    readonly limiter_refused: (a: number, b: number, c: number, d: number, e: number) => void;
    readonly limiter_settle: (a: number, b: number, c: number, d: number) => number;
    readonly limiter_slots: (a: number) => number;
    readonly lowerMaxTokens: (a: number, b: number, c: number, d: number) => [number, number];
    readonly names: () => [number, number];
    readonly plan_model: (a: number) => number;
    readonly plan_tokens: (a: number) => number;
    readonly policySchema: () => [number, number];
    readonly policy_new: (a: number, b: number) => [number, number, number];
    readonly policy_shape: (a: number) => [number, number];
    readonly policy_tenantNamed: (a: number, b: number, c: number) => number;
    readonly random_listed: (a: number, b: number) => number;
    readonly random_seeded: (a: bigint) => number;
    readonly retryAfter: (a: number, b: number, c: number) => number;
    readonly retrybudget_left: (a: number, b: number) => number;
    readonly retrybudget_new: (a: number, b: number, c: number, d: number) => number;
    readonly retrybudget_slots: (a: number) => number;
    readonly retrybudget_success: (a: number, b: number, c: number) => void;
    readonly retrybudget_withdraw: (a: number, b: number, c: number) => number;
    readonly streamreader_broken: (a: number) => number;
    readonly streamreader_bytes: (a: number, b: number, c: number) => void;
    readonly streamreader_chunk: (a: number, b: number, c: number) => void;
    readonly streamreader_completes: (a: number) => number;
    readonly streamreader_delivers: (a: number) => number;
    readonly streamreader_event: (a: number, b: number, c: number) => void;
    readonly streamreader_failed: (a: number, b: number) => [number, number];
    readonly streamreader_new: (a: number) => number;
    readonly __wbindgen_malloc: (a: number, b: number) => number;
    readonly __wbindgen_realloc: (a: number, b: number, c: number, d: number) => number;
    readonly __wbindgen_free: (a: number, b: number, c: number) => void;
    readonly __wbindgen_externrefs: WebAssembly.Table;
    readonly __externref_table_alloc: () => number;
    readonly __externref_drop_slice: (a: number, b: number) => void;
    readonly __externref_table_dealloc: (a: number) => void;
    readonly __wbindgen_start: () => void;
}

export type SyncInitInput = BufferSource | WebAssembly.Module;

/**
 * Instantiates the given `module`, which can either be bytes or
 * a precompiled `WebAssembly.Module`.
 *
 * @param {{ module: SyncInitInput }} module - Passing `SyncInitInput` directly is deprecated.
 *
 * @returns {InitOutput}
 */
export function initSync(module: { module: SyncInitInput } | SyncInitInput): InitOutput;

/**
 * If `module_or_path` is {RequestInfo} or {URL}, makes a request and
 * for everything else, calls `WebAssembly.instantiate` directly.
 *
 * @param {{ module_or_path: InitInput | Promise<InitInput> }} module_or_path - Passing `InitInput` directly is deprecated.
 *
 * @returns {Promise<InitOutput>}
 */
export default function __wbg_init (module_or_path?: { module_or_path: InitInput | Promise<InitInput> } | InitInput | Promise<InitInput>): Promise<InitOutput>;
