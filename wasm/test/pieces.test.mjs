import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import * as sluicegate from "sluicegate";

const { Appraiser, Backoff, Breaker, Engine, Limiter, Policy, Random, RetryBudget, StreamReader, classify, estimate } =
  sluicegate;
const model = "anthropic.claude-sonnet-4-6";
const policy = Policy.parse({
  pools: { p: { requests_per_minute: 60 } },
  endpoints: { e: { model, region: "us-east-1", pools: ["p"] } },
  tenants: { batch: { weight: 1 }, chat: { weight: 4 } },
});

test("the package's lists of names are the module's", async () => {
  const path = (name) => fileURLToPath(new URL(`../src/${name}`, import.meta.url));
  const bundle = async (name) => {
    const { outputFiles } = await build({ entryPoints: [path(name)], bundle: true, format: "esm", write: false });
    return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
  };
  const codes = await bundle("codes.ts");
  const glue = await bundle("glue/core.js");
  glue.initSync({ module: readFileSync(new URL("../dist/core.wasm", import.meta.url)) });
  const [classes, quotas, refusals, wakeReasons, inputErrors] = glue.names().split("\n").map((line) => line.split(" "));
  assert.deepEqual(codes.CLASSES, classes);
  assert.deepEqual(codes.QUOTAS, quotas);
  assert.deepEqual(codes.REFUSALS, refusals);
  assert.deepEqual(codes.WAKE_REASONS, wakeReasons);
  assert.deepEqual(codes.INPUT_ERRORS, inputErrors);
});

test("backoff", () => {
  const random = Random.listed([]);
  const backoff = new Backoff("exponential", 1_000_000, 20_000_000);
  assert.deepEqual([0, 3, 9].map((retry) => backoff.delay(random, retry)), [1e6, 8e6, 20e6]);
  assert.equal(backoff.delay(random, 0, 0, 30_000_000), 30e6);
  const most = Random.listed([2n ** 64n - 1n]);
  assert.equal(new Backoff("aws_standard_throttled").delay(most, 0), 1e6);
  assert.throws(() => new Backoff("steep"), { code: "unknown_name", pointer: "/curve" });
  assert.throws(() => backoff.delay(random, NaN), { code: "not_a_number", pointer: "/retry" });
  assert.throws(() => Random.listed([2n ** 64n]), { code: "too_large", pointer: "/draws/0" });
});

test("limiter", () => {
  const limiter = new Limiter({ requestsPerMinute: 60, tokensPerMinute: 1000, concurrency: 2 }, 1e12);
  const first = limiter.acquire(1e12, 10);
  assert.equal(first.type, "granted");
  assert.deepEqual(limiter.acquire(1e12, 5000), { type: "never", limit: limiter.acquire(1e12, 5000).limit });
  let last = first;
  for (let count = 0; last.type === "granted" && count < 10; count += 1) last = limiter.acquire(1e12, 10);
  assert.ok(["busy", "not_before"].includes(last.type));
  limiter.settle(1e12, first.permit, 7);
  assert.throws(() => limiter.settle(1e12, first.permit, 7), { code: "settled", pointer: "/permit" });
  assert.throws(() => limiter.settle(1e12, {}, 7), { code: "wrong_type" });
  assert.throws(() => limiter.acquire(1e12, -1), { code: "negative", pointer: "/tokens" });
  assert.equal(limiter.limit("requests"), 60);
  assert.equal(limiter.limit("day"), undefined);
});

test("breaker", () => {
  const random = Random.seeded(1);
  const breaker = new Breaker({ window: { attempts: 4 }, minimumAttempts: 4, openFor: 1000, openJitterPermille: 0, probes: 1 });
  let changed;
  for (let count = 0; count < 4; count += 1) {
    assert.equal(breaker.acquire(0).type, "pass");
    changed = breaker.record(0, true, 1000, random);
  }
  assert.deepEqual([changed, breaker.state], ["open", "open"]);
  assert.deepEqual(breaker.check(0), { type: "open_until", at: 1_000_000 });
  assert.equal(breaker.acquire(1_000_000).type, "probe");
  assert.equal(breaker.acquire(1_000_000).type, "probes_out");
  assert.equal(breaker.record(1_000_000, false, 1000, random), "closed");
  assert.throws(() => new Breaker({ mode: "ajar" }), { code: "unknown_name", pointer: "/config/mode" });
});

