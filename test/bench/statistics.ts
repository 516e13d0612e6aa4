export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** The smallest number that is not below `percent` % of all. */
export function percentile(numbers: readonly number[], percent: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? NaN;
}

export interface Pairs {
  ours: number[];
  peer: number[];
}

/** Measures ours, peer, ours, peer …, so that a slow minute of the machine hits both. */
export async function interleave(
  pairs: number,
  ours: () => Promise<number>,
  peer: () => Promise<number>,
): Promise<Pairs> {
  const measured: Pairs = { ours: [], peer: [] };
  for (let pair = 0; pair < pairs; pair++) {
    measured.ours.push(await ours());
    measured.peer.push(await peer());
  }
  return measured;
}
