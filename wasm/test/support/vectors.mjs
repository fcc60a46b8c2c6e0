import { readFileSync, readdirSync } from "node:fs";

const folder = new URL("../../../tests/vectors/traces/", import.meta.url);

export const traces = readdirSync(folder)
  .filter((name) => name.endsWith(".json") && !name.endsWith(".schema.json"))
  .sort()
  .map((name) => JSON.parse(readFileSync(new URL(name, folder), "utf8")));

export const expected = readFileSync(new URL("HASHES", folder), "utf8").trimEnd().split("\n");
