// Builds the page into one folder: `dist`. The module must have been bound to `target/wasm/playground` before.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const module = here("../../target/wasm/playground/");
const dist = here("dist/");

execFileSync(process.execPath, [here("../node_modules/typescript/bin/tsc"), "-p", here("tsconfig.json")], { stdio: "inherit" });
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
await build({
  entryPoints: { app: here("src/main.ts") },
  outdir: dist,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  alias: { "playground-module": `${module}playground.js` },
  // The module is always named by the page.
  define: { "import.meta.url": "location.href" },
});
await build({ entryPoints: [here("app.css")], outdir: dist, minify: true, target: ["chrome123", "firefox120", "safari17.5"] });
copyFileSync(here("index.html"), `${dist}index.html`);
copyFileSync(`${module}playground_bg.wasm`, `${dist}playground.wasm`);
for (const name of ["playground.wasm", "app.js", "app.css", "index.html"]) {
  const bytes = readFileSync(`${dist}${name}`);
  console.log(`${name.padEnd(16)} ${String(bytes.length).padStart(8)} bytes, ${gzipSync(bytes, { level: 9 }).length} gzip`);
}
