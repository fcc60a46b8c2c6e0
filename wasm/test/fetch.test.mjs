import assert from "node:assert/strict";
import { test } from "node:test";
import { createAmazonBedrock } from "@ai-sdk/amazon-bedrock";
import AnthropicBedrock from "@anthropic-ai/bedrock-sdk";
import { generateText, streamText } from "ai";
import { Gate, fetchThrough } from "sluicegate";
import { CREDENTIALS, fake } from "./support/fake.mjs";

const MODEL = "anthropic.claude-sonnet-4-6";
const FAST = { first_token_us: 1000, tokens_per_second: 20_000 };
const lane = (region, more = {}) => ({ region, model: MODEL, ...FAST, ...more });
const always = (effect) => [{ from_us: 0, to_us: 2 ** 50, effect }];
const body = JSON.stringify({
  messages: [{ role: "user", content: [{ text: "Hello" }] }],
  inferenceConfig: { maxTokens: 50 },
});
// The fake takes any API key; the Region is told by the path where no signature tells it.
const json = { "content-type": "application/json", authorization: "Bearer an-api-key" };

async function gated(t, lanes, policy = {}) {
  const url = await fake(t, { lanes });
  const each = (value) => Object.fromEntries(lanes.map(({ region }) => [region, value(region)]));
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
  return { gate, url, settled: () => events.filter(({ type }) => type === "settled"), events };
}

const path = (action, before = "/region/us-east-1") => `${before}/model/${encodeURIComponent(MODEL)}/${action}`;

test("any HTTP client: an answer, a stream, an error", async (t) => {
  const { gate, url, settled } = await gated(t, [lane("us-east-1")]);
  const response = await gate.fetch(url + path("converse"), { method: "POST", headers: json, body });
  assert.equal(response.status, 200);
  const { usage } = await response.json();
  assert.equal(settled()[0].spentTokens, usage.inputTokens + 5 * usage.outputTokens);

  const stream = await gate.fetch(url + path("converse-stream"), { method: "POST", headers: json, body });
  assert.equal(gate.inFlight, 1);
  assert.ok((await stream.arrayBuffer()).byteLength > 100);
  assert.equal(settled()[1].class, "success");
  assert.ok(settled()[1].spentTokens > 0);

  const dropped = await gate.fetch(url + path("converse-stream"), { method: "POST", headers: json, body });
  await dropped.body.cancel();
  assert.ok(["cancelled", "success"].includes(settled()[2].class));
  assert.equal(gate.inFlight, 0);

  const bad = await gate.fetch(url + path("converse"), { method: "POST", headers: json, body: "{}" });
  assert.equal(bad.status, 400);
  assert.match(bad.headers.get("x-amzn-errortype"), /Validation/);

  const request = new Request(url + path("converse"), { method: "POST", headers: json, body });
  assert.equal((await gate.fetch(request)).status, 200);
  const unknown = gate.fetch(`${url}/region/us-east-1/model/unheard.of/converse`, { method: "POST", headers: json, body });
  await assert.rejects(unknown, { code: "unknown_model" });
  // What is none of Bedrock's calls passes by.
  assert.notEqual((await gate.fetch(`${url}/elsewhere`)).status, 200);
});

test("a refusal is tried again, and the last answer is the caller's", async (t) => {
  const busy = { error: { error: "temporarily_unavailable", share_permille: 1000 } };
  const { gate, url, events } = await gated(t, [lane("us-east-1", { faults: always(busy) })], { retry: { max_attempts: 2 } });
  const response = await gate.fetch(url + path("converse"), { method: "POST", headers: json, body });
  assert.equal(response.status, 503);
  assert.equal(events.filter(({ type }) => type === "sent").length, 2);
});

test("an unsigned request is sent to the Region and the profile that the engine chose", async () => {
  const policy = {
    pools: { far: { requests_per_minute: 60 } },
    endpoints: { far: { model: MODEL, target: `eu.${MODEL}`, region: "eu-west-1", pools: ["far"] } },
  };
  const gate = new Gate(policy);
  const sent = [];
  const answer = { output: {}, stopReason: "end_turn", usage: { inputTokens: 3, outputTokens: 4, totalTokens: 7 } };
  const through = fetchThrough(gate, {
    fetch: async (url, init) => {
      sent.push([String(url), new Headers(init.headers)]);
      return Response.json(answer);
    },
  });
  const own = `https://bedrock-runtime.us-east-1.amazonaws.com${path("converse", "")}`;
  await through(own, { method: "POST", headers: json, body });
  assert.equal(sent[0][0], `https://bedrock-runtime.eu-west-1.amazonaws.com/model/eu.${encodeURIComponent(MODEL)}/converse`);
  assert.equal(sent[0][1].get("authorization"), "Bearer an-api-key");

  const signed = { method: "POST", headers: { ...json, authorization: "AWS4-HMAC-SHA256 Credential=..." }, body };
  await assert.rejects(through(own, signed), { code: "signed" });
  assert.equal(gate.inFlight, 0);
  const anew = fetchThrough(gate, {
    fetch: async (url, init) => {
      sent.push([String(url), new Headers(init.headers)]);
      return Response.json(answer);
    },
    sign: ({ region, headers }) => ({ ...Object.fromEntries(headers), authorization: `signed for ${region}` }),
  });
  await anew(own, signed);
  assert.equal(sent[1][1].get("authorization"), "signed for eu-west-1");
});

test("the AI SDK's provider", async (t) => {
  const { gate, url, settled } = await gated(t, [lane("us-east-1")]);
  const bedrock = createAmazonBedrock({ region: "us-east-1", baseURL: url, ...CREDENTIALS, fetch: gate.fetch });
  const model = bedrock(MODEL);
  const { text, usage } = await generateText({ model, prompt: "Hello", maxOutputTokens: 50, maxRetries: 0 });
  assert.ok(text.length > 0);
  assert.equal(settled()[0].spentTokens, usage.inputTokens + 5 * usage.outputTokens);
  const stream = streamText({ model, prompt: "Hello", maxOutputTokens: 50, maxRetries: 0 });
  let length = 0;
  for await (const piece of stream.textStream) length += piece.length;
  assert.ok(length > 0);
  assert.equal(settled()[1].class, "success");
  assert.equal(gate.inFlight, 0);
});

test("Anthropic's client", async (t) => {
  const { gate, url, settled } = await gated(t, [lane("us-east-1")]);
  const client = new AnthropicBedrock({
    awsRegion: "us-east-1",
    awsAccessKey: CREDENTIALS.accessKeyId,
    awsSecretKey: CREDENTIALS.secretAccessKey,
    baseURL: url,
    fetch: gate.fetch,
    maxRetries: 0,
  });
  const request = { model: MODEL, max_tokens: 50, messages: [{ role: "user", content: "Hello" }] };
  const message = await client.messages.create(request);
  assert.equal(settled()[0].spentTokens, message.usage.input_tokens + 5 * message.usage.output_tokens);
  let events = 0;
  for await (const event of await client.messages.create({ ...request, stream: true })) events += event.type !== "";
  assert.ok(events > 2);
  assert.equal(settled()[1].class, "success");
  assert.equal(gate.inFlight, 0);
});
