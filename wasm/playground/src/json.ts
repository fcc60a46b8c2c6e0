// Where in a JSON text each value stands, and what the caret is in: for faults that come with a pointer, and for help.

export interface Place {
  pointer: string;
  from: number;
  to: number;
}

const escape = (name: string): string => name.replaceAll("~", "~0").replaceAll("/", "~1");

/** Reads as far as the text is JSON. `broken`: where it no longer is. */
export function places(text: string): { places: Place[]; broken: number | null } {
  const found: Place[] = [];
  let at = 0;
  const fail = (): never => {
    throw at;
  };
  const space = (): void => {
    while (at < text.length && " \t\r\n".includes(text[at] as string)) at++;
  };
  const string = (): string => {
    const from = at;
    if (text[at] !== '"') fail();
    for (at++; text[at] !== '"'; at++) {
      if (at >= text.length || text[at] === "\n") fail();
      if (text[at] === "\\") at++;
    }
    at++;
    try {
      return JSON.parse(text.slice(from, at)) as string;
    } catch {
      return fail();
    }
  };
  const value = (pointer: string, from: number): void => {
    const place: Place = { pointer, from, to: text.length };
    found.push(place);
    space();
    const closes = text[at] === "{" ? "}" : text[at] === "[" ? "]" : null;
    if (closes) {
      at++;
      space();
      for (let index = 0; text[at] !== closes; index++) {
        const start = at;
        let name = String(index);
        if (closes === "}") {
          name = escape(string());
          space();
          // A value that is still to be typed is helped with, too.
          found.push({ pointer: `${pointer}/${name}`, from: start, to: at + 2 });
          if (text[at] !== ":") fail();
          at++;
          found.pop();
        }
        value(`${pointer}/${name}`, start);
        space();
        if (text[at] === ",") {
          at++;
          space();
          if (text[at] === closes) fail();
        } else if (text[at] !== closes) fail();
      }
      at++;
    } else if (text[at] === '"') {
      string();
    } else {
      const word = /^(?:true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/.exec(text.slice(at, at + 40));
      if (!word) fail();
      at += word?.[0].length ?? 0;
    }
    place.to = at;
  };
  try {
    value("", 0);
    space();
    if (at < text.length) fail();
    return { places: found, broken: null };
  } catch (where) {
    return { places: found, broken: typeof where === "number" ? Math.min(where, text.length) : 0 };
  }
}

/** The value with this pointer, or the nearest one around it. */
export function find(found: Place[], pointer: string): Place | undefined {
  for (let path = pointer; ; path = path.slice(0, path.lastIndexOf("/"))) {
    const place = found.findLast((place) => place.pointer === path);
    if (place || path === "") return place;
  }
}

/** The innermost value around the caret. */
export function around(found: Place[], caret: number): Place | undefined {
  return found.findLast((place) => place.from <= caret && caret <= place.to);
}

export const lineOf = (text: string, offset: number): number => text.slice(0, offset).split("\n").length;
