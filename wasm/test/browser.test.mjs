import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { page, served } from "./support/browser.mjs";
import { expected, traces } from "./support/vectors.mjs";

test("every conformance trace is decided in Chromium as in Rust", async (t) => {
  const opened = await page(t);
  const url = await served(t, fileURLToPath(new URL("..", import.meta.url)));
  await opened.goto(`${url}/test/support/empty.html`);
  const found = await opened.evaluate(async (given) => {
    const sluicegate = await import("/dist/index.js");
    const { hashes } = await import("/test/support/replay.mjs");
    return hashes(sluicegate, given);
  }, traces);
  assert.deepEqual(found, expected);
});
