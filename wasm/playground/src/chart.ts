// The moving strips of a side. Up: calls made (line) and answered in time (area). Down: attempts refused. Below: calls waiting.

import type { Sample } from "./types";

/** Seconds shown. */
const SPAN = 90;
/** Seconds over which rates are taken, so that single calls do not flicker. */
const OVER = 4;

export interface Scales {
  up: number;
  down: number;
  waiting: number;
}

export interface Ink {
  made: string;
  answered: string;
  refused: string;
  waiting: string;
  axis: string;
  text: string;
}

type Count = "calls" | "in_time" | "refused";

const rate = (samples: Sample[], at: number, what: Count): number => {
  const from = Math.max(at - OVER, -1);
  const before = from < 0 ? 0 : (samples[from]?.counts[what] ?? 0);
  return ((samples[at]?.counts[what] ?? 0) - before) / Math.max(at - from, 1);
};

/** The next larger of 1, 2, 5, 10, ... */
function round(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10);
}

/** One scale for all sides, so that heights can be compared. */
export function scales(sides: Sample[][]): Scales {
  const most = { up: 10, down: 10, waiting: 50 };
  for (const samples of sides) {
    for (let at = Math.max(0, samples.length - SPAN); at < samples.length; at++) {
      most.up = Math.max(most.up, rate(samples, at, "calls"), rate(samples, at, "in_time"));
      most.down = Math.max(most.down, rate(samples, at, "refused"));
      most.waiting = Math.max(most.waiting, samples[at]?.counts.waiting ?? 0);
    }
  }
  return { up: round(most.up), down: round(most.down), waiting: round(most.waiting) };
}

export function draw(canvas: HTMLCanvasElement, samples: Sample[], now: number, most: Scales, ink: Ink): void {
  const context = canvas.getContext("2d");
  if (!context) return;
  const ratio = globalThis.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);

  const plot = width - 1;
  const x = (second: number): number => plot - ((now - second) / SPAN) * plot;
  const first = Math.max(0, Math.floor(now - SPAN) - 1);
  const middle = Math.round(height * 0.42);
  const bottom = Math.round(height * 0.68);
  const top = 15;
  const gap = 24;

  const line = (y: number): void => {
    context.fillStyle = ink.axis;
    context.fillRect(0, y, width, 1);
  };
  const path = (base: number, full: number, most: number, value: (at: number) => number): Path2D => {
    const path = new Path2D();
    for (let at = first; at < samples.length; at++) {
      const y = base - (Math.min(value(at), most) / most) * (base - full);
      if (at === first) path.moveTo(x(at + 1), y);
      else path.lineTo(x(at + 1), y);
    }
    return path;
  };
  const area = (base: number, full: number, most: number, value: (at: number) => number): Path2D => {
    const closed = path(base, full, most, value);
    if (samples.length > first) {
      closed.lineTo(x(samples.length), base);
      closed.lineTo(x(first + 1), base);
    }
    return closed;
  };

  context.save();
  context.beginPath();
  context.rect(0, 0, width, height);
  context.clip();
  context.fillStyle = ink.answered;
  context.fill(area(middle, top, most.up, (at) => rate(samples, at, "in_time")));
  context.strokeStyle = ink.made;
  context.lineWidth = 1.5;
  context.stroke(path(middle, top, most.up, (at) => rate(samples, at, "calls")));
  context.fillStyle = ink.refused;
  context.fill(area(middle + 1, bottom, most.down, (at) => rate(samples, at, "refused")));
  context.fillStyle = ink.waiting;
  context.fill(area(height - 1, bottom + gap, most.waiting, (at) => samples[at]?.counts.waiting ?? 0));
  context.restore();

  line(middle);
  line(height - 1);
  context.fillStyle = ink.text;
  context.font = "11px system-ui, sans-serif";
  context.fillText(`${most.up} calls a second`, 0, 10);
  context.fillText(`${most.down} refused a second`, 0, bottom + 1);
  context.fillText(`${most.waiting} waiting`, 0, bottom + gap + 1);
  line(bottom + 6);
}
