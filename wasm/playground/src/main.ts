// The page: what a person sets up, the run that comes of it, and what is shown of the run.

import init, { policyOf } from "playground-module";
import { type Ink, scales } from "./chart";
import { clock, count, faults, get, make, percent, seconds } from "./dom";
import { Editor } from "./editor";
import { readFile } from "./file";
import { Run } from "./run";
import { LAWS, PRESETS, presetOf, REGIONS } from "./scenarios";
import { decode, encode, fresh, played, type Recording, scenarioOf, type Setup, SIDES } from "./setup";
import { SideView } from "./side";
import type { JsonObject } from "./types";
import { Why } from "./why";

/** Texts change seldom enough to be read. */
const TEXT_MS = 150;
/** After a pause longer than this, as when the page was hidden, time does not catch up. */
const LONGEST_FRAME_MS = 100;
/** Frames whose cost is remembered. */
const FRAMES = 1200;

const NAMES = ["Naive loop", "AWS SDK, adaptive", "sluicegate"];
const ABOUT = [
  "Five tries, sleeping 1, 2, 4, 8 s between them, as in many articles",
  "The SDK's adaptive retry mode, which learns a rate of requests",
  "The policy below",
];

const play = get<HTMLButtonElement>("play");
const notice = get("notice");
const still = matchMedia("(prefers-reduced-motion: reduce)");

let setup: Setup = fresh("overload");
let recording: Recording | null = null;
let run: Run | null = null;
let playing = false;
let texts_at = 0;
let last_frame: number | null = null;
const costs: number[] = [];

const views = SIDES.map((_, side) => new SideView(NAMES[side] ?? "", ABOUT[side] ?? ""));
get("sides").append(...views.map((view) => view.root));

await init({ module_or_path: new URL("playground.wasm", import.meta.url) });

const why = new Why(() => run, NAMES);
const editor = new Editor((text) => {
  try {
    run?.setPolicy(text);
  } catch (error) {
    throw faults(error);
  }
  setup.policy = text === standardPolicy() ? null : text;
});

function standardPolicy(): string {
  const policy = JSON.parse(policyOf(JSON.stringify(scenarioOf(setup)))) as JsonObject;
  return JSON.stringify({ ...policy, ...presetOf(setup.preset).policy }, null, 2);
}

/** Begins anew, at time zero. */
function restart(): void {
  run?.free();
  run = null;
  const own = standardPolicy();
  editor.show(setup.policy ?? own);
  try {
    run = new Run(setup, setup.policy ?? own, recording);
  } catch (error) {
    const found = faults(error);
    notice.textContent = `The set-up has faults: ${found.map((fault) => fault.message || fault.code).join("; ")}`;
    if (setup.policy !== null) {
      // A policy from a link may be faulty: it is shown with its faults, and the scenario's own is in force.
      get<HTMLDetailsElement>("policy").open = true;
      run = new Run(setup, own, recording);
    }
  }
  get("verdict").hidden = true;
  why.clear();
  show();
}

function setPlaying(on: boolean): void {
  if (on && run?.over) restart();
  playing = on;
  last_frame = null;
  play.textContent = on ? "Pause" : "Run";
  if (on) requestAnimationFrame(frame);
  else show();
}

function frame(at: number): void {
  if (!playing || !run) return;
  const begun = performance.now();
  const passed = last_frame === null ? 0 : Math.min(at - last_frame, LONGEST_FRAME_MS);
  last_frame = at;
  run.advance(passed * 1000 * setup.speed);
  const told = at - texts_at >= TEXT_MS;
  if (told) texts_at = at;
  paint(told);
  if (told) why.refresh();
  if (run.over) finish();
  if (costs.push(performance.now() - begun) > FRAMES) costs.shift();
  if (playing) requestAnimationFrame(frame);
}

let ink: Ink | null = null;

/** The colours as the style sheet has them now. */
function inks(): Ink {
  const of = (selector: string): string => getComputedStyle(document.querySelector(selector) as Element).color;
  ink ??= {
    made: of(".ink.made"),
    answered: of(".ink.answered"),
    refused: of(".ink.refused"),
    waiting: of(".ink.queued"),
    axis: of(".now"),
    text: of(".now"),
  };
  return ink;
}

