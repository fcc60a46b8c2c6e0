// The policy as text, with what the schema says of the place the caret is in, and faults that lead to their place.

import { policyFaults, policySchema } from "playground-module";
import { get, make } from "./dom";
import { around, find, lineOf, places } from "./json";
import type { Fault, Json, JsonObject } from "./types";

const DELAY_MS = 250;

const object = (json: Json | undefined): JsonObject | null =>
  typeof json === "object" && json !== null && !Array.isArray(json) ? json : null;

export class Editor {
  private readonly area = get<HTMLTextAreaElement>("policy-text");
  private readonly lines = get("policy-lines");
  private readonly list = get("policy-faults");
  private readonly status = get("policy-status");
  private readonly help = get("policy-help");
  private readonly schema = JSON.parse(policySchema()) as JsonObject;
  private timer = 0;
  private helped: string | null = null;

  /** `changed` is told of a text without faults, and may throw what it has against it. */
  constructor(private readonly changed: (text: string) => void) {
    this.area.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.number([]);
      this.timer = setTimeout(() => this.check(), DELAY_MS);
    });
    for (const event of ["keyup", "click", "input", "focus"]) this.area.addEventListener(event, () => this.explain());
    this.area.addEventListener("scroll", () => {
      this.lines.scrollTop = this.area.scrollTop;
    });
    get("policy-tidy").addEventListener("click", () => {
      try {
        this.area.value = JSON.stringify(JSON.parse(this.area.value), null, 2);
      } catch {
        // It is no JSON yet; the faults say where.
      }
      this.check();
    });
  }

  get text(): string {
    return this.area.value;
  }

  /** Shows a text without telling anybody. */
  show(text: string): void {
    this.area.value = text;
    this.judge(this.faults());
    this.explain();
  }

  private faults(): Fault[] {
    return JSON.parse(policyFaults(this.area.value)) as Fault[];
  }

  private check(): void {
    let found = this.faults();
    if (!found.length) {
      try {
        this.changed(this.area.value);
      } catch (error) {
        found = error as Fault[];
      }
    }
    this.judge(found);
  }

  private judge(found: Fault[]): void {
    const read = places(this.area.value);
    const rows = found.map((fault) => {
      const place = find(read.places, fault.pointer);
      const at = read.broken !== null && fault.pointer === "" ? read.broken : (place?.from ?? 0);
      return { fault, at, line: lineOf(this.area.value, at) };
    });
    this.list.replaceChildren(
      ...rows.map(({ fault, at, line }) => {
        const button = make("button", "") as HTMLButtonElement;
        button.type = "button";
        button.append(
          make("span", `line ${line}`, "line"),
          make("code", fault.pointer || "/", "pointer"),
          make("span", fault.message || fault.code, "message"),
        );
        button.addEventListener("click", () => {
          this.area.focus();
          this.area.setSelectionRange(at, this.area.value.indexOf("\n", at) < 0 ? at : this.area.value.indexOf("\n", at));
          this.area.scrollTop = (line - 4) * Number.parseFloat(getComputedStyle(this.area).lineHeight);
          this.explain();
        });
        const item = document.createElement("li");
        item.append(button);
        return item;
      }),
    );
    this.status.textContent = found.length
      ? `${found.length} fault${found.length > 1 ? "s" : ""}; the last good policy stays in force`
      : "in force";
    this.status.dataset["state"] = found.length ? "faulty" : "good";
    this.area.setAttribute("aria-invalid", String(found.length > 0));
    this.number(rows.map((row) => row.line));
  }

  private number(faulty: number[]): void {
    const count = this.area.value.split("\n").length;
    this.lines.replaceChildren(
      ...Array.from({ length: count }, (_, line) =>
        make("div", String(line + 1), faulty.includes(line + 1) ? "faulty" : ""),
      ),
    );
    this.lines.scrollTop = this.area.scrollTop;
  }

  /** What the schema says of the place the caret is in. */
  private explain(): void {
    const place = around(places(this.area.value).places, this.area.selectionStart);
    const pointer = place?.pointer ?? "";
    if (pointer === this.helped) return;
    this.helped = pointer;
    const names = pointer.split("/").slice(1).map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
    let schema: JsonObject | null = this.schema;
    let parent: JsonObject | null = null;
    for (const name of names) {
      parent = schema;
      const own: JsonObject | null = object(object(schema?.["properties"])?.[name]);
      schema = own ?? object(schema?.["additionalProperties"]) ?? object(schema?.["items"]);
      if (!schema) break;
    }
    const inside = object(schema?.["properties"]);
    // Of a plain value its neighbours are shown, since the next thing to be typed may be one of them.
    const offered = inside ?? object(parent?.["properties"]) ?? object(object(schema?.["additionalProperties"])?.["properties"]);
    const parts: HTMLElement[] = [make("h3", pointer || "the policy")];
    if (!schema) parts.push(make("p", "No such field."));
    else {
      const text = schema["description"];
      if (typeof text === "string") parts.push(make("p", text));
      const facts = [range(schema), standard(schema)].filter(Boolean).join("; ");
      if (facts) parts.push(make("p", facts, "facts"));
    }
    if (offered) {
      parts.push(make("h3", inside ? "Fields" : "Fields beside it"));
      const list = document.createElement("dl");
      for (const [name, field] of Object.entries(offered)) {
        const about = object(field)?.["description"];
        list.append(make("dt", name), make("dd", typeof about === "string" ? about : ""));
      }
      parts.push(list);
    }
    this.help.replaceChildren(...parts);
    this.help.scrollTop = 0;
  }
}

function range(schema: JsonObject): string {
  if (Array.isArray(schema["enum"])) return schema["enum"].map((one) => JSON.stringify(one)).join(", ");
  const [least, most] = [schema["minimum"], schema["maximum"]];
  const kind = typeof schema["type"] === "string" && schema["type"] !== "object" ? schema["type"] : "";
  return typeof least === "number" && typeof most === "number" ? `${kind} from ${least} to ${most}` : kind;
}

const standard = (schema: JsonObject): string =>
  schema["default"] === undefined ? "" : `${JSON.stringify(schema["default"])} if absent`;
