// Compiled and never run: what users write has the types that they expect.

import { BedrockRuntimeClient, ConverseCommand } from "@aws-sdk/client-bedrock-runtime";
import { createAmazonBedrock } from "@ai-sdk/amazon-bedrock";
import AnthropicBedrock from "@anthropic-ai/bedrock-sdk";
import { EndedError, Engine, Gate, PolicyError, Random, sluicegate, withOptions, type Decision, type Event } from "sluicegate";

const gate = new Gate({ pools: {}, endpoints: {} });
const client = new BedrockRuntimeClient({ region: "us-east-1" });
client.middlewareStack.use(sluicegate(gate, { tenant: "chat" }));
const command = withOptions(new ConverseCommand({ modelId: "m", messages: [] }), { deadline: 5 });
const answer = await client.send(command);
const stop: string | undefined = answer.stopReason;
createAmazonBedrock({ fetch: gate.fetch });
new AnthropicBedrock({ awsRegion: "us-east-1", fetch: gate.fetch });
const text: string = await gate.run({ model: "m", cost: 1 }, async (attempt, signal) => {
  signal.throwIfAborted();
  return attempt.endpoint.region;
});
const engine = new Engine({}, 0);
engine.handle(0, { type: "submit", call: { id: 1, model: 0, tokens: 1 } }, Random.seeded(1n));
const decision: Decision | undefined = engine.pollDecision();
if (decision?.type === "end" && decision.reason.type === "refused") console.log(decision.reason.why, decision.reason.retryAt);
gate.on((event: Event) => {
  if (event.type === "settled") console.log(event.class, event.spentTokens);
});
try {
  gate.reconfigure("{}");
} catch (error) {
  if (error instanceof PolicyError) console.log(error.faults[0]?.pointer);
  if (error instanceof EndedError) console.log(error.reason.type, error.retryAfter);
}
// @ts-expect-error a number is wanted
await gate.run({ model: "m", cost: "1" }, () => 0);
console.log(stop, text);
