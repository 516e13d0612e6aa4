export interface Pace {
  /** From now on other programs need the disk and the processor too. */
  gently: boolean;
}

const nobodyWakes = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Blocks this thread for `ms`, as SQLite's own waiting for locks does. */
export function pause(ms: number): void {
  Atomics.wait(nobodyWakes, 0, 0, ms);
}

const breathMs = 0.2;
/** Where waiting takes 15 ms at least, it is no breath. */
const canBreathe = process.platform !== 'win32';

/**
 * Leaves the processor to the processes that wait for it. A thread that computes without a pause is only interrupted at the next
 * tick of the system's scheduler, and a program that has waited for the disk for half a millisecond waits four for that.
 */
export function breathe(): void {
  if (canBreathe) pause(breathMs);
}
