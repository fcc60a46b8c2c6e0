import assert from "node:assert/strict";
import { test } from "node:test";
import { ArgumentError, EndedError, Gate, PolicyError, SluicegateError } from "sluicegate";
import { frozen, settled } from "./support/clock.mjs";

const policy = (pool = { requests_per_minute: 60, tokens_per_minute: 100_000 }, more = {}) => ({
  pools: { virginia: pool },
  endpoints: { "us-east-1": { model: "claude", region: "us-east-1", pools: ["virginia"] } },
  ...more,
});
const request = { model: "claude", cost: 1000 };
const never = () => new Promise(() => {});

/** Takes what a pool gives at once. */
async function emptied(gate) {
  for (let count = 0; count < 1000 && gate.waiting === 0; count += 1) {
    gate.run({ ...request, cost: 1 }, () => "filler").catch(() => {});
    await settled();
  }
  assert.ok(gate.waiting > 0);
}

test("a call is sent, answered and settled", async () => {
  const gate = new Gate(policy(), { seed: 7 });
  const events = [];
  gate.on((event) => events.push(event));
  const answer = await gate.run(request, (attempt, signal) => {
    assert.equal(attempt.endpoint.region, "us-east-1");
    assert.equal(attempt.number, 1);
    assert.ok(signal instanceof AbortSignal);
    attempt.spent(700);
    return "an answer";
  });
  assert.equal(answer, "an answer");
  assert.deepEqual(
    events.map(({ type }) => type),
    ["sent", "settled", "ended"],
  );
  assert.equal(events[1].spentTokens, 700);
  assert.deepEqual([gate.waiting, gate.inFlight, gate.calls.length], [0, 0, 0]);
});

for (const monotonic of [true, false]) {
  test(`waiting calls share one timer and wake on time, with a ${monotonic ? "moving" : "resting"} clock`, async (t) => {
    const pass = frozen(t, { monotonic });
    let timers = 0;
    let most = 0;
    const { setTimeout: set, clearTimeout: clear } = globalThis;
    const open = new Set();
    globalThis.setTimeout = (work, ms) => {
      const timer = set(() => {
        open.delete(timer);
        work();
      }, ms);
      open.add(timer);
      most = Math.max(most, open.size);
      timers += 1;
      return timer;
    };
    globalThis.clearTimeout = (timer) => {
      open.delete(timer);
      clear(timer);
    };
    t.after(() => Object.assign(globalThis, { setTimeout: set, clearTimeout: clear }));
    const gate = new Gate(policy(), { seed: 7 });
    let done = 0;
    const calls = Array.from({ length: 30 }, () => gate.run({ model: "claude", cost: 10 }, () => (done += 1)));
    await settled();
    const atOnce = done;
    assert.ok(atOnce < 5, `${atOnce} at once`);
    await pass(15_000, 10);
    assert.ok(done >= 14 && done <= 18, `${done} after 15 s at one a second`);
    await pass(16_000, 10);
    assert.equal(done, 30);
    await Promise.all(calls);
    assert.equal(most, 1);
    assert.ok(timers > 0);
  });
}

test("a jump of the clock lets out what is due and no more", async (t) => {
  const pass = frozen(t);
  const gate = new Gate(policy(), { seed: 7 });
  let done = 0;
  for (let count = 0; count < 200; count += 1) gate.run({ model: "claude", cost: 10 }, () => (done += 1)).catch(() => {});
  await pass(1000);
  // A laptop that slept for ten minutes: the timer fires late, once.
  const real = performance.now;
  performance.now = () => real() + 600_000;
  await pass(2000);
  assert.ok(done >= 4 && done <= 62, `${done} were let out`);
});

test("a failed attempt is made again, and the last error is the call's", async (t) => {
  const pass = frozen(t);
  const gate = new Gate(policy(undefined, { retry: { max_attempts: 3 } }), { seed: 7 });
  const busy = Object.assign(new Error("busy"), { name: "ServiceUnavailableException", $metadata: { httpStatusCode: 503 } });
  const numbers = [];
  const call = gate.run(request, ({ number }) => {
    numbers.push(number);
    throw busy;
  });
  const failed = assert.rejects(call, (error) => error === busy);
  await pass(120_000, 100);
  await failed;
  assert.deepEqual(numbers, [1, 2, 3]);
  assert.equal(gate.inFlight, 0);
});

