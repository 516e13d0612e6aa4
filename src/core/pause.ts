export interface Pace {
  /** From now on other programs need the disk and the processor too. */
  gently: boolean;
}

const nobodyWakes = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Blocks this thread for `ms`, as SQLite's own waiting for locks does. */
export function pause(ms: number): void {
  Atomics.wait(nobodyWakes, 0, 0, ms);
}