function paint(told: boolean): void {
  if (!run) return;
  const { samples, state } = run;
  const most = scales(samples);
  // Where motion is unwelcome the strips move by whole seconds.
  const now = still.matches ? (samples[0]?.length ?? 0) : run.now_us / 1e6;
  views.forEach((view, side) => {
    const [own, at] = [samples[side], state[side]];
    if (!own || !at) return;
    view.strip(own, now, most, inks());
    view.levels(at);
    if (told) view.texts(own, at);
  });
  if (told) {
    get("clock").textContent = clock(run.now_us);
    get<HTMLProgressElement>("progress").value = run.now_us / 1e6;
  }
}

function show(): void {
  paint(true);
  why.refresh();
  why.again();
}

/** Every call has ended: how good was it, beside what could have been? */
function finish(): void {
  if (!run) return;
  setPlaying(false);
  why.refresh(true);
  const fair = run.fair();
  const reports = run.reports();
  const list = document.createElement("ul");
  const best = Math.max(fair, 1);
  reports.forEach(({ all, tenants }, side) => {
    const item = make("li", "");
    item.append(
      make("strong", fair ? percent(all.in_time / best) : "–"),
      make("b", NAMES[side] ?? ""),
      make("span", `${count(all.in_time)} in time, ${percent(all.refused / Math.max(all.attempts, 1))} of the attempts refused`, "small"),
      make("span", `median wait ${seconds(all.waits.p50)}, one in ten over ${seconds(all.waits.p90)}`, "small"),
    );
    const shares = tenants.map(([name, own]) => `${name} ${percent(own.in_time / Math.max(own.calls, 1))}`);
    if (shares.length) item.append(make("span", `in time by tenant: ${shares.join(", ")}`, "small"));
    list.append(item);
  });
  const calls = reports[0]?.all.calls ?? 0;
  const parts = [
    make("h2", "At the end"),
    make("p", `Of the ${count(calls)} calls after the first minute, a fair queue that knows the service has ${count(fair)} answered in time. Beside that:`),
    list,
  ];
  if (reports.some(({ all }) => all.in_time > best * 1.005)) {
    parts.push(make("p", "More than 100 %: small calls were served before large ones that had waited longer.", "hint"));
  }
  get("verdict").replaceChildren(...parts);
  get("verdict").hidden = false;
}

// ---------------------------------------------------------------------------------------------------------- controls

const scenario = get<HTMLSelectElement>("scenario");
const law = get<HTMLSelectElement>("law");
const load = get<HTMLInputElement>("load");
const quota = get<HTMLInputElement>("quota");
const seed = get<HTMLInputElement>("seed");
const speed = get<HTMLSelectElement>("speed");
scenario.append(...PRESETS.map((preset) => new Option(preset.name, preset.id)));
law.append(...LAWS.map((law) => new Option(law.name, law.id)));
const outages = REGIONS.map((region, place) => {
  const label = make("label", "") as HTMLLabelElement;
  const box = document.createElement("input");
  box.type = "checkbox";
  box.addEventListener("change", () => {
    setup.out[place] = box.checked;
    run?.setOut(place, box.checked);
    if (!playing) show();
  });
  label.append(box, region);
  get("outages").append(label);
  return box;
});

/** Shows the set-up in the controls. */
function controls(): void {
  scenario.value = setup.preset;
  get("scenario-about").textContent = presetOf(setup.preset).about;
  get("setup-name").textContent = recording?.name ?? presetOf(setup.preset).name;
  law.value = setup.law;
  load.value = String(setup.load);
  quota.value = String(setup.quota);
  seed.value = String(setup.seed);
  speed.value = String(setup.speed);
  outages.forEach((box, place) => {
    box.checked = setup.out[place] ?? false;
  });
  values();
}

function values(): void {
  const times = `${(setup.load / 1000).toFixed(2)}×`;
  get("load-value").textContent = times;
  load.setAttribute("aria-valuetext", times);
  get("load-hint").textContent = recording ? "of the recording's own rate" : "of what the service can carry";
  const share = `${Math.round(setup.quota / 10)} %`;
  get("quota-value").textContent = share;
  quota.setAttribute("aria-valuetext", share);
}

scenario.addEventListener("change", () => {
  const { seed, speed, law } = setup;
  setup = { ...fresh(scenario.value), seed, speed, law };
  if (recording) setup.load = 1000;
  controls();
  restart();
});
law.addEventListener("change", () => {
  setup.law = law.value;
  restart();
});
seed.addEventListener("change", () => {
  if (!seed.validity.valid || seed.value === "") seed.value = String(setup.seed);
  setup.seed = seed.valueAsNumber;
  restart();
});
load.addEventListener("input", () => {
  setup.load = load.valueAsNumber;
  values();
  run?.setLoad(setup.load);
});
quota.addEventListener("input", () => {
  setup.quota = quota.valueAsNumber;
  values();
  run?.setQuota(setup.quota);
  if (!playing) show();
});
speed.addEventListener("change", () => {
  setup.speed = Number(speed.value);
});
play.addEventListener("click", () => setPlaying(!playing));
get("restart").addEventListener("click", restart);
get("step").addEventListener("click", step);
get("policy-reset").addEventListener("click", () => {
  const own = standardPolicy();
  setup.policy = null;
  run?.setPolicy(own);
  editor.show(own);
});

