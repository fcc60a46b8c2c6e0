// The package as its users get it: packed, and installed into an empty project.

import { execFileSync } from "node:child_process";
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

export const packageFolder = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "sluicegate-"));
after(() => rmSync(folder, { recursive: true }));

const npm = (cwd, ...command) => execFileSync("npm", [...command, "--loglevel=error", "--no-audit", "--no-fund"], { cwd });

/** The packed package. */
export const tarball = join(
  folder,
  JSON.parse(npm(packageFolder, "pack", "--json", "--ignore-scripts", "--pack-destination", folder))[0].filename,
);

/** A new project with the package and these files in it. Answers its folder. */
export function project(name, files) {
  const root = join(folder, name);
  for (const [path, text] of Object.entries({ "package.json": '{ "private": true }', ...files })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  npm(root, "install", "--offline", "--ignore-scripts", tarball);
  return root;
}

/** A program that makes a call and answers `ok`; what imports the package comes first. */
export const program = `
const policy = { pools: { p: { requests_per_minute: 60 } }, endpoints: { e: { model: "m", pools: ["p"] } } };
const run = async () => {
  const gate = new Gate(policy);
  const answer = await gate.run({ model: "m", cost: 10 }, async ({ endpoint }) => endpoint.name);
  gate.close();
  const fault = await gate.run({ model: "m", cost: 10 }, () => 0).catch((error) => error.code);
  return answer === "e" && fault === "closed" ? "ok" : \`\${answer} \${fault}\`;
};
`;
