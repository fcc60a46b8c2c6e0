/** Node, as an ES module: reads the file beside it. */

import { readFileSync } from "node:fs";
import { start } from "../module.js";

start(readFileSync(new URL("./core.wasm", import.meta.url)));

export * from "../api.js";
