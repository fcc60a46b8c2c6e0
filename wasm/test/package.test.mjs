import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { build as esbuild } from "esbuild";
import { Miniflare } from "miniflare";
import { build as vite } from "vite";
import webpack from "webpack";
import { page, said, served } from "./support/browser.mjs";
import { packageFolder, program, project, tarball } from "./support/project.mjs";

const node = (cwd, ...command) => execFileSync(process.execPath, command, { cwd, encoding: "utf8" }).trim();
const title = `run().then((said) => (document.title = said), (error) => (document.title = String(error)));`;
const tool = (name) => join(packageFolder, "node_modules/.bin", name);

test("Node, as an ES module", () => {
  const root = project("esm", {
    "main.mjs": `import { Gate } from "sluicegate";${program}run().then(console.log);`,
  });
  assert.equal(node(root, "main.mjs"), "ok");
});

test("Node, as CommonJS", () => {
  const root = project("cjs", {
    "main.cjs": `const { Gate } = require("sluicegate");${program}run().then(console.log);`,
  });
  assert.equal(node(root, "main.cjs"), "ok");
});

test("a thread of Node's", () => {
  const root = project("thread", {
    "main.mjs": `import { Worker } from "node:worker_threads";
      new Worker(new URL("./worker.mjs", import.meta.url)).on("message", console.log);`,
    "worker.mjs": `import { parentPort } from "node:worker_threads";
      import { Gate } from "sluicegate";${program}run().then((said) => parentPort.postMessage(said));`,
  });
  assert.equal(node(root, "main.mjs"), "ok");
});

test("without the module inside: not ready, then ready", () => {
  const root = project("slim", {
    "main.mjs": `import { readFileSync } from "node:fs";
      import { Engine, Gate, Policy, Random, init, policySchema } from "sluicegate/slim";${program}
      if (policySchema().title !== "sluicegate policy") throw new Error("the schema needs no module");
      const codes = [() => new Gate(policy), () => Policy.parse(policy), () => Random.seeded(1)].map(
        (early) => { try { early(); return "too early"; } catch (error) { return error.code; } });
      if (codes.some((code) => code !== "not_ready")) throw new Error(codes);
      await init(readFileSync(new URL(import.meta.resolve("sluicegate/core.wasm"))));
      console.log(await run());`,
  });
  assert.equal(node(root, "main.mjs"), "ok");
});

test("a bundle of Vite's in Chromium, and a Worker in it", async (t) => {
  const root = project("vite", {
    "index.html": `<script type="module" src="/main.js"></script>`,
    "main.js": `import { Gate } from "sluicegate";${program}
      run().then((said) => {
        const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
        worker.onerror = (event) => (document.title = event.message);
        worker.onmessage = ({ data }) => (document.title = said + " " + data);
      });`,
    "worker.js": `import { Gate } from "sluicegate";${program}run().then((said) => postMessage(said));`,
  });
  await vite({ root, logLevel: "error", worker: { format: "es" } });
  const opened = await page(t);
  assert.equal(await said(opened, await served(t, join(root, "dist"))), "ok ok");
});

test("a bundle of webpack's in Chromium", async (t) => {
  const root = project("webpack", {
    "index.html": `<script src="/out/main.js"></script>`,
    "main.js": `import { Gate } from "sluicegate";${program}${title}`,
  });
  const output = { path: join(root, "out"), filename: "main.js" };
  const bundler = webpack({ mode: "production", context: root, entry: "./main.js", output, performance: { hints: false } });
  const stats = await promisify(bundler.run.bind(bundler))();
  assert.equal(stats.toString({ all: false, errors: true, warnings: true }), "");
  assert.equal(await said(await page(t), await served(t, root)), "ok");
});

test("the module inside, by a script tag", async (t) => {
  const root = project("script", {
    "index.html": `<script type="module">
      import { Gate } from "./node_modules/sluicegate/dist/index.js";${program}${title}
    </script>`,
  });
  assert.equal(await said(await page(t), await served(t, root)), "ok");
});

test("the module as a file of its own, in Chromium", async (t) => {
  const root = project("web", {
    "index.html": `<script type="module">
      import { Gate, init } from "./node_modules/sluicegate/dist/slim.js";${program}
      init(new URL("./node_modules/sluicegate/dist/core.wasm", location.href)).then(() => {${title}});
    </script>`,
  });
  assert.equal(await said(await page(t), await served(t, root)), "ok");
});

test("an edge worker, which compiles nothing while it runs", async (t) => {
  const root = project("edge", {
    "main.js": `import { Gate } from "sluicegate";${program}
      export default { fetch: async () => new Response(await run()) };`,
  });
  await esbuild({
    entryPoints: [join(root, "main.js")],
    outdir: join(root, "out"),
    bundle: true,
    format: "esm",
    conditions: ["workerd"],
    loader: { ".wasm": "copy" },
    assetNames: "[name]",
    logLevel: "error",
  });
  const modules = readdirSync(join(root, "out")).map((name) => ({
    type: name.endsWith(".wasm") ? "CompiledWasm" : "ESModule",
    path: name,
    contents: readFileSync(join(root, "out", name)),
  }));
  modules.sort((one) => (one.path === "main.js" ? -1 : 1));
  const worker = new Miniflare({ modules, compatibilityDate: "2024-01-01" });
  t.after(() => worker.dispose());
  assert.equal(await (await worker.dispatchFetch("http://host/")).text(), "ok");
});

test("types are right for every way to import", () => {
  // The file of the module itself has none, and older ways of resolving do not know entries.
  const ignored = ["--exclude-entrypoints", "./core.wasm", "--ignore-rules", "cjs-resolves-to-esm"];
  execFileSync(tool("attw"), [tarball, "--profile", "node16", ...ignored], { encoding: "utf8" });
  execFileSync(tool("tsc"), ["-p", "test"], { cwd: packageFolder, encoding: "utf8" });
  execFileSync(tool("publint"), [tarball, "--strict"], { encoding: "utf8" });
});

test("nothing else is installed with it", () => {
  const { dependencies, peerDependencies } = createRequire(import.meta.url)("../package.json");
  assert.deepEqual([dependencies, peerDependencies], [undefined, undefined]);
});
