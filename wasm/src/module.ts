/** The module, once it is there. */

import { initSync } from "./glue/core.js";
import { SluicegateError } from "./errors.js";

let memory: WebAssembly.Memory | undefined;

/** Starts the module; from then on everything works. Doing it again changes nothing. */
export function start(module: WebAssembly.Module | BufferSource): void {
  memory ??= initSync({ module }).memory;
}

/** Throws where the module is not there yet. */
export function ready(): WebAssembly.Memory {
  if (memory === undefined) {
    throw new SluicegateError("not_ready", "the WebAssembly module is not loaded yet; await init() first");
  }
  return memory;
}

/** The numbers of an answer, read out of the module's memory, which moves when it grows. */
export class Slots {
  readonly #at: number;
  #view: Float64Array;

  constructor(at: number) {
    this.#at = at;
    this.#view = new Float64Array(ready().buffer, at, 4);
  }

  get(place: 0 | 1 | 2 | 3): number {
    if (this.#view.length === 0) this.#view = new Float64Array(ready().buffer, this.#at, 4);
    return this.#view[place] as number;
  }
}
