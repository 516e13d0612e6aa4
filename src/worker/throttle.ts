import type { Progress } from '../core/job.ts';

const intervalMs = 50;

/** Passes on the first report of each phase, its last one, and between them one every 50 ms. */
export function throttleProgress(
  report: (progress: Progress) => void,
): (progress: Progress) => void {
  let lastAt = -Infinity;
  let lastPhase: Progress['phase'] | undefined;
  return (progress) => {
    const now = performance.now();
    const due = progress.phase !== lastPhase || progress.doneBytes >= progress.totalBytes;
    if (!due && now - lastAt < intervalMs) return;
    lastAt = now;
    lastPhase = progress.phase;
    report(progress);
  };
}
