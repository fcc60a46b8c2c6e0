// The built page behind a small server, and Chromium to look at it.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const dist = fileURLToPath(new URL("../dist", import.meta.url));
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm" };

export async function open() {
  const server = createServer((request, response) => {
    const path = new URL(request.url, "http://page").pathname;
    try {
      const body = readFileSync(dist + (path === "/" ? "/index.html" : path));
      response.setHeader("content-type", types[extname(path === "/" ? ".html" : path)] ?? "text/html");
      response.end(body);
    } catch {
      response.statusCode = 404;
      response.end();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${server.address().port}/`;
  const executablePath = process.env.SLUICEGATE_CHROMIUM ?? "/usr/bin/chromium";
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });

  /** A page that has loaded. `wrong` collects what no page should have. */
  async function page({ hash = "", width = 1440, height = 1000, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width, height }, reducedMotion: "reduce", ...options });
    const page = await context.newPage();
    const [wrong, requests] = [[], []];
    page.on("pageerror", (error) => wrong.push(error.message));
    page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
    page.on("request", (request) => requests.push(request.url()));
    await page.goto(url + hash);
    await page.waitForFunction(() => "playground" in globalThis);
    return Object.assign(page, { wrong, requests, url });
  }

  async function close() {
    await browser.close();
    server.close();
  }

  return { page, close, url };
}
