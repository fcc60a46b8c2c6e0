// Who waits, and why a call does.

import { count, get, make, seconds } from "./dom";
import type { Run } from "./run";
import { REGIONS } from "./scenarios";
import { SIDES } from "./setup";
import type { CallState } from "./types";

const LISTED = 6;
const OURS = SIDES.indexOf("sluicegate");

export class Why {
  private readonly list = get("waiting");
  private readonly answers = get("answers");
  private readonly number = get<HTMLInputElement>("call");
  private readonly status = get("why-status");
  private asked: number | null = null;

  constructor(
    private readonly run: () => Run | null,
    private readonly names: string[],
  ) {
    get("why-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.ask(this.number.valueAsNumber);
    });
    this.list.addEventListener("click", (event) => {
      const button = (event.target as HTMLElement).closest<HTMLElement>("[data-call]");
      if (button) this.ask(Number(button.dataset["call"]));
    });
  }

  /** The calls that wait longest with us; those under the pointer or in focus stay, so that they can be picked. */
  refresh(always = false): void {
    const run = this.run();
    if (!run || (!always && this.list.matches(":hover, :focus-within"))) return;
    const calls = run.waiting(OURS, LISTED);
    while (this.list.children.length < LISTED) {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      item.append(button);
      this.list.append(item);
    }
    [...this.list.children].forEach((item, place) => {
      const call = calls[place];
      (item as HTMLElement).hidden = !call;
      if (!call) return;
      const button = item.firstElementChild as HTMLButtonElement;
      button.dataset["call"] = String(call.call);
      button.textContent = `call ${count(call.call)}, ${seconds(run.now_us - call.made_us)}`;
    });
    this.list.hidden = calls.length === 0;
    get("nobody").hidden = calls.length > 0;
  }

  clear(): void {
    this.asked = null;
    this.answers.replaceChildren();
    this.status.textContent = "";
  }

  /** Says what became of a call so far, on each side. */
  ask(call: number): void {
    const run = this.run();
    if (!run || !Number.isInteger(call) || call < 0) {
      this.status.textContent = "Give the number of a call.";
      return;
    }
    this.asked = call;
    this.number.value = String(call);
    const sides = run.why(call);
    const made = sides[0]?.call;
    if (!made) {
      this.answers.replaceChildren();
      this.status.textContent = `Call ${count(call)} has not been made yet.`;
      return;
    }
    const [at, due] = [seconds(made.made_us), seconds(made.due_us - made.made_us)];
    this.status.textContent = `Call ${count(call)}, made at ${at}, to be answered within ${due}; looked at ${seconds(run.now_us)}.`;
    this.answers.replaceChildren(
      ...sides.map(({ call, why }, side) => {
        const answer = make("div", "", "answer");
        answer.append(make("h3", this.names[side] ?? ""));
        if (call) answer.append(make("p", fate(call, run.now_us)));
        // The line of the engine begins with the call's name, which is known here.
        const parts = why ? why.replace(/^call \d+: /, "").split("; ") : [];
        if (parts.length) {
          const list = document.createElement("ul");
          list.append(...parts.map((part) => make("li", part)));
          answer.append(list);
        }
        return answer;
      }),
    );
  }

  /** Looks again, if a call was asked for. */
  again(): void {
    if (this.asked !== null) this.ask(this.asked);
  }
}

function fate(call: CallState, now: number): string {
  const tries = `${call.attempts} attempt${call.attempts === 1 ? "" : "s"}`;
  const refused = call.refused ? `${call.refused} refused` : "none refused";
  const tried = call.attempts ? `${tries}, ${refused}` : "Nothing sent yet";
  if (call.completed_us !== null) {
    const late = call.completed_us > call.due_us ? ", too late" : "";
    return `Answered after ${seconds(call.completed_us - call.made_us)}${late}. ${tried}.`;
  }
  if (call.lane !== null) return `Being answered by ${REGIONS[call.lane] ?? "a Region"}. ${tried}.`;
  if (call.ended) return `Over without an answer. ${call.attempts ? `${tried}.` : "Nothing was sent for it."}`;
  return `Has waited ${seconds(now - call.made_us)}. ${tried}.`;
}