test("a fault of the caller's own code is not tried again", async () => {
  const gate = new Gate(policy());
  let attempts = 0;
  const fault = new RangeError("out of luck");
  await assert.rejects(
    gate.run(request, () => {
      attempts += 1;
      throw fault;
    }),
    (error) => error === fault,
  );
  assert.equal(attempts, 1);
});

test("a signal gives up a call that waits, and one that is out", async (t) => {
  frozen(t);
  const gate = new Gate(policy(), { seed: 7 });
  const out = new AbortController();
  let seen;
  const sent = gate.run({ ...request, signal: out.signal }, (_, signal) => {
    seen = signal;
    return never();
  });
  await settled();
  assert.equal(gate.inFlight, 1);
  out.abort(new Error("no longer wanted"));
  await assert.rejects(sent, /no longer wanted/);
  assert.equal(seen.aborted, true);
  assert.equal(gate.inFlight, 0);

  await emptied(gate);
  const waiting = gate.waiting;
  const controller = new AbortController();
  const call = gate.run({ ...request, signal: controller.signal }, never);
  assert.equal(gate.waiting, waiting + 1);
  controller.abort();
  await assert.rejects(call, { name: "AbortError" });
  assert.deepEqual([gate.waiting, gate.inFlight], [waiting, 0]);
  await assert.rejects(gate.run({ ...request, signal: AbortSignal.abort() }, never), { name: "AbortError" });
  assert.deepEqual([gate.waiting, gate.inFlight], [waiting, 0]);
});

test("a call that cannot be answered in time ends with a reason and the time to come back", async (t) => {
  const pass = frozen(t);
  const gate = new Gate(policy({ requests_per_minute: 6 }), { seed: 7 });
  await emptied(gate);
  const call = gate.run({ ...request, deadline: 2000 }, never);
  const ended = assert.rejects(call, (error) => {
    assert.ok(error instanceof EndedError);
    assert.match(error.reason.type, /refused|expired/);
    return true;
  });
  await pass(2100);
  await ended;
});

test("what a pool can never hold is refused at once, with the limit", async () => {
  const gate = new Gate(policy());
  const error = await gate.run({ model: "claude", cost: 100_001 }, never).catch((error) => error);
  assert.ok(error instanceof EndedError);
  assert.equal(error.code, "too_large");
  assert.ok(error.reason.limit > 0 && error.reason.limit <= 100_000);
});

test("closing ends those who wait, lets those who are out go on, and lets nobody in", async (t) => {
  frozen(t);
  const gate = new Gate(policy(), { seed: 7 });
  let answer;
  const out = gate.run(request, () => new Promise((resolve) => (answer = resolve)));
  await emptied(gate);
  const waiting = gate.run(request, never);
  gate.close();
  await assert.rejects(waiting, (error) => error instanceof EndedError && /closed/.test(error.message));
  await assert.rejects(gate.run(request, never), (error) => error instanceof SluicegateError && error.code === "closed");
  answer("late but whole");
  assert.equal(await out, "late but whole");
  assert.deepEqual([gate.waiting, gate.inFlight, gate.calls.length], [0, 0, 0]);
  gate.close();
});

test("what was learned goes on in another gate", async () => {
  const gate = new Gate(policy(), { seed: 7 });
  await gate.run(request, () => "an answer");
  const text = gate.snapshot();
  const other = new Gate(policy(), { seed: 7, snapshot: text, asleep: 1000 });
  assert.equal(JSON.parse(other.snapshot()).version, JSON.parse(text).version);
  assert.throws(() => new Gate(policy(), { snapshot: "{}" }), { name: "SnapshotError", code: "snapshot_malformed" });
  assert.throws(() => new Gate(policy(), { snapshot: '{"version":99}' }), { code: "snapshot_newer" });
});

test("another policy takes over without losing a call", async (t) => {
  const pass = frozen(t);
  const gate = new Gate(policy({ requests_per_minute: 1 }), { seed: 7 });
  await emptied(gate);
  const call = gate.run(request, ({ endpoint }) => endpoint.name);
  assert.throws(() => gate.reconfigure({ endpoints: 7 }), PolicyError);
  gate.reconfigure(policy({ requests_per_minute: 6000 }));
  await pass(3000);
  assert.equal(await call, "us-east-1");
});

