// Plays a life in the module for each seed given, and prints the digests: `node play.mjs MODULE SEED..`
import { readFile } from "node:fs/promises";

const [path, ...seeds] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(await readFile(path), {});
for (const seed of seeds) {
  console.log(seed, BigInt.asUintN(64, instance.exports.play(BigInt(seed))).toString());
}
