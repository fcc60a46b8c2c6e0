// Timers that only move when a test says so; the monotonic clock moves with them, as in most libraries of fake timers.

import { mock } from "node:test";

/** Freezes time. `pass(ms, step)` moves it step by step and lets promises settle in between. */
export function frozen(t, { monotonic = true } = {}) {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: 1_800_000_000_000 });
  const real = performance.now;
  const zero = real.call(performance);
  let passed = 0;
  if (monotonic) performance.now = () => zero + passed;
  t.after(() => {
    mock.timers.reset();
    performance.now = real;
  });
  return async function pass(ms, step = 1) {
    for (let left = ms; left > 0; left -= step) {
      passed += step;
      mock.timers.tick(step);
      await settled();
    }
    await settled();
  };
}

/** Lets every promise that can settle do so. */
export async function settled() {
  for (let turn = 0; turn < 20; turn += 1) await null;
}
