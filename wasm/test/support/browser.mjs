// A page in Chromium, and a server for what it loads.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { chromium } from "playwright-core";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".json": "application/json" };

/** Serves a folder on loopback until the test ends. */
export async function served(t, root) {
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://host").pathname;
    try {
      const bytes = readFileSync(join(root, path.endsWith("/") ? `${path}index.html` : path));
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "text/html" }).end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return `http://127.0.0.1:${server.address().port}`;
}

/** A page whose errors fail the test. */
export async function page(t) {
  const executablePath = process.env.SLUICEGATE_CHROMIUM ?? "/usr/bin/chromium";
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  t.after(() => browser.close());
  const opened = await browser.newPage();
  opened.on("pageerror", (error) => console.error(`the page: ${error}`));
  opened.setDefaultTimeout(60_000);
  return opened;
}

/** What a page writes into `document.title` at its end. */
export async function said(opened, url) {
  await opened.goto(url);
  await opened.waitForFunction(() => document.title !== "");
  return opened.title();
}
