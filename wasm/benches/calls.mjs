// What a whole call through the gate costs, beside what others make of an empty job. `npm run bench`; the table of
// README.md is its output. Nothing waits for a quota. The clock's columns have one job at a time, and on a busy machine they
// say as much of the machine; that of the processor has 200 at once, and counts everything the process does, garbage included.

import Bottleneck from "bottleneck";
import { ConsecutiveBreaker, ExponentialBackoff, circuitBreaker, handleAll, retry, wrap } from "cockatiel";
import pLimit from "p-limit";
import pRetry from "p-retry";
import { Engine, Gate, Policy, Random } from "sluicegate";
import { Bench } from "tinybench";

const policy = Policy.parse({
  pools: { p: { concurrency: 1000 } },
  endpoints: { e: { model: "m", pools: ["p"] } },
});
const limits = Policy.parse({
  pools: { p: { requests_per_minute: 1e9, tokens_per_minute: 1e9 } },
  endpoints: { e: { model: "m", pools: ["p"] } },
});
/** Milliseconds for each row. */
const time = Number(process.env.SLUICEGATE_BENCH_MS ?? 1500);
const job = () => undefined;
const request = { model: "m", cost: 1 };
const gate = new Gate(policy, { seed: 1 });
const limited = new Gate(limits, { seed: 1 });

const engine = new Engine(limits, 0);
const random = Random.seeded(1);
let now = 0;
let id = 0;
function life() {
  now += 1000;
  id += 1;
  engine.handle(now, { type: "submit", call: { id, model: 0, tokens: 100 } }, random);
  const { attempt } = engine.pollDecision();
  engine.handle(now, { type: "report", attempt, outcome: { class: "success", spent: 90 } }, random);
  engine.pollDecision();
}

const bottleneck = new Bottleneck({ maxConcurrent: 1000 });
const reservoir = new Bottleneck({ maxConcurrent: 1000, reservoir: 2 ** 50 });
const policies = wrap(
  retry(handleAll, { maxAttempts: 3, backoff: new ExponentialBackoff() }),
  circuitBreaker(handleAll, { halfOpenAfter: 1000, breaker: new ConsecutiveBreaker(5) }),
);
const limit = pLimit(1000);

const bench = new Bench({ time, warmupTime: time / 3, now: () => Number(process.hrtime.bigint()) / 1e6 });
const jobs = {
  "sluicegate `engine`: submit, decide, report, end": life,
  "sluicegate `gate.run`, concurrency": () => gate.run(request, job),
  "sluicegate `gate.run`, requests and tokens a minute": () => limited.run(request, job),
  "bottleneck `schedule`, concurrency": () => bottleneck.schedule(async () => undefined),
  "bottleneck `schedule`, reservoir": () => reservoir.schedule(async () => undefined),
  "cockatiel retry and breaker": () => policies.execute(job),
  "p-limit and p-retry": () => limit(() => pRetry(job)),
};
for (const [name, work] of Object.entries(jobs)) bench.add(name, work);
await bench.run();

/** Microseconds of processor time that one of 200 at once takes. */
async function processor(fn) {
  const batch = () => Promise.all(Array.from({ length: 200 }, fn));
  await batch();
  const [begun, before] = [performance.now(), process.cpuUsage()];
  let count = 0;
  do {
    await batch();
    count += 200;
  } while (performance.now() - begun < time);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

console.log("| what | median, us | mean, us | processor, us |\n|---|--:|--:|--:|");
for (const { name, result } of bench.tasks) {
  const { p50, mean } = result.latency;
  const figures = [p50 * 1000, mean * 1000, await processor(jobs[name])].map((figure) => figure.toFixed(2));
  console.log(`| ${name} | ${figures.join(" | ")} |`);
}
gate.close();
limited.close();
