/** Edge workers, which compile modules before they start and no other way. */

// @ts-expect-error the worker's own kind of import
import module from "./core.wasm";
import { start } from "../module.js";

start(module as WebAssembly.Module);

export * from "../api.js";
