// The scenarios to pick from: those of `tests/plans`, with their times.

import type { Json, JsonObject } from "./types";

export interface Preset {
  id: string;
  name: string;
  about: string;
  /** Load at the start, in thousandths of what the service can carry. */
  load: number;
  scenario: JsonObject;
  /** What the policy says besides the quotas. */
  policy: JsonObject;
}

export const REGIONS = ["us-east-1", "us-east-2", "us-west-2"];
/** Until then every law has forgotten its start; calls made before do not count at the end. */
export const WARM_UP_SECONDS = 60;
export const RUN_SECONDS = 360;
const SECOND = 1_000_000;

interface Recipe {
  /** What each Region has. */
  each: JsonObject;
  /** Calls that the service can carry, in 1,000 seconds. */
  carries: number;
  load: number;
  faults?: (region: number) => Json[];
  arrivals?: (rate: number) => JsonObject;
  workload?: JsonObject;
  run?: JsonObject;
  policy?: JsonObject;
}

const REQUESTS: JsonObject = { requests_per_minute: 300, tokens_per_minute: 6_000_000, output_multiplier: 5 };
const TOKENS: JsonObject = { tokens_per_minute: 600_000, output_multiplier: 5 };
const SLOTS: JsonObject = { requests_per_minute: 6_000, tokens_per_minute: 60_000_000, output_multiplier: 5 };
/** Three times 300 requests a minute. */
const REQUESTS_CARRY = 15_000;
/** A call settles at 2,210 tokens on average: 1,155 of prompt and five times 211 of answer. */
const TOKENS_CARRY = 13_570;
/** A call takes a slot for 3.2 s on average. */
const SLOT_CARRIES = 312;

const during = (from: number, to: number, effect: Json): Json => ({
  from_us: from * SECOND,
  to_us: to * SECOND,
  effect,
});

function preset(id: string, name: string, about: string, recipe: Recipe): Preset {
  const rate = Math.round((recipe.carries * recipe.load) / 1000);
  const lanes = REGIONS.map((region, place) => ({
    region,
    model: "anthropic.claude",
    law: "sliding",
    ...recipe.each,
    faults: recipe.faults?.(place) ?? [],
  }));
  const scenario: JsonObject = {
    service: { lanes },
    workload: {
      arrivals: recipe.arrivals?.(rate) ?? { poisson: { per_1000_s: rate } },
      max_tokens: { fixed: 1024 },
      ...recipe.workload,
    },
    warm_up_us: WARM_UP_SECONDS * SECOND,
    measured_us: (RUN_SECONDS - WARM_UP_SECONDS) * SECOND,
    ...recipe.run,
  };
  return { id, name, about, load: recipe.load, scenario, policy: recipe.policy ?? {} };
}

/** Overload is shed early instead of being served at the last moment. */
const SHED: JsonObject = { queue: { target_wait_ms: 2000 } };

export const PRESETS: Preset[] = [
  preset("overload", "Overload, 1.5 times", "Half as many calls again as the request quotas allow.", {
    each: REQUESTS,
    carries: REQUESTS_CARRY,
    load: 1500,
    policy: SHED,
  }),
  preset("overload-3", "Overload, 3 times", "Three times as many calls as the request quotas allow.", {
    each: REQUESTS,
    carries: REQUESTS_CARRY,
    load: 3000,
    policy: SHED,
  }),
  preset("tokens", "Token quota, 1.5 times", "The tokens per minute bind, not the requests.", {
    each: TOKENS,
    carries: TOKENS_CARRY,
    load: 1500,
    policy: SHED,
  }),
  preset(
    "large",
    "Large max_tokens",
    "Callers reserve 10 to 40 times the output they get, and each output token counts five times.",
    {
      each: { tokens_per_minute: 1_200_000, output_multiplier: 5, max_output_tokens: 64_000 },
      carries: 2 * TOKENS_CARRY,
      load: 1500,
      workload: { max_tokens: { output_between: [10_000, 40_000] } },
      policy: SHED,
    },
  ),
  preset("outage", "Outage of one Region", "At 0.6 of the quota, us-east-1 answers every attempt with 503 for 100 s.", {
    each: REQUESTS,
    carries: REQUESTS_CARRY,
    load: 600,
    faults: (region) => (region === 0 ? [during(100, 200, "outage")] : []),
  }),
  preset("brownout", "Brownout", "At half load, a fifth of the capacity is left for 20 s.", {
    each: { ...SLOTS, concurrency: 40 },
    carries: 120 * SLOT_CARRIES,
    load: 500,
    faults: () => [during(120, 140, { capacity: { permille: 200 } })],
  }),
  preset("spike", "Spike, 5 times", "At half of the quota, five times as many calls for ten seconds.", {
    each: REQUESTS,
    carries: REQUESTS_CARRY,
    load: 500,
    arrivals: (rate) => ({
      spike: { per_1000_s: rate, spike_per_1000_s: 5 * rate, from_us: 120 * SECOND, to_us: 130 * SECOND },
    }),
  }),
  preset("bursts", "Bursts, on and off", "By turns of 30 s, 1.35 and 0.45 of what the quotas allow.", {
    each: REQUESTS,
    carries: REQUESTS_CARRY,
    load: 1000,
    arrivals: (rate) => ({
      on_off: {
        on_per_1000_s: Math.round(1.35 * rate),
        off_per_1000_s: Math.round(0.45 * rate),
        on_us: 30 * SECOND,
        off_us: 30 * SECOND,
      },
    }),
  }),
  preset("slots", "Saturated capacity, 1.5 times", "Twenty slots in each Region, and 503 for whoever finds none.", {
    each: { ...SLOTS, concurrency: 20 },
    carries: 60 * SLOT_CARRIES,
    load: 1500,
    policy: SHED,
  }),
  preset("slow", "One Region five times slower", "At 0.4 of the quota, us-east-1 takes five times as long.", {
    each: REQUESTS,
    carries: REQUESTS_CARRY,
    load: 400,
    faults: (region) => (region === 0 ? [during(0, 10_000, { slow: { factor_permille: 5000 } })] : []),
  }),
  preset("tenants", "Two tenants, ten to one", "At 1.5 times the quota, the light tenant asks for less than its half.", {
    each: REQUESTS,
    carries: REQUESTS_CARRY,
    load: 1500,
    workload: { tenants: [{ name: "heavy", calls: 10 }, { name: "light", calls: 1 }] },
    policy: SHED,
  }),
  preset("half", "Half of the declared quota", "The real quotas are half of what the clients were told.", {
    each: REQUESTS,
    carries: REQUESTS_CARRY / 2,
    load: 1500,
    faults: () => [during(0, 100_000, { quota_factor: { permille: 500 } })],
    policy: SHED,
  }),
  preset("undeclared", "Quotas nobody declared", "The engine starts cold and learns the quotas from refusals.", {
    each: REQUESTS,
    carries: REQUESTS_CARRY,
    load: 1500,
    run: { declared: "nothing" },
    policy: SHED,
  }),
];

export const presetOf = (id: string): Preset => PRESETS.find((preset) => preset.id === id) ?? (PRESETS[0] as Preset);

export const LAWS: { id: string; name: string; law: Json }[] = [
  { id: "sliding", name: "each unit after 60 s", law: "sliding" },
  { id: "bucket", name: "evenly, small bucket", law: { continuous: { burst_permille: 100 } } },
  { id: "fixed", name: "all at once, each minute", law: { fixed: { phase_us: 23 * SECOND } } },
];