function step(): void {
  if (playing) setPlaying(false);
  if (!run || run.over) return;
  run.step(1e6);
  show();
  if (run.over) finish();
}

document.addEventListener("keydown", (event) => {
  const typing = (event.target as HTMLElement).closest("input, select, textarea, button, summary, a, [tabindex='0']");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " ") {
    event.preventDefault();
    setPlaying(!playing);
  } else if (event.key === ".") step();
});

// --------------------------------------------------------------------------------------------------- files and links

const file = get<HTMLInputElement>("file");
const drop = get("drop");
const OWN_CALLS = get("file-hint").textContent ?? "";

async function take(given: File | undefined): Promise<void> {
  if (!given) return;
  try {
    recording = await readFile(given);
    get("file-hint").textContent = `${recording.name}: ${count(recording.calls)} calls, ${(recording.rate / 1000).toFixed(1)} a second`;
    get("file-clear").hidden = false;
    notice.textContent = "";
    setup.load = 1000;
    controls();
    restart();
  } catch (error) {
    notice.textContent = `${given.name}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

file.addEventListener("change", () => void take(file.files?.[0]));
get("file-clear").addEventListener("click", () => {
  recording = null;
  file.value = "";
  get("file-clear").hidden = true;
  get("file-hint").textContent = OWN_CALLS;
  setup.load = presetOf(setup.preset).load;
  controls();
  restart();
  file.focus();
});
for (const event of ["dragenter", "dragover"] as const) {
  document.addEventListener(event, (drag) => {
    drag.preventDefault();
    drop.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  void take(event.dataTransfer?.files[0]);
});

get("share").addEventListener("click", async () => {
  history.replaceState(null, "", `#${await encode(setup)}`);
  const without = recording ? " Your own calls are not part of it." : "";
  try {
    await navigator.clipboard.writeText(location.href);
    notice.textContent = `Link copied.${without}`;
  } catch {
    notice.textContent = `The link is in the address bar.${without}`;
  }
});

async function fromLink(): Promise<void> {
  const given = location.hash ? await decode(location.hash) : null;
  if (location.hash.startsWith("#s=") && !given) notice.textContent = "The link is damaged; here is the first scenario.";
  if (given) setup = given;
  controls();
  restart();
}
window.addEventListener("hashchange", () => {
  if (location.hash.startsWith("#s=")) void fromLink();
});

// -------------------------------------------------------------------------------------------------------------- looks

const THEMES = ["system", "light", "dark"];
const theme = get<HTMLButtonElement>("theme");

function setTheme(name: string): void {
  theme.textContent = `Theme: ${name}`;
  theme.dataset["theme"] = name;
  document.documentElement.style.colorScheme = name === "system" ? "" : name;
  ink = null;
  paint(false);
}

theme.addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(theme.dataset["theme"] ?? "system") + 1) % THEMES.length] ?? "system";
  try {
    localStorage.setItem("theme", next);
  } catch {
    // Without storage it is forgotten with the page.
  }
  setTheme(next);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme(theme.dataset["theme"] ?? "system"));
new ResizeObserver(() => paint(false)).observe(get("sides"));

// Where there is no room beside the simulation the set-up can be folded away, and begins so.
const narrow = matchMedia("(max-width: 70rem)");
const fold = (): void => {
  get<HTMLDetailsElement>("setup").open = !narrow.matches;
};
narrow.addEventListener("change", fold);
fold();

let stored: string | null = null;
try {
  stored = localStorage.getItem("theme");
} catch {
  // As above.
}
await fromLink();
setTheme(stored && THEMES.includes(stored) ? stored : "system");

/** For tests and the curious: what is played, what came of it, and what frames cost in milliseconds. */
Object.assign(globalThis, {
  playground: {
    setup: () => played(scenarioOf(setup), editor.text, recording),
    reports: () => run?.reportsText(),
    toEnd: () => {
      while (run && !run.over) run.step(1e6);
      show();
      finish();
    },
    costs,
  },
});
if (!still.matches) setPlaying(true);
