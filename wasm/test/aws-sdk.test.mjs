import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  CountTokensCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from "@aws-sdk/client-bedrock-runtime";
import { EndedError, Gate, sluicegate, withOptions } from "sluicegate";
import { CLI, CREDENTIALS, fake } from "./support/fake.mjs";

const MODEL = "anthropic.claude-sonnet-4-6";
const FAST = { first_token_us: 1000, tokens_per_second: 20_000 };
const lane = (region, more = {}) => ({ region, model: MODEL, ...FAST, ...more });
const always = (effect) => [{ from_us: 0, to_us: 2 ** 50, effect }];
const converse = (text = "Hello") => ({
  modelId: MODEL,
  messages: [{ role: "user", content: [{ text }] }],
  inferenceConfig: { maxTokens: 50 },
});
const anthropic = {
  modelId: MODEL,
  contentType: "application/json",
  body: JSON.stringify({
    anthropic_version: "bedrock-2023-05-31",
    max_tokens: 50,
    messages: [{ role: "user", content: "Hello" }],
  }),
};

/** A client with a gate in front of a fake with these lanes. */
async function gated(t, lanes, policy = {}) {
  const endpoint = await fake(t, { lanes });
  const regions = lanes.map(({ region }) => region);
  const each = (value) => Object.fromEntries(regions.map((region) => [region, value(region)]));
  const gate = new Gate(
    {
      pools: each(() => ({ requests_per_minute: 6000 })),
      endpoints: each((region) => ({ model: MODEL, region, pools: [region] })),
      ...policy,
    },
    { seed: 7 },
  );
  const events = [];
  gate.on((event) => events.push(event));
  const client = new BedrockRuntimeClient({ region: regions[0], endpoint, credentials: CREDENTIALS, maxAttempts: 5 });
  client.middlewareStack.use(sluicegate(gate));
  t.after(() => client.destroy());
  const settled = () => events.filter(({ type }) => type === "settled");
  return { client, gate, events, settled, endpoint };
}

test("an answer comes through the SDK and settles at what it used", async (t) => {
  const { client, gate, settled } = await gated(t, [lane("us-east-1")]);
  const answer = await client.send(new ConverseCommand(converse()));
  assert.equal(answer.output.message.role, "assistant");
  assert.ok(answer.usage.outputTokens > 0);
  const [{ class: kind, spentTokens }] = settled();
  assert.equal(kind, "success");
  assert.equal(spentTokens, answer.usage.inputTokens + 5 * answer.usage.outputTokens);
  assert.equal(gate.inFlight, 0);

  const invoked = await client.send(new InvokeModelCommand(anthropic));
  const { usage } = JSON.parse(new TextDecoder().decode(invoked.body));
  assert.equal(settled()[1].spentTokens, usage.input_tokens + 5 * usage.output_tokens);
});

test("streams are handed out as they come and settle at their end", async (t) => {
  const { client, gate, settled } = await gated(t, [lane("us-east-1")]);
  const { stream } = await client.send(new ConverseStreamCommand(converse()));
  assert.equal(gate.inFlight, 1);
  const names = [];
  let usage;
  for await (const event of stream) {
    names.push(Object.keys(event)[0]);
    usage = event.metadata?.usage ?? usage;
  }
  assert.equal(names[0], "messageStart");
  assert.equal(names.at(-1), "metadata");
  assert.equal(settled()[0].spentTokens, usage.inputTokens + 5 * usage.outputTokens);

  const { body } = await client.send(new InvokeModelWithResponseStreamCommand(anthropic));
  let chunks = 0;
  for await (const { chunk } of body) chunks += chunk.bytes.length > 0;
  assert.ok(chunks > 2);
  assert.equal(settled()[1].class, "success");
  assert.equal(gate.inFlight, 0);
});

test("a stream that breaks early is asked for elsewhere, and one that breaks later is the caller's", async (t) => {
  const broken = (tokens) => ({
    stream_error: { error: "internal_server", after_output_tokens: tokens, share_permille: 1000 },
  });
  const early = await gated(t, [lane("us-east-1", { faults: always(broken(0)) }), lane("eu-west-1")]);
  // A Region that was not tried yet is as good as any: some of these begin in the wrong one.
  for (let count = 0; count < 6; count += 1) {
    const { stream } = await early.client.send(new ConverseStreamCommand(converse(`Hello ${count}`)));
    let words = 0;
    for await (const event of stream) words += event.contentBlockDelta !== undefined;
    assert.ok(words > 0);
  }
  const classes = early.settled().map((event) => event.class);
  assert.equal(classes.filter((name) => name === "success").length, 6);
  assert.ok(classes.length > 6, String(classes));

  const late = await gated(t, [lane("us-east-1", { faults: always(broken(3)) })]);
  const begun = await late.client.send(new ConverseStreamCommand(converse()));
  await assert.rejects(async () => {
    for await (const event of begun.stream) assert.ok(event);
  }, { name: "InternalServerException" });
  assert.deepEqual(
    late.settled().map((event) => event.class),
    ["stream_broken_delivered"],
  );
  assert.equal(early.gate.inFlight + late.gate.inFlight, 0);
});

