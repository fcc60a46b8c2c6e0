// Makes `dist` out of `src` and the bound module. `cargo xtask wasm` calls this; arguments: the folder of the module.

import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL(".", import.meta.url));
const bound = process.argv[2] ?? join(root, "../target/wasm/bound");
const glue = join(root, "src/glue");
const dist = join(root, "dist");

rmSync(glue, { recursive: true, force: true });
mkdirSync(glue, { recursive: true });
const wasm = readFileSync(join(bound, "core_bg.wasm"));
// The loader that fetches the module by itself is never used, and bundlers would follow it to a file that is not there.
const js = readFileSync(join(bound, "core.js"), "utf8");
const from = js.indexOf("async function __wbg_init");
if (from < 0) throw new Error("wasm-bindgen writes another loader than this knows");
writeFileSync(join(glue, "core.js"), `${js.slice(0, from)}export { initSync };\n`);
cpSync(join(bound, "core.d.ts"), join(glue, "core.d.ts"));
writeFileSync(join(glue, "base64.js"), `export default "${wasm.toString("base64")}";\n`);
writeFileSync(join(glue, "base64.d.ts"), "declare const base64: string;\nexport default base64;\n");
// The schema of policies is a file beside the module, since few ask for it. A test of the core holds it to the reader.
const schema = JSON.stringify(JSON.parse(readFileSync(join(root, "../tests/policy.schema.json"), "utf8")));
writeFileSync(join(glue, "schema.js"), `export default ${JSON.stringify(schema)};\n`);
writeFileSync(join(glue, "schema.d.ts"), "declare const schema: string;\nexport default schema;\n");

rmSync(dist, { recursive: true, force: true });
const common = { bundle: true, target: "es2022", platform: "neutral", external: ["node:fs", "./core.wasm"], logLevel: "warning" };
const entry = (name) => ({ in: join(root, `src/entries/${name}.ts`), out: name });
// One copy of the classes for all ES modules: what one entry makes, another knows.
await build({
  ...common,
  entryPoints: ["node", "index", "workerd", "slim"].map(entry),
  outdir: dist,
  format: "esm",
  splitting: true,
  chunkNames: "shared-[hash]",
});
await build({ ...common, entryPoints: [entry("index")], outdir: join(dist, "cjs"), format: "cjs" });
writeFileSync(join(dist, "core.wasm"), wasm);

execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", root], { stdio: "inherit" });
cpSync(join(dist, "types"), join(dist, "cjs/types"), { recursive: true });
writeFileSync(join(dist, "cjs/package.json"), '{ "type": "commonjs" }\n');
