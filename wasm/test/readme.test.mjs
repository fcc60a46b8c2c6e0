import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { CREDENTIALS, fake } from "./support/fake.mjs";

const MODEL = "anthropic.claude-sonnet-4-6";
const path = (name) => fileURLToPath(new URL(name, import.meta.url));

/** Runs all JavaScript of a text as one program against a fake. */
async function run(t, text) {
  const lanes = ["us-east-1", "eu-west-1"].map((region) => ({ region, model: MODEL, first_token_us: 1000 }));
  const url = await fake(t, { lanes });
  const blocks = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(([, block]) => block);
  assert.ok(blocks.length > 0);
  // Beside the tests, so that it finds the package and its peers.
  const file = path("./readme.tmp.mjs");
  writeFileSync(file, blocks.join("\n"));
  t.after(() => rmSync(file));
  const program = spawn(process.execPath, ["--import", path("./support/redirect.mjs"), file], {
    env: {
      ...process.env,
      AWS_ENDPOINT_URL_BEDROCK_RUNTIME: url,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [said, wrong] = ["", ""];
  program.stdout.on("data", (data) => (said += data));
  program.stderr.on("data", (data) => (wrong += data));
  const code = await new Promise((resolve) => program.on("exit", resolve));
  assert.equal(code, 0, wrong);
  return said;
}

test("what the README says runs and ends by itself", async (t) => {
  const said = await run(t, readFileSync(path("../README.md"), "utf8"));
  assert.match(said, /an answer from (us-east-1|eu-west-1)/);
});

test("the JavaScript of the project's README runs", async (t) => {
  const text = readFileSync(path("../../README.md"), "utf8");
  await run(t, text);
});

test("the bench runs its programs", () => {
  const said = execFileSync(process.execPath, [path("../benches/calls.mjs")], {
    encoding: "utf8",
    env: { ...process.env, SLUICEGATE_BENCH_MS: "20" },
  });
  assert.match(said, /bottleneck/);
});