test("a waiting call can be asked why", async (t) => {
  frozen(t);
  const gate = new Gate(policy(), { seed: 7 });
  await emptied(gate);
  const call = gate.calls.at(-1);
  const explanation = gate.explain(call);
  assert.equal(explanation.phase.type, "waiting");
  assert.equal(explanation.endpoints[0].standing.type, "quota");
  assert.match(gate.describe(call), /us-east-1 has no requests per minute/);
  assert.equal(gate.explain(2 ** 40), undefined);
});

test("an answer in pieces holds its permit until it is over", async () => {
  const gate = new Gate(policy());
  let settle;
  const answer = await gate.run(request, (attempt) => {
    settle = attempt.hold();
    return "the first piece";
  });
  assert.equal(answer, "the first piece");
  assert.equal(gate.inFlight, 1);
  settle({ class: "success", spent: 400 });
  settle({ class: "success", spent: 400 });
  assert.equal(gate.inFlight, 0);
});

test("bad arguments are told apart, by place, and take nothing", async () => {
  const gate = new Gate(policy());
  const cases = [
    [{ cost: NaN }, "not_a_number", "/request/cost"],
    [{ cost: -1 }, "negative", "/request/cost"],
    [{ cost: 1.5 }, "fractional", "/request/cost"],
    [{ cost: Infinity }, "too_large", "/request/cost"],
    [{ cost: 2 ** 54 }, "too_large", "/request/cost"],
    [{ cost: "12" }, "wrong_type", "/request/cost"],
    [{ cost: 12n }, "wrong_type", "/request/cost"],
    [{ cost: undefined }, "wrong_type", "/request/cost"],
    [{ deadline: -5 }, "negative", "/request/deadline"],
    [{ deadline: 2 ** 53 }, "too_large", "/request/deadline"],
    [{ priority: 256 }, "too_large", "/request/priority"],
    [{ affinity: -1n }, "negative", "/request/affinity"],
    [{ affinity: 1n << 64n }, "too_large", "/request/affinity"],
    [{ maxTokens: 2 ** 32 }, "too_large", "/request/maxTokens"],
    [{ lone: "yes" }, "wrong_type", "/request/lone"],
    [{ signal: {} }, "wrong_type", "/request/signal"],
    [{ model: "gpt" }, "unknown_model", "/request/model"],
    [{ model: 7 }, "wrong_type", "/request/model"],
  ];
  for (const [fault, code, pointer] of cases) {
    await assert.rejects(gate.run({ ...request, ...fault }, never), (error) => {
      assert.ok(error instanceof ArgumentError, String(error));
      assert.deepEqual([error.code, error.pointer], [code, pointer]);
      return true;
    });
  }
  await assert.rejects(gate.run(null, never), { code: "wrong_type", pointer: "/request" });
  await assert.rejects(gate.run(request), { code: "wrong_type", pointer: "/work" });
  // A bad report is the attempt's fault, and its permit comes back.
  await assert.rejects(
    gate.run(request, (attempt) => attempt.spent(NaN)),
    { code: "not_a_number", pointer: "/outcome/spent" },
  );
  assert.deepEqual([gate.waiting, gate.inFlight, gate.calls.length], [0, 0, 0]);
});

test("a faulty policy tells every fault with its place", () => {
  assert.throws(
    () => new Gate({ pools: { p: { requests_per_minute: -1 } }, endpoints: { e: { pools: ["q"] } }, colour: 1 }),
    (error) => {
      assert.ok(error instanceof PolicyError);
      const pointers = error.faults.map(({ pointer }) => pointer);
      for (const pointer of ["/colour", "/pools/p/requests_per_minute"]) assert.ok(pointers.includes(pointer), pointers);
      assert.ok(error.faults.every(({ code, message }) => code && message));
      return true;
    },
  );
  assert.throws(() => new Gate("no json"), (error) => error.faults[0].code === "not_json");
  assert.throws(() => new Gate(undefined), { code: "wrong_type", pointer: "/policy" });
  assert.throws(() => new Gate({ pools: 1n }), { code: "wrong_type", pointer: "/policy" });
  const cyclic = {};
  cyclic.self = cyclic;
  assert.throws(() => new Gate(cyclic), { code: "wrong_type" });
});
