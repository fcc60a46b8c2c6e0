/** Everywhere: the module is part of the script. */

import base64 from "../glue/base64.js";
import { start } from "../module.js";

start(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));

export * from "../api.js";
