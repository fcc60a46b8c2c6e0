/** Answers that come piece by piece: held back until a piece carries part of the answer, settled at the end. */

import type { Plan, StreamReader } from "./bedrock.js";
import type { Gate } from "./gate.js";
import type { Attempt } from "./run.js";
import type { Outcome } from "./types.js";

/** The pieces of an attempt's stream, of which the first ones were looked at. */
export class HeldStream<P> {
  readonly #source: AsyncIterator<P>;
  readonly #held: P[] = [];
  readonly #reader: StreamReader;
  readonly #read: (piece: P, reader: StreamReader) => void;
  #settle: ((outcome: Outcome) => void) | undefined;
  #close: ((dropped: boolean) => Outcome) | undefined;

  constructor(source: AsyncIterator<P>, reader: StreamReader, read: (piece: P, reader: StreamReader) => void) {
    this.#source = source;
    this.#reader = reader;
    this.#read = read;
  }

  /** Reads up to the first piece that delivers. `false` where the stream ends, breaks or fails by itself before. */
  async open(): Promise<boolean> {
    while (!this.#reader.delivers) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      this.#held.push(next.value);
      this.#read(next.value, this.#reader);
      if (!this.#reader.delivers && (this.#reader.failed(false) !== undefined || this.#reader.broken)) return false;
    }
    return true;
  }

  /** Hands the pieces out; whatever becomes of them, the attempt is settled. */
  handOut(gate: Gate, attempt: Attempt, plan: Plan): void {
    this.#settle = attempt.hold();
    this.#close = (dropped) => gate.appraiser.streamed(plan, attempt.endpointNumber, this.#reader, dropped);
  }

  /** The next piece. `failed` says what an error means that the source throws. */
  async next(failed: (error: unknown) => Outcome): Promise<IteratorResult<P, undefined>> {
    const held = this.#held.shift();
    if (held !== undefined) return { done: false, value: held };
    try {
      const next = await this.#source.next();
      if (next.done === true) {
        this.#end(this.#reader.failed(true) ?? this.#close?.(false));
        return { done: true, value: undefined };
      }
      this.#read(next.value, this.#reader);
      return next;
    } catch (error) {
      this.#end(failed(error));
      throw error;
    }
  }

  /** The caller wants no more. */
  async drop(): Promise<void> {
    this.#end(this.#close?.(true));
    await this.#source.return?.();
  }

  #end(outcome: Outcome | undefined): void {
    const settle = this.#settle;
    this.#settle = undefined;
    if (outcome !== undefined) settle?.(outcome);
  }
}
