/** Names behind numbers: the module's lists, held against it by a test. */

import { NONE, named, optional, whole } from "./checks.js";
import type { Slots } from "./module.js";
import type { EndReason, Outcome, OutcomeClass, Quota, Refusal, Spent, WakeReason } from "./types.js";

export const CLASSES = [
  "success",
  "throttled_requests",
  "throttled_tokens",
  "throttled_day",
  "throttled_unknown",
  "overloaded",
  "unavailable",
  "not_ready",
  "timed_out",
  "model_error",
  "stream_broken",
  "stream_broken_delivered",
  "refused",
  "unusable",
  "cancelled",
] as const satisfies readonly OutcomeClass[];

export const QUOTAS = ["requests", "tokens", "day", "unknown"] as const satisfies readonly Quota[];

export const REFUSALS = [
  "deadline",
  "too_large",
  "queue_full",
  "target_wait",
  "no_endpoint",
] as const satisfies readonly Refusal[];

export const WAKE_REASONS = [
  "undrained",
  "start",
  "retry",
  "deadline",
  "hedge",
  "lease",
] as const satisfies readonly WakeReason[];

export const INPUT_ERRORS = ["duplicate_call", "unknown_call", "unknown_attempt", "unknown_model"] as const;

export const SEND = 1;
export const HEDGE = 2;
export const ABORT = 3;
export const END = 4;

const SPENT = ["unknown", "nothing", "never_sent"] as const satisfies readonly Spent[];
/** Not one of the above: what the class normally costs. */
const USUAL = -4;

export function spentNumber(spent: Spent | undefined, pointer: string): number {
  if (spent === undefined) return USUAL;
  return typeof spent === "number" ? whole(spent, pointer) : -1 - named(SPENT, spent, pointer);
}

/** An outcome as numbers: class, cost, wait, length, whether it was cut short. */
export type OutcomeNumbers = readonly [number, number, number, number, boolean];

export function outcomeNumbers(outcome: Outcome, pointer: string): OutcomeNumbers {
  return [
    named(CLASSES, outcome.class, `${pointer}/class`),
    spentNumber(outcome.spent, `${pointer}/spent`),
    optional(outcome.retryAfterUs, `${pointer}/retryAfterUs`),
    optional(outcome.outputTokens, `${pointer}/outputTokens`, 2 ** 32 - 1),
    outcome.truncated === true,
  ];
}

/** An outcome from the numbers that the module answers. */
export function outcomeOf(numbers: ArrayLike<number>): Outcome {
  const [kind, spent, wait, output, truncated] = Array.from(numbers) as [number, number, number, number, number];
  return {
    class: CLASSES[kind] as OutcomeClass,
    spent: spent >= 0 ? spent : (SPENT[-1 - spent] as Spent),
    ...(wait >= 0 ? { retryAfterUs: wait } : {}),
    ...(output >= 0 ? { outputTokens: output } : {}),
    ...(truncated > 0 ? { truncated: true } : {}),
  };
}

export const ANSWERED: EndReason = { type: "answered" };

/** How a call ended, from the slots. */
export function endReason(slots: Slots): EndReason {
  switch (slots.get(0)) {
    case 0:
      return ANSWERED;
    case 1: {
      const [why, at, limit] = [slots.get(1), slots.get(2), slots.get(3)];
      return {
        type: "refused",
        why: REFUSALS[why] as Refusal,
        ...(at === NONE ? {} : { retryAt: at }),
        ...(limit === NONE ? {} : { limit }),
      };
    }
    case 2:
      return { type: "expired" };
    case 3:
      return { type: "cancelled" };
    default:
      return { type: "failed", class: CLASSES[slots.get(1)] as OutcomeClass };
  }
}
