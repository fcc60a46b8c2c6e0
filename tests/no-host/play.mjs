// Plays a life in the module for each seed given, then replays the traces, and prints the digests:
// `node play.mjs MODULE SEED..`
import { readFile } from "node:fs/promises";

const [path, ...seeds] = process.argv.slice(2);
const module = await WebAssembly.compile(await readFile(path));
const fresh = async () => (await WebAssembly.instantiate(module, {})).exports;
const { play, traces } = await fresh();
for (const seed of seeds) {
  console.log(seed, BigInt.asUintN(64, play(BigInt(seed))).toString());
}
for (let index = 0; index < traces(); index++) {
  // The module never frees memory, so each trace gets one of its own.
  const { replay, memory } = await fresh();
  const line = BigInt.asUintN(64, replay(index));
  const [start, length] = [Number(line & 0xffffffffn), Number(line >> 32n)];
  console.log(new TextDecoder().decode(new Uint8Array(memory.buffer, start, length)));
}
