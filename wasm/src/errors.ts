/** What is thrown: each has a stable `code`. */

import type { EndReason } from "./types.js";

/** Anything that sluicegate throws. */
export class SluicegateError extends Error {
  /** The stable name of the error: `not_ready`, `closed`, or one that a subclass tells. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** One thing that is wrong with a policy. */
export interface Fault {
  /** Its stable name, such as `unknown_field`. */
  readonly code: string;
  /** Where it is: a JSON pointer. */
  readonly pointer: string;
  /** What is wrong, and what would be right. */
  readonly message: string;
}

/** A policy cannot be used. */
export class PolicyError extends SluicegateError {
  /** Every fault, in the order of reading. */
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]) {
    const lines = faults.map((fault) => `\n  ${fault.pointer || "/"}: ${fault.message}`);
    super("policy", `the policy has ${faults.length} fault${faults.length === 1 ? "" : "s"}${lines.join("")}`);
    this.faults = faults;
  }
}

/** What is wrong with an argument. */
export type ArgumentCode =
  | "not_a_number"
  | "negative"
  | "fractional"
  | "too_large"
  | "wrong_type"
  | "unknown_model"
  | "unknown_name"
  | "settled";

/** An argument cannot be used; nothing has changed. */
export class ArgumentError extends SluicegateError {
  declare readonly code: ArgumentCode;
  /** Which one: a JSON pointer into the arguments. */
  readonly pointer: string;

  constructor(code: ArgumentCode, pointer: string, message: string) {
    super(code, `${pointer}: ${message}`);
    this.pointer = pointer;
  }
}

/** The engine was told something that cannot be: a call that it does not know, an attempt that is not out. */
export class InputError extends SluicegateError {}

/** A snapshot cannot be used; start without it. */
export class SnapshotError extends SluicegateError {}

/** The engine ended a call without an answer. `cause` is the error of the last attempt, if one was made. */
export class EndedError extends SluicegateError {
  /** How it ended. */
  readonly reason: EndReason;
  /** Milliseconds until trying again can help, where that is known. */
  readonly retryAfter: number | undefined;

  constructor(reason: EndReason, message: string, retryAfter: number | undefined, cause: unknown) {
    super(reason.type === "refused" ? reason.why : reason.type, message, cause === undefined ? undefined : { cause });
    this.reason = reason;
    this.retryAfter = retryAfter;
  }
}
