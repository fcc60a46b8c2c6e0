// Prints the reports of the module: `node play.mjs MODULE`
import { readFile } from "node:fs/promises";

const module = await WebAssembly.compile(await readFile(process.argv[2]));
const { scenarios, reports, memory } = (await WebAssembly.instantiate(module, {})).exports;
for (let number = 0; number < scenarios(); number++) {
  const text = BigInt.asUintN(64, reports(number));
  const [start, length] = [Number(text & 0xffffffffn), Number(text >> 32n)];
  process.stdout.write(new TextDecoder().decode(new Uint8Array(memory.buffer, start, length)));
}
