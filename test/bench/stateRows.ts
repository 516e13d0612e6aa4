import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RestoreBaselineRequest } from '../../src/core/states/baseline.ts';
import { ResidentClient } from '../../src/worker/residentClient.ts';
import { readAddress } from '../../src/worker/residentProtocol.ts';
import { interleave } from './statistics.ts';
import type { Comparison } from './table.ts';
import { timeCommand, timeSync, type Workshop } from './workshop.ts';

/** States of databases that are put back by the command line: a baseline, and those of a branch. The aims are for a quiet machine. */
export async function states(shop: Workshop): Promise<Comparison[]> {
  const folder = await emptyFolder(shop);
  return [
    await baseline(shop, folder),
    await baselineInResident(shop, folder),
    await branches(shop, folder),
  ];
}

/** The same where files can share blocks. */
export async function statesByClone(shop: Workshop, on: string): Promise<Comparison[]> {
  const folder = await emptyFolder(shop);
  return [
    await baseline(shop, folder, { on, aimMs: 300 }),
    await baselineInResident(shop, folder, { on, aimMs: 50 }),
    await branches(shop, folder, { on, aimMs: 1000 }),
  ];
}

async function emptyFolder(shop: Workshop): Promise<string> {
  const folder = await shop.clear();
  process.env['XDG_DATA_HOME'] = join(folder, 'data');
  process.env['SQLITE_BACKUP_CHECKPOINTS'] = join(folder, 'checkpoints');
  return folder;
}

async function baseline(
  shop: Workshop,
  folder: string,
  { on = '', aimMs = 500 } = {},
): Promise<Comparison> {
  const path = join(folder, 'test.db');
  copyFileSync(shop.database(100e6), path);
  const cli = (...args: string[]): Promise<number> =>
    timeCommand(shop, process.execPath, shop.program('cli.js'), ...args);
  await cli('checkpoint', path, '--baseline', 'seeded');
  const [ours, peer]: [number[], number[]] = [[], []];
  for (let pair = 0; pair < shop.pairs; pair++) {
    change(path);
    ours.push(await cli('restore', '--baseline', 'seeded', path, '--yes', '--discard'));
    peer.push(await timeCommand(shop, 'cp', shop.database(100e6), `${path}.copy`));
  }
  return {
    ...{ what: `a baseline of 100 MB put back, whole command${on}`, against: 'cp', unit: 'ms' },
    ...{ ours, peer, aim: { text: `< ${aimMs} ms`, isMet: (ms) => ms < aimMs } },
  };
}

/** From the request to the answer. On a file system without clones the bytes have to reach the disk, which sets the time. */
async function baselineInResident(
  shop: Workshop,
  folder: string,
  { on = '', aimMs }: { on?: string; aimMs?: number } = {},
): Promise<Comparison> {
  const path = join(folder, 'test.db');
  const client = new ResidentClient({ entry: shop.program('worker.cjs') });
  const request: RestoreBaselineRequest = {
    ...{ name: 'seeded', items: [{ target: path, recordAs: { path: 'test.db' } }], discard: true },
    taking: {
      ...{ checkpoints: join(folder, 'checkpoints'), cause: { kind: 'baseline' } },
      ...{ trigger: 'task', busyTimeoutMs: 1000, largestBytes: 1e9, largestTotalBytes: 1e10 },
      toolVersion: 'bench',
    },
  };
  const restore = async (): Promise<number> => {
    change(path);
    // The run of a test suite lies between two restores: meanwhile the worker has made ready what the next one needs.
    await sleep(1000);
    const startedAt = performance.now();
    await client.call('restoreBaseline', request);
    return performance.now() - startedAt;
  };
  try {
    // The first one finds nothing that is warm.
    await restore();
    const pairs = await interleave(shop.pairs, restore, async () => {
      const copy = `${path}.copy`;
      return (await timeCommand(shop, 'cp', path, copy)) + (await timeSync(copy));
    });
    return {
      ...{ what: `the same in the resident worker${on}`, against: 'cp + sync', unit: 'ms' },
      ...pairs,
      ...(aimMs !== undefined && {
        aim: { text: `< ${aimMs} ms`, isMet: (ms: number) => ms < aimMs },
      }),
    };
  } finally {
    const pid = readAddress()?.pid;
    client.dispose();
    if (pid !== undefined) process.kill(pid);
  }
}

async function branches(
  shop: Workshop,
  folder: string,
  { on = '', aimMs = 3000 } = {},
): Promise<Comparison> {
  const repository = join(folder, 'repository');
  mkdirSync(repository);
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', repository, '-c', 'user.name=A', '-c', 'user.email=a@b', ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  git('init', '-q', '-b', 'main');
  writeFileSync(join(repository, '.gitignore'), '*.db*\n');
  git('add', '.');
  git('commit', '-qm', 'first');
  const paths = [1, 2, 3].map((number) => join(repository, `${number}.db`));
  for (const path of paths) copyFileSync(shop.database(100e6), path);
  execFileSync(process.execPath, [shop.program('cli.js'), 'git', 'install'], { cwd: repository });
  git('switch', '-qc', 'other');
  // Both ways, and with another schema each time: what lies there has to be kept, and the other state has to come back.
  let at = 'other';
  const changeAll = (table: string): void => {
    for (const path of paths) execFileSync('sqlite3', [path, `CREATE TABLE ${table} (n)`]);
  };
  const switchOver = (): Promise<number> => {
    at = at === 'other' ? 'main' : 'other';
    return timeCommand(shop, 'git', '-C', repository, 'switch', '-q', at);
  };
  // Neither branch has a state before it was left once.
  for (const table of ['first', 'second']) {
    changeAll(table);
    await switchOver();
  }
  const [ours, peer]: [number[], number[]] = [[], []];
  for (let pair = 0; pair < shop.pairs; pair++) {
    const table = `pair_${pair}`;
    changeAll(table);
    ours.push(await switchOver());
    for (const path of paths)
      if (execFileSync('sqlite3', [path, '.tables'], { encoding: 'utf8' }).includes(table))
        throw new Error(`${path} did not follow the branch.`);
    peer.push(await timeCommand(shop, 'cp', ...paths, join(folder, 'checkpoints')));
  }
  return {
    ...{ what: `a switch of the branch with 3 x 100 MB${on}`, against: 'cp', unit: 'ms' },
    ...{ ours, peer, aim: { text: `< ${aimMs / 1000} s`, isMet: (ms) => ms < aimMs } },
  };
}

function change(path: string): void {
  execFileSync('sqlite3', [
    path,
    'CREATE TABLE IF NOT EXISTS changes (at); INSERT INTO changes VALUES (random())',
  ]);
}
