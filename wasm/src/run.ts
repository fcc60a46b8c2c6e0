/** One call on its way through a gate. */

import { failureOutcome } from "./bedrock.js";
import { NONE } from "./checks.js";
import { ABORT, END, endReason, outcomeNumbers, type OutcomeNumbers } from "./codes.js";
import { EndedError } from "./errors.js";
import type { Gate } from "./gate.js";
import type { Endpoint } from "./policy.js";
import type { EndReason, Outcome, Spent } from "./types.js";

const SUCCESS: OutcomeNumbers = [0, -1, NONE, NONE, false];

/** An attempt that is to be made now. */
export class Attempt {
  /** The call, for `gate.explain`. */
  readonly call: number;
  /** Its number in the engine. */
  readonly id: number;
  /** Where to send it. */
  readonly endpoint: Endpoint;
  /** The number of that endpoint in the policy. */
  readonly endpointNumber: number;
  /** 1 for the call's first attempt. */
  readonly number: number;
  /** The cap on the answer to ask for in place of the request's own; always lower. `undefined` for its own. */
  readonly maxTokens: number | undefined;
  /** @internal */
  outcome: OutcomeNumbers | undefined;
  /** @internal Reported, or given up. */
  settled = false;
  /** @internal Its answer is on its way to the caller piece by piece. */
  held = false;
  #controller: AbortController | undefined;
  readonly #run: Run<unknown>;

  /** @internal */
  constructor(run: Run<unknown>, gate: Gate, call: number) {
    const slots = gate.slots;
    const cap = slots.get(3);
    this.#run = run;
    this.call = call;
    this.id = slots.get(0);
    this.endpointNumber = slots.get(1);
    this.endpoint = gate.policy.endpoints[this.endpointNumber] as Endpoint;
    this.number = slots.get(2);
    this.maxTokens = cap === NONE ? undefined : cap;
  }

  /** Aborted when the attempt is given up: by the caller, or because another one has answered. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.settled && !this.#controller.signal.aborted) this.#controller.abort();
    return this.#controller.signal;
  }

  /** Says what the attempt took, in quota tokens, and how long its answer is. Else the reservation stands. */
  spent(spent: Spent, outputTokens?: number): void {
    this.outcome = outcomeNumbers({ class: "success", spent, outputTokens }, "/outcome");
  }

  /** Says how the attempt ended, in place of what is made of the answer or the error. */
  ended(outcome: Outcome): void {
    this.outcome = outcomeNumbers(outcome, "/outcome");
  }

  /**
   * For answers that come piece by piece: what `work` returns is handed to the caller, and the permit is held until the
   * function that comes back is called. Hold the pieces back until one carries part of the answer: an attempt that fails
   * before can be tried again.
   */
  hold(): (outcome: Outcome) => void {
    this.held = true;
    return (outcome) => this.#run.release(this, outcomeNumbers(outcome, "/outcome"));
  }

  /** @internal */
  giveUp(reason?: unknown): void {
    this.settled = true;
    this.#controller?.abort(reason);
  }
}

/** A call, from its submission to its end. */
export class Run<T> {
  readonly #gate: Gate;
  readonly #call: number;
  readonly #work: (attempt: Attempt, signal: AbortSignal) => T | PromiseLike<T>;
  readonly #resolve: (value: T) => void;
  readonly #reject: (error: unknown) => void;
  #out: Attempt[] = [];
  #signal: AbortSignal | undefined;
  #listener: (() => void) | undefined;
  /** The answer, or one that was cut short. */
  #answer: { value: T } | undefined;
  #last: { error: unknown } | undefined;
  #over = false;

  constructor(
    gate: Gate,
    call: number,
    work: (attempt: Attempt, signal: AbortSignal) => T | PromiseLike<T>,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.#gate = gate;
    this.#call = call;
    this.#work = work;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Takes the turns that there are. */
  advance(): void {
    const gate = this.#gate;
    while (!this.#over) {
      const kind = gate.turn(this.#call);
      if (kind === 0) return;
      if (kind === END) return this.#end(endReason(gate.slots));
      if (kind === ABORT) this.#stop(gate.slots.get(0));
      else this.#send(new Attempt(this as Run<unknown>, gate, this.#call));
    }
  }

  #send(attempt: Attempt): void {
    this.#out.push(attempt);
    const work = this.#work;
    try {
      const answer = work.length > 1 ? work(attempt, attempt.signal) : (work as (attempt: Attempt) => T)(attempt);
      Promise.resolve(answer).then(
        (value) => this.#answered(attempt, value),
        (error: unknown) => this.#failed(attempt, error),
      );
    } catch (error) {
      // Not at once: the turns of this call are being taken.
      queueMicrotask(() => this.#failed(attempt, error));
    }
  }

  #answered(attempt: Attempt, value: T): void {
    if (attempt.settled) return;
    if (attempt.held) {
      this.#unheed();
      return this.#resolve(value);
    }
    this.#answer = { value };
    this.#report(attempt, attempt.outcome ?? SUCCESS);
  }

  #failed(attempt: Attempt, error: unknown): void {
    if (attempt.settled) return;
    this.#last = { error };
    this.#report(attempt, attempt.outcome ?? outcomeNumbers(failureOutcome(error), "/outcome"));
  }

  #report(attempt: Attempt, outcome: OutcomeNumbers): void {
    attempt.settled = true;
    this.#out.splice(this.#out.indexOf(attempt), 1);
    this.#gate.report(this.#call, attempt.id, outcome);
  }

  #stop(id: number): void {
    const attempt = this.#out.find((out) => out.id === id);
    if (attempt === undefined) return;
    attempt.giveUp();
    this.#report(attempt, outcomeNumbers({ class: "cancelled" }, ""));
  }

  /** A held attempt has come to its end. */
  release(attempt: Attempt, outcome: OutcomeNumbers): void {
    if (!attempt.settled) this.#report(attempt, outcome);
  }

  #end(reason: EndReason): void {
    this.#over = true;
    this.#unheed();
    const gate = this.#gate;
    if (this.#out.length > 0) {
      for (const attempt of this.#out) attempt.giveUp();
      gate.leave(this.#call);
    } else {
      gate.forget(this.#call);
    }
    if (this.#answer !== undefined) return this.#resolve(this.#answer.value);
    const late = reason.type === "expired" || (reason.type === "refused" && reason.why === "deadline");
    if (this.#last !== undefined && !late) return this.#reject(this.#last.error);
    this.#reject(this.#ended(reason));
  }

  #ended(reason: EndReason): EndedError {
    const closed = reason.type === "cancelled" && this.#gate.closed;
    const at = reason.type === "refused" ? reason.retryAt : undefined;
    const wait = at === undefined ? undefined : Math.max(Math.ceil((at - this.#gate.now()) / 1000), 0);
    const line = closed ? "the gate was closed" : (this.#gate.describe(this.#call) ?? reason.type);
    return new EndedError(reason, `sluicegate ended the call: ${line}`, wait, this.#last?.error);
  }

  /** Gives the call up when the caller says so. */
  heed(signal: AbortSignal): void {
    this.#signal = signal;
    this.#listener = () => this.abort(signal.reason);
    signal.addEventListener("abort", this.#listener, { once: true });
  }

  #unheed(): void {
    if (this.#listener !== undefined) this.#signal?.removeEventListener("abort", this.#listener);
    this.#listener = undefined;
  }

  /** The caller goes. */
  abort(reason: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#unheed();
    for (const attempt of this.#out) attempt.giveUp(reason);
    this.#gate.leave(this.#call);
    this.#reject(reason);
  }
}