test("retry budget", () => {
  const budget = new RetryBudget(0, { like: "aws_standard" });
  assert.deepEqual(budget.withdraw(0, "other"), { charged: 14_000 });
  assert.equal(budget.left(0), 486_000);
  budget.success(0, 14_000);
  assert.equal(budget.left(0), 500_000);
  const empty = new RetryBudget(0, { capacity: 0, perSecond: 0 });
  assert.deepEqual(empty.withdraw(0, "throttled"), { notBefore: undefined });
});

test("errors are classified and requests are measured", () => {
  const throttled = classify({ code: "ThrottlingException", status: 429, message: "Too many tokens, please wait." });
  assert.equal(throttled.outcome.class, "throttled_tokens");
  const headers = [["Retry-After", "3"]];
  assert.equal(classify({ status: 503, headers }).outcome.retryAfterUs, 3_000_000);
  const frame = classify({ code: "throttlingException", inStream: true, delivered: true });
  assert.equal(frame.outcome.class, "stream_broken_delivered");
  assert.equal(classify({ kind: "connect" }).outcome.class, "unavailable");
  assert.ok(classify({ status: NaN }).reason);
  const body = { messages: [{ role: "user", content: [{ text: "Hello" }] }], inferenceConfig: { maxTokens: 9 } };
  assert.deepEqual(estimate(body, "converse"), {
    textBytes: 5,
    images: 0,
    documentPages: 0,
    otherMedia: 0,
    maxTokens: 9,
  });
  assert.equal(estimate("no json", "invoke_model").textBytes, 0);
  const picture = { messages: [{ role: "user", content: [{ image: { source: { bytes: new Uint8Array(9) } } }] }] };
  assert.equal(estimate(picture, "converse").images, 1);
});

test("the appraiser learns what calls cost", () => {
  const appraiser = new Appraiser(policy);
  const body = { messages: [{ role: "user", content: [{ text: "Hello ".repeat(100) }] }], inferenceConfig: { maxTokens: 500 } };
  const plan = appraiser.plan(model, body, "converse");
  assert.ok(plan.tokens > 500);
  const outcome = appraiser.answered(plan, 0, { usage: { inputTokens: 9, outputTokens: 20, totalTokens: 29 } });
  assert.deepEqual(outcome, { class: "success", spent: 9 + 5 * 20, outputTokens: 20 });
  assert.ok(appraiser.plan(model, body, "converse").tokens < plan.tokens);
  assert.equal(appraiser.plan("unheard.of", body, "converse"), undefined);
  const stream = new StreamReader("converse");
  stream.event({ messageStart: { role: "assistant" } });
  assert.equal(stream.delivers, false);
  stream.event({ contentBlockDelta: { delta: { text: "Hi" } } });
  assert.equal(appraiser.streamed(plan, 0, stream, false).class, "stream_broken_delivered");
  stream.event({ metadata: { usage: { inputTokens: 9, outputTokens: 20, totalTokens: 29 } } });
  assert.equal(appraiser.streamed(plan, 0, stream, false).spent, 109);
});

test("tenants have the numbers that they have in every language", () => {
  assert.equal(policy.tenant("chat"), 1);
  assert.ok(policy.tenant("somebody else") > 1);
});

test("the engine refuses misuse and changes nothing", () => {
  const random = Random.seeded(1n);
  const engine = new Engine(policy, 0);
  const submit = (call) => () => engine.handle(0, { type: "submit", call: { id: 1, model: 0, tokens: 10, ...call } }, random);
  assert.throws(submit({ id: 0.5 }), { code: "fractional", pointer: "/input/call/id" });
  assert.throws(submit({ tokens: NaN }), { code: "not_a_number" });
  assert.throws(submit({ model: 9 }), { name: "InputError", code: "unknown_model", message: /no model number 9/ });
  submit({})();
  assert.throws(submit({}), { code: "duplicate_call", message: /call 1 / });
  const { attempt } = engine.pollDecision();
  const report = (outcome) => () => engine.handle(0, { type: "report", attempt, outcome }, random);
  assert.throws(report({ class: "fine" }), { code: "unknown_name", pointer: "/input/outcome/class" });
  assert.throws(report({ class: "success", spent: -1 }), { code: "negative", pointer: "/input/outcome/spent" });
  report({ class: "success", spent: 5 })();
  assert.throws(report({ class: "success" }), { code: "unknown_attempt" });
  assert.throws(() => engine.handle(0, { type: "cancel", call: 7 }, random), { code: "unknown_call" });
  assert.throws(() => engine.handle(0, { type: "stop" }, random), { code: "unknown_name" });
  assert.throws(() => engine.handle(0, { type: "wake" }), { code: "wrong_type", pointer: "/random" });
  assert.throws(() => engine.handle(-1, { type: "wake" }, random), { code: "negative", pointer: "/now" });
});
