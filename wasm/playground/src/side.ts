// One way of sending the calls: its figures, its strips, its Regions.

import { draw, type Ink, type Scales } from "./chart";
import { clone, count, part, percent, seconds } from "./dom";
import type { Effect, RegionState, Sample, SideState } from "./types";

/** Figures are of the last so many seconds. */
const WINDOW = 60;

interface RegionView {
  row: HTMLElement;
  name: HTMLElement;
  trouble: HTMLElement;
  level: HTMLElement;
  left: HTMLElement;
  flight: HTMLElement;
  breaker: HTMLElement;
}

/** Shown as they are only where they have changed: the page's layout is left alone most of the time. */
function say(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export class SideView {
  readonly root: HTMLElement;
  private readonly canvas: HTMLCanvasElement;
  private readonly figures: Record<"time" | "times" | "refused" | "refusals" | "wait" | "waits", HTMLElement>;
  private readonly now: HTMLElement;
  private regions: RegionView[] = [];

  constructor(name: string, about: string) {
    this.root = clone("side");
    part(this.root, "name").textContent = name;
    part(this.root, "about").textContent = about;
    this.canvas = part(this.root, "strip") as HTMLCanvasElement;
    this.canvas.setAttribute("aria-label", `${name}: calls made, answered and refused, and calls waiting, over time`);
    const of = (name: string): HTMLElement => part(this.root, name);
    this.figures = {
      time: of("time"),
      times: of("times"),
      refused: of("refused"),
      refusals: of("refusals"),
      wait: of("wait"),
      waits: of("waits"),
    };
    this.now = of("now");
  }

  strip(samples: Sample[], now: number, most: Scales, ink: Ink): void {
    draw(this.canvas, samples, now, most, ink);
  }

  /** The Regions' bars, which move with every frame. */
  levels(state: SideState): void {
    if (this.regions.length !== state.lanes.length) this.build(state);
    state.lanes.forEach((lane, place) => {
      const view = this.regions[place];
      const left = leftOf(lane);
      if (view) view.level.style.transform = `scaleX(${left === null ? 1 : Math.max(0, left) / 1000})`;
    });
  }

  /** Everything that is to be read. */
  texts(samples: Sample[], state: SideState): void {
    const last = samples.at(-1);
    const before = samples.at(-1 - WINDOW)?.counts;
    const over = (what: "in_time" | "late" | "lost" | "attempts" | "refused"): number =>
      last ? last.counts[what] - (before?.[what] ?? 0) : 0;
    const ended = over("in_time") + over("late") + over("lost");
    const spent = Math.min(samples.length, WINDOW) || 1;
    const minute = (number: number): string => count(Math.round((number * 60) / spent));
    say(this.figures.time, ended ? percent(over("in_time") / ended) : "–");
    say(this.figures.times, `${minute(over("in_time"))} a minute`);
    say(this.figures.refused, over("attempts") ? percent(over("refused") / over("attempts")) : "–");
    say(this.figures.refusals, `${minute(over("refused"))} a minute`);
    say(this.figures.wait, last?.waits.count ? seconds(last.waits.p50) : "–");
    say(this.figures.waits, last?.waits.count ? tail(last.waits.p90) : "");
    say(this.now, `${count(state.counts.waiting)} waiting, ${count(state.counts.out)} under way`);
    state.lanes.forEach((lane, place) => {
      const view = this.regions[place];
      if (view) region(view, lane);
    });
  }

  private build(state: SideState): void {
    const list = part(this.root, "regions");
    this.regions = state.lanes.map((lane) => {
      const row = clone("region");
      const of = (name: string): HTMLElement => part(row, name);
      list.append(row);
      of("name").textContent = lane.region;
      return {
        row,
        name: of("name"),
        trouble: of("trouble"),
        level: of("level"),
        left: of("left"),
        flight: of("flight"),
        breaker: of("breaker"),
      };
    });
  }
}

const tail = (p90: number): string => (p90 < 50_000 ? "hardly anyone waits" : `one in ten over ${seconds(p90)}`);

/** Of two quotas the one of which less is left. */
function leftOf(lane: RegionState): number | null {
  const left = [lane.requests_permille, lane.tokens_permille].filter((left) => left !== null);
  return left.length ? Math.min(...left) : null;
}

function region(view: RegionView, lane: RegionState): void {
  const left = leftOf(lane);
  say(view.left, left === null ? "no quota" : left < 0 ? "in debt" : `${Math.round(left / 10)} % left`);
  say(view.flight, lane.slots === null ? `${lane.in_flight} in flight` : `${lane.in_flight} of ${lane.slots} in flight`);
  const words = { closed: "breaker closed", half_open: "breaker probing", open: "breaker open" };
  say(view.breaker, lane.breaker ? words[lane.breaker] : "no breaker");
  view.breaker.dataset["state"] = lane.breaker ?? "none";
  say(view.trouble, lane.effects.map(words_of).join(", "));
  view.row.classList.toggle("out", lane.effects.includes("outage"));
}

function words_of(effect: Effect): string {
  if (effect === "outage") return "out";
  const [kind, values] = Object.entries(effect)[0] ?? ["", {}];
  if (kind === "capacity") return `${(values["permille"] ?? 0) / 10} % of its slots`;
  if (kind === "slow") return `${(values["factor_permille"] ?? 0) / 1000} times slower`;
  if (kind === "quota_factor") return `${(values["permille"] ?? 0) / 10} % of its quota`;
  return kind.replaceAll("_", " ");
}
