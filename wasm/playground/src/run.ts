// A run under way: the simulator, its clock, and what has been read of it.

import { Playground } from "playground-module";
import { presetOf, REGIONS } from "./scenarios";
import { played, type Recording, scenarioOf, type Setup, SIDES } from "./setup";
import type { CallState, Effect, Report, Sample, SideState } from "./types";

const SECOND = 1_000_000;
/** Longer than this a frame does not simulate; time then passes more slowly than asked for. */
const BUDGET_MS = 10;
/** What is simulated between two looks at the clock, in microseconds. */
const SLICE_US = SECOND / 4;

export class Run {
  readonly samples: Sample[][] = SIDES.map(() => []);
  now_us = 0;
  over = false;
  state: SideState[];
  private readonly sim: Playground;
  private readonly own_load: number;

  /** Throws an error whose message is a list of faults. */
  constructor(setup: Setup, policy: string, recording: Recording | null) {
    this.sim = new Playground(played(scenarioOf(setup), policy, recording));
    this.own_load = recording ? 1000 : presetOf(setup.preset).load;
    if (setup.load !== this.own_load) this.setLoad(setup.load);
    if (setup.quota !== 1000) this.setQuota(setup.quota);
    setup.out.forEach((out, region) => {
      if (out) this.setOut(region, true);
    });
    this.state = this.read();
  }

  free(): void {
    this.sim.free();
  }

  /** Simulates so much time, or as much of it as a frame has room for. */
  advance(us: number): void {
    this.play(us, BUDGET_MS);
  }

  /** Simulates all of so much time. */
  step(us: number): void {
    this.play(us, Number.POSITIVE_INFINITY);
  }

  private play(us: number, budget: number): void {
    const end = this.now_us + us;
    const begun = performance.now();
    while (this.now_us < end && !this.over && performance.now() - begun < budget) {
      this.now_us = Math.min(end, this.now_us + SLICE_US);
      this.sim.advance(this.now_us);
      this.over = this.sim.over;
    }
    this.state = this.read();
  }

  private read(): SideState[] {
    const fresh = JSON.parse(this.sim.samples(this.samples[0]?.length ?? 0)) as Sample[][];
    fresh.forEach((samples, side) => this.samples[side]?.push(...samples));
    return JSON.parse(this.sim.state()) as SideState[];
  }

  setLoad(load: number): void {
    this.sim.setLoad(Math.round((load * 1000) / this.own_load));
  }

  setQuota(permille: number): void {
    REGIONS.forEach((_, region) => this.effect(region, { quota_factor: { permille } }, permille !== 1000));
  }

  setOut(region: number, out: boolean): void {
    this.effect(region, "outage", out);
  }

  private effect(region: number, effect: Effect, wanted: boolean): void {
    this.sim.intervene(region, JSON.stringify(effect), wanted);
    this.state = this.read();
  }

  /** Throws an error whose message is a list of faults. */
  setPolicy(policy: string): void {
    this.sim.reconfigure(policy);
  }

  waiting(side: number, most: number): CallState[] {
    return JSON.parse(this.sim.waiting(side, most)) as CallState[];
  }

  why(call: number): { call: CallState | null; why: string | null }[] {
    return JSON.parse(this.sim.why(call)) as { call: CallState | null; why: string | null }[];
  }

  reports(): Report[] {
    return JSON.parse(this.sim.reports()) as Report[];
  }

  /** The same as the simulator wrote it: hashes of 64 bits do not fit a number. */
  reportsText(): string {
    return this.sim.reports();
  }

  /** How many of the calls so far a fair queue that knows the service would have had answered in time. */
  fair(): number {
    return this.sim.fair();
  }
}
