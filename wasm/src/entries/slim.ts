/** Without the module: whoever imports this brings `sluicegate/core.wasm` and calls `init` first. */

import { start } from "../module.js";

/** Anything that is, or leads to, the module. */
export type ModuleSource = WebAssembly.Module | BufferSource | Response | URL | string;

/** Loads the module; everything else throws `not_ready` until the promise is kept. Doing it again changes nothing. */
export async function init(source: ModuleSource | PromiseLike<ModuleSource>): Promise<void> {
  let from = await source;
  if (typeof from === "string" || from instanceof URL) from = await fetch(from);
  start(from instanceof Response ? await from.arrayBuffer() : from);
}

/** The same at once, for a module or its bytes. */
export function initSync(source: WebAssembly.Module | BufferSource): void {
  start(source);
}

export * from "../api.js";
