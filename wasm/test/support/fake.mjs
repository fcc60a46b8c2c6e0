// A fake Bedrock on loopback: the simulator behind HTTP, as `sluicegate serve-fake` has it.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** `cargo xtask wasm` says where it is; else a build in the usual place. */
export const CLI = process.env.SLUICEGATE_CLI ?? new URL("../../../target/debug/sluicegate", import.meta.url).pathname;

export const CREDENTIALS = { accessKeyId: "sluicegate-local", secretAccessKey: "sluicegate-local" };

/** Starts one with this configuration of the simulator's, and ends it with the test. Answers its address. */
export async function fake(t, config) {
  const folder = mkdtempSync(join(tmpdir(), "sluicegate-"));
  const file = join(folder, "fake.json");
  writeFileSync(file, JSON.stringify(config));
  const process = spawn(CLI, ["serve-fake", "--config", file, "--for", "600"], { stdio: ["ignore", "pipe", "ignore"] });
  t.after(() => {
    process.kill();
    rmSync(folder, { recursive: true });
  });
  for await (const line of createInterface({ input: process.stdout })) {
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line);
    if (url !== null) return url[0];
  }
  throw new Error("the fake ended before it said where it is");
}
