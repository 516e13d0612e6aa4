import { setTimeout as sleep } from 'node:timers/promises';
import { askedLimits, printResult, takeAll } from './checkpoint.ts';
import { databasesHere } from './find.ts';
import { exitCodes, parse, UsageError, type Verb } from './verb.ts';

export const watch: Verb = {
  examples: ['watch --every 15m', 'watch data/app.db --every 1h --quiet'],
  summary: 'Take a checkpoint of each changed database at regular intervals, until stopped.',
  usage: 'watch [DATABASE…] --every TIME [--checkpoints DIR] [--max-size SIZE]',
  async run(args, context) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: {
        every: { type: 'string' },
        checkpoints: { type: 'string' },
        'max-size': { type: 'string' },
      },
    });
    const everyMs = durationOf(values.every);
    const limits = askedLimits(values);
    let isGood = true;
    while (!context.signal.aborted) {
      const startedAt = Date.now();
      const databases = positionals.length > 0 ? positionals : await databasesHere(context);
      const cause = { kind: 'schedule', text: `every ${values.every}` };
      const result = await takeAll(databases, { cause, ...limits }, context);
      if (context.signal.aborted) break;
      // What is unchanged is no news.
      printResult({ ...result, unchanged: [] }, context);
      isGood = result.failures.length === 0;
      await untilDue(startedAt);
    }
    return isGood ? exitCodes.ok : exitCodes.failed;

    /** Looks at the clock again and again: a timer stands still while the machine sleeps. */
    async function untilDue(startedAt: number): Promise<void> {
      for (;;) {
        const ms = restOf(everyMs, startedAt, Date.now());
        if (ms === 0 || context.signal.aborted) return;
        await sleep(ms, undefined, { signal: context.signal }).catch(() => undefined);
      }
    }
  },
};

/** How long to sleep before the next look at the clock, 0 when it is time: also after the clock went back. */
export function restOf(everyMs: number, startedAt: number, now: number): number {
  const leftMs = startedAt + everyMs - now;
  return now < startedAt || leftMs <= 0 ? 0 : Math.min(longestNapMs, leftMs);
}

const longestNapMs = 30_000;
const units: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function durationOf(text: string | undefined): number {
  const [, number = '', unit = ''] = /^(\d+)([smhd])$/.exec(text ?? '') ?? [];
  const ms = Number(number) * (units[unit] ?? 0);
  if (ms > 0) return ms;
  throw new UsageError(
    `--every takes a time such as 15m, 1h or 1d${text === undefined ? '' : `, not ${text}`}.`,
  );
}
