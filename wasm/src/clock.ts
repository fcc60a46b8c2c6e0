/** The gate's clock and its one timer. */

/** The engine's origin lies at least so long before the first moment: what a snapshot counted needs a past to lie in. */
const PAST_US = 24 * 60 * 60 * 1e6;

/** Timers of browsers and of Node take no more than this. */
const LONGEST_MS = 2 ** 31 - 1;

/** How much before its time a timer may seem to fire, because clocks are coarse. */
const COARSE_US = 2000;

interface Timer {
  ref?(): void;
  unref?(): void;
}

/** Microseconds since the Unix epoch, by the system's clock at the start and by the monotonic one from then on. */
export class Clock {
  #zero = performance.now();
  #start = Math.max(Math.floor(Date.now() * 1000), PAST_US);
  #timer: Timer | undefined;
  /** When the timer fires; `Infinity` without one. */
  #armed = Infinity;
  /** It may fire, and nobody waits for it. */
  #idle = false;
  readonly #wake: () => void;

  constructor(wake: () => void) {
    this.#wake = wake;
  }

  now(): number {
    return this.#start + Math.floor((performance.now() - this.#zero) * 1000);
  }

  /** Wants to be woken at a time; below zero, not at all. Whoever asks again only ever has one timer. */
  arm(at: number): void {
    if (at < 0) {
      // Not cleared: the next call comes soon, and setting timers is what would cost most. It holds no process up.
      if (this.#timer !== undefined && !this.#idle) {
        this.#idle = true;
        this.#timer.unref?.();
      }
      return;
    }
    if (this.#idle) {
      this.#idle = false;
      this.#timer?.ref?.();
    }
    if (at < this.#armed) this.#set(at);
  }

  stop(): void {
    clearTimeout(this.#timer as ReturnType<typeof setTimeout>);
    this.#timer = undefined;
    this.#armed = Infinity;
  }

  #set(at: number): void {
    clearTimeout(this.#timer as ReturnType<typeof setTimeout>);
    const wait = Math.min(Math.max(Math.ceil((at - this.now()) / 1000), 0), LONGEST_MS);
    const from = Date.now();
    this.#armed = at;
    this.#timer = setTimeout(() => this.#fire(wait < LONGEST_MS && Date.now() - from >= wait ? at : 0), wait) as Timer;
  }

  /** `passed` is what the system's clock says to have reached. */
  #fire(passed: number): void {
    this.#timer = undefined;
    this.#armed = Infinity;
    // Fake timers of tests move the system's clock and not always the monotonic one. It follows, and is never set back. Where
    // both are coarse, as in browsers that hide the time, both seem to be early and nothing is moved.
    const ahead = passed - this.now();
    if (ahead > COARSE_US) this.#start += ahead;
    if (!this.#idle) this.#wake();
    this.#idle = false;
  }
}
