// What is played, as a person has set it up, and how it fits into a link.

import { LAWS, presetOf, REGIONS } from "./scenarios";
import type { Json, JsonObject } from "./types";

export const SIDES = ["article", "aws-adaptive", "sluicegate"] as const;
export const MOST_LOAD = 4000;
export const MOST_QUOTA = 1500;
const LONGEST_LINK = 200_000;

/** Everything that a link holds. */
export interface Setup {
  preset: string;
  law: string;
  seed: number;
  /** In thousandths of what the service can carry. */
  load: number;
  /** The real quotas, in thousandths of the scenario's. */
  quota: number;
  /** Regions that are out. */
  out: boolean[];
  speed: number;
  /** The policy's text where it is not the scenario's own. */
  policy: string | null;
}

/** Calls from a file, which no link holds. */
export interface Recording {
  name: string;
  text: string;
  calls: number;
  /** Mean calls in 1,000 seconds. */
  rate: number;
}

export function fresh(preset: string): Setup {
  const load = presetOf(preset).load;
  return { preset, law: "sliding", seed: 1, load, quota: 1000, out: REGIONS.map(() => false), speed: 5, policy: null };
}

/** The scenario as the simulator reads it, at the preset's own load. */
export function scenarioOf(setup: Setup): JsonObject {
  const scenario = structuredClone(presetOf(setup.preset).scenario);
  scenario["seed"] = setup.seed;
  const law = LAWS.find((law) => law.id === setup.law)?.law ?? "sliding";
  for (const lane of (scenario["service"] as { lanes: JsonObject[] }).lanes) lane["law"] = law;
  return scenario;
}

/** The text handed to the simulator. */
export function played(scenario: Json, policy: string, recording: Recording | null): string {
  const calls = recording ? { calls: recording.text } : {};
  return JSON.stringify({ scenario, sides: SIDES, policy: JSON.parse(policy), ...calls });
}

async function pipe(bytes: Uint8Array, through: CompressionStream | DecompressionStream): Promise<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(through);
  const parts: Uint8Array[] = [];
  let size = 0;
  for (const reader = stream.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > LONGEST_LINK) throw new Error("the link holds too much");
    parts.push(value);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The part of a link behind the `#`. */
export async function encode(setup: Setup): Promise<string> {
  const bytes = await pipe(new TextEncoder().encode(JSON.stringify(setup)), new CompressionStream("deflate-raw"));
  const text = btoa(String.fromCharCode(...bytes));
  return `s=${text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`;
}

/** Reads it back; what is missing or out of range is as in a fresh set-up. `null`: there is none, or it is damaged. */
export async function decode(hash: string): Promise<Setup | null> {
  const text = /^#?s=([\w-]+)$/.exec(hash)?.[1];
  if (!text) return null;
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (char) => char.charCodeAt(0));
    const json = new TextDecoder().decode(await pipe(bytes, new DecompressionStream("deflate-raw")));
    return checked(JSON.parse(json));
  } catch {
    return null;
  }
}

function checked(value: unknown): Setup | null {
  if (typeof value !== "object" || value === null) return null;
  const given = value as Record<string, unknown>;
  const setup = fresh(presetOf(String(given["preset"])).id);
  const whole = (name: string, least: number, most: number, fallback: number): number => {
    const number = given[name];
    const fits = typeof number === "number" && Number.isInteger(number) && number >= least && number <= most;
    return fits ? number : fallback;
  };
  setup.seed = whole("seed", 0, Number.MAX_SAFE_INTEGER, setup.seed);
  setup.load = whole("load", 0, MOST_LOAD, setup.load);
  setup.quota = whole("quota", 0, MOST_QUOTA, setup.quota);
  setup.speed = whole("speed", 1, 60, setup.speed);
  if (LAWS.some((law) => law.id === given["law"])) setup.law = String(given["law"]);
  if (Array.isArray(given["out"])) setup.out = REGIONS.map((_, place) => (given["out"] as unknown[])[place] === true);
  if (typeof given["policy"] === "string") setup.policy = given["policy"];
  return setup;
}
