// What the page reads of the simulator's JSON. The fields are documented where they are made, in crates/sim/src/live.rs.

export interface Counts {
  calls: number;
  waiting: number;
  out: number;
  in_time: number;
  late: number;
  lost: number;
  attempts: number;
  refused: number;
  errors: number;
}

export interface Spread {
  count: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

export interface Sample {
  counts: Counts;
  waits: Spread;
}

export type Effect = "outage" | Record<string, Record<string, number>>;

export interface RegionState {
  region: string;
  in_flight: number;
  slots: number | null;
  requests_permille: number | null;
  tokens_permille: number | null;
  breaker: "closed" | "open" | "half_open" | null;
  effects: Effect[];
}

export interface SideState {
  client: string;
  counts: Counts;
  ends: Record<string, number>;
  lanes: RegionState[];
}

export interface CallState {
  call: number;
  tenant: number;
  made_us: number;
  due_us: number;
  attempts: number;
  refused: number;
  lane: number | null;
  admitted_us: number | null;
  completed_us: number | null;
  ended: boolean;
}

export interface Figures {
  calls: number;
  in_time: number;
  late: number;
  never: number;
  attempts: number;
  refused: number;
  waits: Spread;
}

export interface Report {
  client: string;
  all: Figures;
  tenants: [string, Figures][];
}

export interface Fault {
  code: string;
  pointer: string;
  message: string;
}

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type JsonObject = { [name: string]: Json };
