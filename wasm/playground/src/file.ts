// Calls from a person's own file.

import { readCalls } from "playground-module";
import { faults } from "./dom";
import type { Recording } from "./setup";

const MOST_BYTES = 50_000_000;

/** Throws an error that says what is wrong with it, and where. */
export async function readFile(file: File): Promise<Recording> {
  if (file.size > MOST_BYTES) throw new Error("more than 50 MB are too much for a page; cut it");
  const text = await file.text();
  try {
    return { name: file.name, text, ...(JSON.parse(readCalls(text)) as { calls: number; rate: number }) };
  } catch (error) {
    throw new Error(faults(error).map((fault) => fault.message).join("; "));
  }
}
