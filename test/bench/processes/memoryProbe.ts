// The worker, which at its end writes its largest memory to the file named by BENCH_MEMORY, in bytes.
import { readFileSync, writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import '../../../src/worker/main.ts';

/** Of this program alone: what `resourceUsage` says on Linux includes the parent at the time of the fork. */
function largestBytes(): number {
  try {
    const [, kilobytes] =
      /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return Number(kilobytes) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

if (isMainThread) {
  process.on('exit', () =>
    writeFileSync(process.env['BENCH_MEMORY'] ?? '', String(largestBytes())),
  );
}
