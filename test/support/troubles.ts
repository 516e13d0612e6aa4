/** Trouble of the machine, injected by strace into the operations of a job, one at a time. */
import assert from 'node:assert/strict';
import { disturb, hasHit, inLanes, type Operation, sampleOf, tracedReading } from './operations.ts';
import { type Ended, fixture, run } from './processes.ts';

/** The kinds of trouble, and the calls that each can strike. */
const troubles: [kind: string, injection: string, calls: RegExp][] = [
  ['EIO', 'error=EIO', /./],
  ['EACCES', 'error=EACCES', /^(openat|mkdir|statx|newfstatat|unlink|rename)$/],
  ['EMFILE (too many open files)', 'error=EMFILE', /^openat$/],
  ['ENOMEM', 'error=ENOMEM', /^(openat|read|pread64|statx|mkdir|copy_file_range)$/],
  [
    'ENOSPC (full)',
    'error=ENOSPC',
    /^(openat|mkdir|write|pwrite64|ftruncate|fsync|fdatasync|rename|copy_file_range|ioctl)$/,
  ],
  ['EAGAIN (locked)', 'error=EAGAIN', /^fcntl$/],
];

const lanes = 2;

/** Runs a fixture with one object as its argument, and writes what it does with files to `trace`. */
export function tracedJob(
  trace: string,
  name: string,
  params: object,
  { options = [], env = {} }: { options?: string[]; env?: Record<string, string> } = {},
): Promise<Ended> {
  return run(
    [...tracedReading(trace, ...options), process.execPath, fixture(name), JSON.stringify(params)],
    { env: { UV_THREADPOOL_SIZE: '1', ...env } },
  );
}

export interface Strikes {
  /** About so many of the strikes are tried; all of them in a thorough run. */
  most: number;
  /** Those of an undisturbed run. */
  operations: readonly Operation[];
  /** The folder or file of a lane whose operations are struck, and where its job is traced to. */
  watched: (lane: number) => string;
  trace: (lane: number) => string;
  /** Runs the job with these options of strace, and says what is wrong after it. */
  strike: (lane: number, options: string[]) => Promise<string[]>;
}

/** Strikes the sampled operations by each kind of trouble in turn. */
export async function strikeAll(strikes: Strikes): Promise<void> {
  const { most, operations, watched, trace, strike } = strikes;
  const all = troubles.flatMap(([kind, injection, calls]) =>
    operations
      .filter(({ call }) => calls.test(call))
      .map((operation) => ({ kind, operation, options: disturb(operation, injection) })),
  );
  const wrong: string[] = [];
  let hits = 0;
  // SQLite calls a failed read of the change counter damage: that one is always tried.
  const isOfCounter = ({ kind, operation }: (typeof all)[number]): boolean =>
    kind === 'EIO' && operation.line.includes(', 16, 24)');
  const sampled = new Set([...sampleOf(all, most), ...all.filter(isOfCounter)]);
  await inLanes(lanes, sampled, async ({ kind, operation, options }, lane) => {
    const found = await strike(lane, options);
    if (hasHit(watched(lane), trace(lane))) hits++;
    wrong.push(...found.map((one) => `${one} <- ${kind}: ${operation.line.slice(0, 160)}`));
  });
  assert.deepEqual(wrong, []);
  assert.ok(hits > sampled.size / 2, `only ${hits} of ${sampled.size} were hit`);
}
