import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';

const calls =
  'openat,link,linkat,unlink,unlinkat,rmdir,mkdir,rename,write,pwrite64,fsync,fdatasync,ftruncate,chmod,fchmod,chown';

/** What looks at files, reads them, and locks them. */
const readingCalls = 'read,pread64,statx,newfstatat,fcntl,ioctl,copy_file_range,getdents64';

export interface Operation {
  call: string;
  /** Which of these calls of its thread it is, from 1. */
  nth: number;
  line: string;
}

/** The prefix that writes what a command does with files to `trace`, and injects what `options` say. */
export function traced(trace: string, ...options: string[]): string[] {
  // Quicker by half, but strace then delivers no signals.
  const quick = options.some((option) => option.includes('signal=')) ? [] : ['--seccomp-bpf'];
  return ['strace', '-f', '-y', ...quick, '-o', trace, '-e', `trace=${calls}`, ...options];
}

/** The same with all that looks at files and reads them. */
export function tracedReading(trace: string, ...options: string[]): string[] {
  const both = `trace=${calls},${readingCalls}`;
  return ['strace', '-f', '-y', '--seccomp-bpf', '-o', trace, '-e', both, ...options];
}

/** What makes the nth of these calls fail, or kills the process there. */
export function disturb({ call, nth }: Operation, injection: string): string[] {
  return ['-e', `inject=${call}:${injection}:when=${nth}`];
}

/** All operations on `folder`, in their order: those of the main thread, or with `threads` of all, each once. */
export function operationsOn(
  folder: string,
  trace: string,
  { threads = false, atLeast = 20 } = {},
): Operation[] {
  const lines = readFileSync(trace, 'utf8').split('\n');
  const main = lines[0]?.split(' ')[0];
  const counts = new Map<string, number>();
  const known = new Set<string>();
  const found: Operation[] = [];
  for (const line of lines) {
    const [, pid, call] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
    if (call === undefined || (pid !== main && !threads)) continue;
    const nth = (counts.get(`${pid} ${call}`) ?? 0) + 1;
    counts.set(`${pid} ${call}`, nth);
    if (!line.includes(folder) || known.has(`${nth} ${call}`)) continue;
    known.add(`${nth} ${call}`);
    found.push({ call, nth, line });
  }
  assert.ok(found.length > atLeast, `${found.length} operations`);
  return found;
}

/** Those of them that change something. */
export function changesOn(...args: Parameters<typeof operationsOn>): Operation[] {
  return operationsOn(...args).filter(
    ({ call, line }) => call !== 'openat' || line.includes('O_CREAT'),
  );
}

/**
 * Whether what was injected has hit an operation on `folder`. Which of its own pipes Node writes to in between differs
 * from run to run, and when one of those is hit, Node ends itself.
 */
export function hasHit(folder: string, trace: string): boolean {
  const begun = new Map<string, string>();
  for (const line of readFileSync(trace, 'utf8').split('\n')) {
    const [thread = ''] = line.split(' ');
    // A call is in two lines when another thread did something between its beginning and its end.
    const whole = line.includes('resumed>') ? `${begun.get(thread)} ${line}` : line;
    if (line.includes('<unfinished ...>')) begun.set(thread, line);
    if (whole.includes('(INJECTED)') && whole.includes(folder)) return true;
  }
  return false;
}

/** Runs `action` on all items, one in each lane at a time: 0, 1 … Jobs are processes, so as many run side by side. */
export async function inLanes<T>(
  lanes: number,
  items: Iterable<T>,
  action: (item: T, lane: number) => Promise<void>,
): Promise<void> {
  const rest = [...items].values();
  const work = async (lane: number): Promise<void> => {
    for (const item of rest) await action(item, lane);
  };
  await Promise.all(Array.from({ length: lanes }, (_none, lane) => work(lane)));
}

/** True with FAULTS=all in the environment: then nothing is sampled and nothing that takes minutes is left out. */
export const isThorough = process.env['FAULTS'] === 'all';

/** What is for its part of the run alone: `npm test` goes without it, and takes a third of each sample. */
const isForPart = process.env['TEST_ESSENTIALS'] === undefined || isThorough;

/**
 * A test that `npm test` leaves to its part of the run (`npm run test:browser`, `test:extension`, `test:unit`), and to the
 * workflow. A window keeps a core busy for fifteen seconds before it is of use.
 */
export function itInPart(title: string, test: (this: Mocha.Context) => unknown): void {
  if (isForPart) it(title, test as Mocha.AsyncFunc);
  else it.skip(title, test as Mocha.AsyncFunc);
}

/** `it` for what `npm test` shows too, `itInPart` for variations of it. */
export function itWhere(isMain: boolean): typeof itInPart {
  return isMain ? (title, test) => void it(title, test as Mocha.AsyncFunc) : itInPart;
}

/** A test that takes minutes, or wants what only some machines have: it runs with FAULTS=all in the environment. */
export function itThorough(title: string, test: (this: Mocha.Context) => unknown): void {
  (isThorough ? it : it.skip)(title, test as Mocha.AsyncFunc);
}

/** About `most` items, evenly spread; all of them with FAULTS=all in the environment, a third of them in `npm test`. */
export function sampleOf<T>(items: readonly T[], most: number): T[] {
  const step = isThorough ? 1 : Math.max(1, items.length / Math.ceil(isForPart ? most : most / 3));
  return sampled(items, (index) => Math.floor(index / step) !== Math.floor((index - 1) / step));
}

/** Every nth item, from `offset` on; all of them in a thorough run. */
export function everyNth<T>(items: readonly T[], n: number, offset: number): T[] {
  return sampled(items, (index) => isThorough || index % n === offset);
}

/** All items; the nth of them alone in `npm test`, counted round and round, for what goes through them again and again. */
export function essentially<T>(items: readonly T[], n: number): T[] {
  return sampled(items, (index) => isForPart || index === n % items.length);
}

/** Every nth item of a long sweep, of which `npm test` takes a sixth as many. */
export function everyNthOfMany<T>(items: readonly T[], n: number, offset: number): T[] {
  return everyNth(items, isForPart ? n : 6 * n, offset);
}

/** How far to go from one place to the next in a sweep whose end is not known: `npm test` goes `n` at once. */
export function strideOf(n: number): number {
  if (isForPart) return 1;
  leaveOut(n - 1);
  return n;
}

/** The run of all tests says at its end how many items its samples left out. */
function sampled<T>(items: readonly T[], isTaken: (index: number) => boolean): T[] {
  const taken = items.filter((_item, index) => isTaken(index));
  leaveOut(items.length - taken.length);
  return taken;
}

function leaveOut(leftOut: number): void {
  const { TEST_TALLY: file, TEST_SUITE: suite } = process.env;
  if (file !== undefined && leftOut > 0) {
    appendFileSync(file, `${JSON.stringify({ suite, leftOut })}\n`);
  }
}
