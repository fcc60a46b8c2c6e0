import assert from "node:assert/strict";
import { test } from "node:test";
import * as sluicegate from "sluicegate";
import { hashes } from "./support/replay.mjs";
import { expected, traces } from "./support/vectors.mjs";

test("every conformance trace is decided as in Rust", async () => {
  assert.ok(traces.length >= 84, `${traces.length} traces`);
  assert.deepEqual(await hashes(sluicegate, traces), expected);
});
