// Makes calls to a fake Bedrock through the AWS SDK with sluicegate in front, for `sluicegate compare`, which starts it in
// the place of a client of Python's and speaks to it as `tests/peers/client.py` says. All figures come from the fake's books.

import { createInterface } from "node:readline";
import { BedrockRuntimeClient, ConverseCommand } from "@aws-sdk/client-bedrock-runtime";
import { Gate, sluicegate, withOptions } from "sluicegate";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const hear = async () => JSON.parse((await lines.next()).value);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

function client(job, url) {
  const quotas = JSON.parse(process.env.SLUICEGATE_TEST_QUOTAS);
  const regional = (value) => Object.fromEntries(job.regions.map((region) => [region, value(region)]));
  const gate = new Gate({
    pools: regional(() => quotas),
    endpoints: regional((region) => ({ model: job.model, region, pools: [region] })),
  });
  const credentials = { accessKeyId: "sluicegate-local", secretAccessKey: "sluicegate-local" };
  const bedrock = new BedrockRuntimeClient({ region: job.regions[0], endpoint: url, credentials });
  bedrock.middlewareStack.use(sluicegate(gate));
  return bedrock;
}

async function call(bedrock, job, number, size, output, deadline) {
  const text = job.filler.repeat(Math.ceil(size / job.filler.length)).slice(0, size);
  const command = new ConverseCommand({
    modelId: job.model,
    messages: [{ role: "user", content: [{ text }] }],
    inferenceConfig: { maxTokens: job.max_tokens },
    requestMetadata: { "sluicegate-call": String(number), "sluicegate-output-tokens": String(output) },
  });
  await bedrock.send(withOptions(command, { deadline }), { abortSignal: AbortSignal.timeout(deadline) });
}

const job = await hear();
const limit = job.deadline_us / 1000;
await call(client(job, job.url), job, "rehearsal", 100, 1, limit);
say({ versions: { sluicegate: "0.1.0", node: process.versions.node } });
const go = await hear();
const origin = performance.now() - go.now_us / 1000;
const bedrock = client(job, go.url);
const late = [];
for (const [number, [at, size, output]] of job.calls.entries()) {
  const due = origin + at / 1000;
  const wait = due - performance.now();
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  const behind = Math.max(0, performance.now() - due);
  late.push(Math.floor(behind * 1000));
  // What became of the call is in the fake's books, unless it was never made.
  call(bedrock, job, number, size, output, Math.floor(limit - behind)).catch((error) => {
    if (error.code === "ERR_OUT_OF_RANGE" || error.name === "ArgumentError") throw error;
  });
}
say({ late_us: late });
