/** From the module's JSON to this package's objects. */

import type { EndReason, Event, Explanation, OutcomeClass, Phase, Quota, Refusal, Standing } from "./types.js";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Tagged = string | { [name: string]: Json };

/** The one field of an object, or the name alone. */
function untag(value: Tagged): [string, Json] {
  return typeof value === "string" ? [value, null] : (Object.entries(value)[0] as [string, Json]);
}

function classOf(value: Json): OutcomeClass {
  const [name, quota] = untag(value as Tagged);
  return (quota === null ? name : `${name}_${quota as Quota}`) as OutcomeClass;
}

function reasonOf(value: Json): EndReason {
  const [type, fields] = untag(value as Tagged);
  if (type === "failed") return { type, class: classOf((fields as { class: Json }).class) };
  if (type !== "refused") return { type } as EndReason;
  const { why, retry_at } = fields as { why: Json; retry_at: number | null };
  const [name, detail] = untag(why as Tagged);
  const limit = (detail as { limit: number } | null)?.limit;
  return {
    type,
    why: name as Refusal,
    ...(retry_at === null ? {} : { retryAt: retry_at }),
    ...(limit === undefined ? {} : { limit }),
  };
}

const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

export function eventOf(value: Json): Event {
  const [type, fields] = untag(value as Tagged);
  const event: Record<string, unknown> = { type };
  for (const [name, field] of Object.entries(fields as { [name: string]: Json })) {
    event[camel(name)] = name === "class" ? classOf(field) : name === "reason" ? reasonOf(field) : field;
  }
  return event as unknown as Event;
}

function phaseOf(value: Json): Phase {
  const [type, detail] = untag(value as Tagged);
  if (type === "delayed") return { type, at: detail as number };
  if (type === "out") return { type, attempt: detail as number };
  return type === "ended" ? { type, reason: reasonOf(detail) } : { type: "waiting" };
}

function standingOf(value: Json): Standing {
  const [type, detail] = untag(value as Tagged);
  if (type === "quota") {
    const [quota, at] = detail as [Quota, number];
    return { type, quota, at };
  }
  if (type === "shut") return { type, at: detail as number | null };
  return (type === "too_large" ? { type, limit: detail as number } : { type }) as Standing;
}

export function explanationOf(text: string | undefined): Explanation | undefined {
  if (text === undefined) return undefined;
  const said = JSON.parse(text) as {
    call: number;
    phase: Json;
    attempts: number;
    ahead: number | null;
    as_of: number;
    endpoints: { endpoint: number; standing: Json }[];
    trials: { attempt: number; endpoint: number; sent_at: number; class: Json }[];
  };
  return {
    call: said.call,
    phase: phaseOf(said.phase),
    attempts: said.attempts,
    ahead: said.ahead,
    asOf: said.as_of,
    endpoints: said.endpoints.map(({ endpoint, standing }) => ({ endpoint, standing: standingOf(standing) })),
    trials: said.trials.map((trial) => ({
      attempt: trial.attempt,
      endpoint: trial.endpoint,
      sentAt: trial.sent_at,
      class: trial.class === null ? null : classOf(trial.class),
    })),
  };
}
