/** Arguments as the module wants them: nothing that is no whole number gets through. */

import { ArgumentError } from "./errors.js";

/** What is negative where a number may be missing. */
export const NONE = -1;

const LARGEST = 2 ** 53;
const U32 = 2 ** 32 - 1;

/** A whole number from 0 to `most`. */
export function whole(value: unknown, pointer: string, most: number = LARGEST): number {
  if (typeof value !== "number" || !(value >= 0 && value <= most) || !Number.isInteger(value)) {
    throw refused(value, pointer, most);
  }
  return value;
}

function refused(value: unknown, pointer: string, most: number): ArgumentError {
  if (typeof value !== "number") return new ArgumentError("wrong_type", pointer, `a number is wanted, not ${kind(value)}`);
  if (Number.isNaN(value)) return new ArgumentError("not_a_number", pointer, "a number is wanted, not NaN");
  if (value < 0) return new ArgumentError("negative", pointer, `${value} is negative`);
  if (value > most) return new ArgumentError("too_large", pointer, `${value} is more than ${most}`);
  return new ArgumentError("fractional", pointer, `${value} is not whole`);
}

export function kind(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "a list" : `a ${typeof value}`;
}

/** The same, or `NONE` where there is none. */
export function optional(value: unknown, pointer: string, most?: number): number {
  return value === undefined ? NONE : whole(value, pointer, most);
}

/** A whole number of at most so many bits; 0 where there is none. */
export function bits(value: unknown, pointer: string, count: 8 | 16 | 32): number {
  return value === undefined ? 0 : whole(value, pointer, count === 32 ? U32 : 2 ** count - 1);
}

/** Whole milliseconds as microseconds; `NONE` where there are none. */
export function milliseconds(value: unknown, pointer: string): number {
  return value === undefined ? NONE : whole(value, pointer, Math.floor(LARGEST / 1000)) * 1000;
}

/** 64 bits, as the module takes them. */
export function wide(value: unknown, pointer: string): bigint | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "bigint") return BigInt(whole(value, pointer));
  if (value < 0n) throw new ArgumentError("negative", pointer, `${value} is negative`);
  if (value >= 1n << 64n) throw new ArgumentError("too_large", pointer, `${value} has more than 64 bits`);
  return value;
}

export function flag(value: unknown, pointer: string): boolean {
  if (value === undefined) return false;
  if (typeof value === "boolean") return value;
  throw new ArgumentError("wrong_type", pointer, `true or false is wanted, not ${kind(value)}`);
}

export function text(value: unknown, pointer: string): string {
  if (typeof value === "string") return value;
  throw new ArgumentError("wrong_type", pointer, `a text is wanted, not ${kind(value)}`);
}

/** The place of a name in a list. */
export function named(list: readonly string[], value: unknown, pointer: string): number {
  const place = list.indexOf(value as string);
  if (place < 0) throw new ArgumentError("unknown_name", pointer, `${String(value)} is none of ${list.join(", ")}`);
  return place;
}

export function object(value: unknown, pointer: string): void {
  if (typeof value !== "object" || value === null) {
    throw new ArgumentError("wrong_type", pointer, `an object is wanted, not ${kind(value)}`);
  }
}