test("a stream that its caller drops is settled", async (t) => {
  const { client, gate, settled } = await gated(t, [lane("us-east-1", { tokens_per_second: 50 })]);
  const { stream } = await client.send(new ConverseStreamCommand(converse()));
  for await (const event of stream) if (event.contentBlockDelta) break;
  assert.equal(gate.inFlight, 0);
  assert.equal(settled()[0].class, "cancelled");
});

test("a Region that is out is left for another, by one client", async (t) => {
  const lanes = [lane("us-east-1", { faults: always("outage") }), lane("eu-west-1")];
  const { client, settled } = await gated(t, lanes);
  for (let count = 0; count < 6; count += 1) await client.send(new ConverseCommand(converse(`Hello ${count}`)));
  const { stream } = await client.send(new ConverseStreamCommand(converse("a stream")));
  for await (const event of stream) assert.ok(event);
  // Endpoints are numbered by name: eu-west-1 is 0.
  const answers = settled().filter((event) => event.class === "success");
  assert.equal(answers.length, 7);
  assert.ok(answers.every(({ endpoint }) => endpoint === 0));
  assert.ok(settled().some(({ endpoint, class: kind }) => endpoint === 1 && kind !== "success"));
});

test("each attempt goes to its Region's own host, signed for it, and to its profile", async () => {
  const sent = [];
  const requestHandler = {
    handle: async (request) => {
      sent.push(request);
      const answer = { output: {}, usage: {}, stopReason: "end_turn" };
      // The first Region does not have the model.
      const [statusCode, type, body] = sent.length === 1 ? [404, "ResourceNotFoundException", {}] : [200, "", answer];
      const headers = { "content-type": "application/json", "x-amzn-errortype": type };
      return { response: { statusCode, headers, body: Readable.from([JSON.stringify(body)]) } };
    },
  };
  const gate = new Gate({
    pools: { east: { requests_per_minute: 600 }, west: { requests_per_minute: 600 } },
    endpoints: {
      east: { model: MODEL, region: "us-east-1", pools: ["east"] },
      west: { model: MODEL, target: `eu.${MODEL}`, region: "eu-west-1", pools: ["west"], group: 1 },
    },
  });
  const client = new BedrockRuntimeClient({ region: "us-east-1", credentials: CREDENTIALS, requestHandler });
  client.middlewareStack.use(sluicegate(gate));
  await client.send(new ConverseCommand(converse()));
  const seen = sent.map(({ hostname, path, headers }) => [
    hostname,
    headers.host,
    decodeURIComponent(path),
    /Credential=[^/]+\/\d+\/([^/]+)\//.exec(headers.authorization)[1],
  ]);
  const wanted = (region, target) => {
    const host = `bedrock-runtime.${region}.amazonaws.com`;
    return [host, host, `/model/${target}/converse`, region];
  };
  assert.deepEqual(seen[0], wanted("us-east-1", MODEL));
  assert.deepEqual(seen.at(-1), wanted("eu-west-1", `eu.${MODEL}`));
});

test("the last error is the SDK's own, and the SDK does not retry beside the gate", async (t) => {
  const effect = { error: { error: "validation", share_permille: 1000 } };
  const { client, gate, events } = await gated(t, [lane("us-east-1", { faults: always(effect) })]);
  await assert.rejects(client.send(new ConverseCommand(converse())), { name: "ValidationException", $fault: "client" });
  assert.equal(events.filter(({ type }) => type === "sent").length, 1);

  const busy = { error: { error: "temporarily_unavailable", share_permille: 1000 } };
  const other = await gated(t, [lane("us-east-1", { faults: always(busy) })], { retry: { max_attempts: 2 } });
  await assert.rejects(other.client.send(new ConverseCommand(converse())), (error) => error.$metadata.httpStatusCode === 503);
  assert.equal(other.events.filter(({ type }) => type === "sent").length, 2);
  assert.equal(gate.inFlight + other.gate.inFlight, 0);
});

