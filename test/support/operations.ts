import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

const calls =
  'openat,link,linkat,unlink,unlinkat,rmdir,mkdir,rename,write,pwrite64,fsync,fdatasync,ftruncate';

export interface Operation {
  call: string;
  /** Which of these calls of the main thread it is, from 1. */
  nth: number;
  line: string;
}

/** The prefix that writes what a command does with files to `trace`, and injects what `options` say. */
export function traced(trace: string, ...options: string[]): string[] {
  return ['strace', '-f', '-y', '-o', trace, '-e', `trace=${calls}`, ...options];
}

/** All operations of the main thread on `folder`, in their order. */
export function operationsOn(folder: string, trace: string): Operation[] {
  const lines = readFileSync(trace, 'utf8').split('\n');
  const main = lines[0]?.split(' ')[0];
  const counts = new Map<string, number>();
  const found: Operation[] = [];
  for (const line of lines) {
    const [, pid, call] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
    if (call === undefined || pid !== main) continue;
    const nth = (counts.get(call) ?? 0) + 1;
    counts.set(call, nth);
    if (line.includes(folder)) found.push({ call, nth, line });
  }
  assert.ok(found.length > 20, `${found.length} operations`);
  return found;
}

/**
 * Whether what was injected has hit an operation on `folder`. Which of its own pipes Node writes to in between differs
 * from run to run, and when one of those is hit, Node ends itself.
 */
export function hasHit(folder: string, trace: string): boolean {
  const lines = readFileSync(trace, 'utf8').split('\n');
  return lines.some((line) => line.includes('(INJECTED)') && line.includes(folder));
}
