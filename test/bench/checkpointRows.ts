import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CheckpointRequest } from '../../src/core/checkpoint/checkpoint.ts';
import { readStamp } from '../../src/core/checkpoint/stamp.ts';
import { ResidentClient } from '../../src/worker/residentClient.ts';
import { readAddress } from '../../src/worker/residentProtocol.ts';
import type { Comparison } from './table.ts';
import { timeCommand, type Workshop } from './workshop.ts';

/** Checkpoints of databases that a program has open, as it is while people work: in the resident worker, and by the command line. */
export async function checkpoint(shop: Workshop): Promise<Comparison[]> {
  const folder = await shop.clear();
  mkdirSync(join(folder, 'data'));
  process.env['XDG_DATA_HOME'] = join(folder, 'data');
  const client = new ResidentClient({ entry: shop.program('worker.cjs') });
  try {
    const rows: Comparison[] = [];
    for (const [what, sizes] of [
      ['3 x 8 MB', [8e6, 8e6, 8e6]],
      ['100 MB', [100e6]],
    ] as const) {
      const databases = sizes.map((size, index) => {
        const path = join(folder, `${size / 1e6}MB-${index}.db`);
        copyFileSync(shop.database(size), path);
        return path;
      });
      const inResident: number[] = [];
      const byCommand: number[] = [];
      const unchanged: number[] = [];
      const stamps: number[] = [];
      const call = (): ReturnType<typeof client.call<'checkpoint'>> =>
        client.call('checkpoint', requestFor(databases));
      await call();
      for (let pair = 0; pair < shop.pairs; pair++) {
        change(databases);
        inResident.push(await timed(call));
        // Until the times of the files are old enough to be trusted, the content is compared.
        await new Promise((wake) => setTimeout(wake, 2100));
        await call();
        unchanged.push(await timed(call));
        const readAll = (): void => void databases.map((path) => readStamp(path));
        stamps.push(await timed(() => Promise.resolve().then(readAll)));
        change(databases);
        const args = ['checkpoint', ...databases];
        byCommand.push(await timeCommand(shop, process.execPath, shop.program('cli.js'), ...args));
      }
      const against = 'the same by the command line';
      const aim =
        what === '100 MB' ? {} : { aim: { text: '< 150 ms', isMet: (ours: number) => ours < 150 } };
      rows.push(
        {
          ...{ what: `checkpoint in the resident worker, ${what}`, against, unit: 'ms', ...aim },
          ...{ ours: inResident, peer: byCommand },
        },
        {
          ...{ what: `the same, unchanged`, against, unit: 'ms' },
          ...{ ours: unchanged, peer: byCommand },
        },
        {
          ...{ what: 'their stamps alone', against, unit: 'ms', ours: stamps, peer: byCommand },
          aim: { text: '< 4 ms each', isMet: (ours: number) => ours < 4 * databases.length },
        },
      );
    }
    return rows;
  } finally {
    const pid = readAddress()?.pid;
    client.dispose();
    if (pid !== undefined) process.kill(pid);
  }
}

async function timed(action: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await action();
  return performance.now() - startedAt;
}

function change(databases: readonly string[]): void {
  for (const path of databases)
    execFileSync('sqlite3', [
      path,
      'PRAGMA user_version = 1; CREATE TABLE IF NOT EXISTS changes (at); INSERT INTO changes VALUES (random())',
    ]);
}

function requestFor(databases: readonly string[]): CheckpointRequest {
  return {
    databases: databases.map((database) => ({ database, recordAs: { path: database } })),
    ...{ cause: { kind: 'manual' }, trigger: 'manual', force: false },
    ...{ busyTimeoutMs: 5000, largestBytes: 1e9, largestTotalBytes: 2e9, toolVersion: '0' },
  };
}