for (const [how, told] of [
  ["of the SDK's", ({ signal }) => [{}, { abortSignal: signal }]],
  ["of the command's options", ({ signal }) => [{ signal }, {}]],
]) test(`a signal ${how} gives up a call that waits, and one that is out`, async (t) => {
  const slow = lane("us-east-1", { first_token_us: 60_000_000 });
  const pools = { "us-east-1": { requests_per_minute: 6000, concurrency: 1 } };
  const { client, gate } = await gated(t, [slow], { pools });
  const [first, second] = [new AbortController(), new AbortController()];
  const command = (text, options = {}) => withOptions(new ConverseCommand(converse(text)), options);
  const out = client.send(command("one", told(first)[0]), told(first)[1]);
  const waits = client.send(command("two", told(second)[0]), told(second)[1]);
  const ended = [assert.rejects(waits, { name: "AbortError" }), assert.rejects(out, { name: "AbortError" })];
  while (gate.waiting === 0) await new Promise((resolve) => setImmediate(resolve));
  second.abort();
  await ended[0];
  assert.deepEqual([gate.waiting, gate.inFlight], [0, 1]);
  first.abort();
  await ended[1];
  assert.deepEqual([gate.waiting, gate.inFlight], [0, 0]);
});

test("what a call needs besides its input is said of the command", async (t) => {
  const { client } = await gated(t, [lane("us-east-1")], { pools: { "us-east-1": { requests_per_minute: 1 } } });
  const command = withOptions(new ConverseCommand(converse()), { deadline: 20_000, tenant: "chat", affinity: "one" });
  await client.send(command);
  // The only request in a minute is gone.
  const late = withOptions(new ConverseCommand(converse()), { deadline: 100 });
  await assert.rejects(client.send(late), (error) => error instanceof EndedError && /deadline|expired/.test(error.code));
  const bad = withOptions(new ConverseCommand(converse()), { deadline: NaN });
  await assert.rejects(client.send(bad), { code: "not_a_number", pointer: "/options/deadline" });
  await assert.rejects(client.send(new ConverseCommand({ ...converse(), modelId: "unheard.of" })), {
    code: "unknown_model",
    pointer: "/modelId",
  });
});

test("an answer that takes long is asked for a second time, a stream is not", async (t) => {
  const hedge = { after_permille: 500, share_permille: 1000, pool_use_at_most_permille: 1000 };
  const { client, gate, events } = await gated(t, [lane("us-east-1"), lane("eu-west-1")], { hedge });
  const hedged = () => events.filter(({ type }) => type === "hedged").length;
  for (let count = 0; count < 100; count += 1) {
    const { stream } = await client.send(new ConverseStreamCommand(converse(`stream ${count}`)));
    for await (const event of stream) assert.ok(event);
  }
  assert.equal(hedged(), 0);
  // Every other answer takes longer than the middle one.
  for (let count = 0; hedged() < 5 && count < 500; count += 1) {
    const answer = await client.send(new ConverseCommand(converse(`answer ${count}`)));
    assert.equal(answer.output.message.role, "assistant");
  }
  assert.equal(hedged(), 5);
  assert.equal(gate.inFlight, 0);
});

test("other commands go past the gate", async (t) => {
  const { client, events } = await gated(t, [lane("us-east-1")]);
  const command = new CountTokensCommand({ modelId: MODEL, input: { converse: { messages: converse().messages } } });
  assert.ok((await client.send(command)).inputTokens > 0);
  assert.deepEqual(events, []);
});

/** Real time on a quiet machine, three minutes of it: no part of CI, where others work as well. */
const quiet = process.env.SLUICEGATE_MEASURE === "1" ? false : "needs a quiet machine and SLUICEGATE_MEASURE=1";

test("at 1.5 times the quota: 0.97 of the oracle, at most 1 % refused", { timeout: 600_000, skip: quiet }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "sluicegate-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "figures.json");
  const peer = fileURLToPath(new URL("support/peer.mjs", import.meta.url));
  const scenario = ["--load", "1.5", "--brownout", "0", "--recovery", "0"];
  // The client in the place of a client of Python's is this package's.
  const client = ["--peer", "boto3-standard", "--peer-python", process.execPath, "--peer-client", peer];
  const environment = { SLUICEGATE_TEST_QUOTAS: '{"requests_per_minute":60,"tokens_per_minute":6000000}' };
  const output = ["-o", join(folder, "report.html"), "--json", file];
  // It ends with 10 where some client misses what it promises; here the figures are judged.
  await promisify(execFile)(CLI, ["compare", "--local", ...scenario, ...client, ...output], {
    env: { ...process.env, ...environment },
  }).catch((error) => {
    if (error.code !== 10) throw error;
  });
  // By the fake's books, none by a client's.
  const { clients } = JSON.parse(readFileSync(file, "utf8"));
  const { goodput, quota_phase: quotas } = clients.find(({ client }) => client === "boto3-standard");
  t.diagnostic(`goodput ${goodput}, refused ${quotas.refused_share}`);
  assert.ok(goodput >= 0.97, `goodput ${goodput}`);
  assert.ok(quotas.refused_share <= 0.01, `refused ${quotas.refused_share}`);
});
