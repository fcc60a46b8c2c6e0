// Small things that every part of the page needs.

const numbers = new Intl.NumberFormat("en");
const tenths = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const count = (value: number): string => numbers.format(value);
export const percent = (share: number): string => {
  const value = share * 100;
  return `${value > 0 && value < 1 ? tenths.format(value) : Math.round(value)} %`;
};
export const seconds = (us: number): string => `${tenths.format(us / 1e6)} s`;
export const clock = (us: number): string => {
  const whole = Math.floor(us / 1e6);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

/** An element that the page was written with. */
export function get<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`no #${id}`);
  return element as T;
}

export function part(root: HTMLElement, name: string): HTMLElement {
  const element = root.querySelector<HTMLElement>(`[data-part="${name}"]`);
  if (!element) throw new Error(`no part ${name}`);
  return element;
}

export function clone(template: string): HTMLElement {
  const content = get<HTMLTemplateElement & HTMLElement>(`${template}-template`).content;
  return content.firstElementChild?.cloneNode(true) as HTMLElement;
}

export function make(tag: string, text: string, name = ""): HTMLElement {
  const element = document.createElement(tag);
  element.textContent = text;
  if (name) element.className = name;
  return element;
}

/** Faults as the simulator throws them; any other error as one of them. */
export function faults(error: unknown): { code: string; pointer: string; message: string }[] {
  const text = error instanceof Error ? error.message : String(error);
  try {
    return JSON.parse(text) as { code: string; pointer: string; message: string }[];
  } catch {
    return [{ code: "error", pointer: "", message: text }];
  }
}
