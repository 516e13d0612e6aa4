/* Large databases on file systems whose files can share blocks, and programs that write in rollback mode meanwhile. */
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { agent } from './agentRows.ts';
import { statesByClone } from './stateRows.ts';
import { interleave } from './statistics.ts';
import { ratioUpTo, type Comparison } from './table.ts';
import { backUp, timeCommand, timeSync, type Workshop } from './workshop.ts';

const gigabyte = 1e9;
const kinds = ['xfs', 'btrfs'] as const;
type Kind = (typeof kinds)[number];

/** Snapshots by clone: the whole job, how long the pin is held, and what fifty of them take on the disk. */
export async function clones(shop: Workshop): Promise<Comparison[]> {
  const rows: Comparison[] = [];
  for (const kind of kinds) {
    await withMount(shop, kind, async (place) => {
      const database = join(place, 'app.db');
      copyFileSync(shop.database(gigabyte), database);
      rows.push(...(await wholeAndPin(shop, kind, database)));
      if (kind !== 'xfs') return;
      rows.push(await fifty(shop, place, database), await waits(shop, place));
      const there = { ...shop, clear: () => emptyFolderIn(place) };
      rows.push(...(await agent(there, { on: ' on xfs', changedMs: 350 })));
      rows.push(...(await statesByClone(there, ' on xfs')));
    });
  }
  return rows;
}

function emptyFolderIn(place: string): Promise<string> {
  const folder = join(place, 'rows');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  return Promise.resolve(folder);
}

/** The longest wait of a program that commits in rollback mode, while a gigabyte is backed up beside it. */
export async function rollback(shop: Workshop): Promise<Comparison[]> {
  return [await waits(shop, await shop.clear(2.4 * gigabyte))];
}

async function wholeAndPin(shop: Workshop, kind: Kind, database: string): Promise<Comparison[]> {
  const folder = join(database, '../backups');
  const clear = (): string => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    execFileSync('sync', ['-f', folder]);
    return folder;
  };
  // A program that has it open: else the last close of a backup would remove the WAL's index, and with it the lock to see.
  const open = new Database(database);
  open.prepare('SELECT count(*) FROM log').get();
  const held: number[] = [];
  const pairs = await interleave(
    shop.pairs,
    async () => {
      const watch = watchLocks(`${database}-shm`);
      const ms = await backUp(shop, database, clear(), { method: 'exact', verify: false });
      held.push(await watch.longestMs());
      return ms;
    },
    async () => {
      const copy = join(clear(), 'peer.db');
      return (
        (await timeCommand(shop, 'sqlite3', database, `.backup '${copy}'`)) + (await timeSync(copy))
      );
    },
  );
  open.close();
  const seconds = {
    ours: pairs.ours.map((ms) => ms / 1000),
    peer: pairs.peer.map((ms) => ms / 1000),
  };
  return [
    {
      ...seconds,
      unit: 's',
      what: `exact, 1 GB on ${kind}, not verified (hashed)`,
      against: 'sqlite3 .backup + sync',
      aim: ratioUpTo(0.6),
    },
    {
      ...{ ours: held, peer: pairs.peer, unit: 'ms' },
      what: `its pin, seen in the locks of the system every ms (${kind})`,
      against: 'sqlite3 .backup + sync',
      aim: { text: '<= 100 ms', isMet: (ours) => ours <= 100 },
    },
  ];
}

async function fifty(shop: Workshop, place: string, database: string): Promise<Comparison> {
  const folder = join(place, 'fifty');
  const before = usedMegabytes(place);
  for (let number = 0; number < 50; number++)
    await backUp(shop, database, folder, { method: 'exact', verify: false });
  const used = usedMegabytes(place) - before;
  rmSync(folder, { recursive: true });
  return {
    ...{ ours: [used], peer: [(50 * statSync(database).size) / 1e6], unit: 'MB' },
    what: 'disk that fifty snapshots of an unchanged 1 GB database take (xfs)',
    against: 'their sizes',
    aim: { text: '< 200 MB', isMet: (ours) => ours < 200 },
  };
}

async function waits(shop: Workshop, place: string): Promise<Comparison> {
  const database = join(place, 'rollback.db');
  copyFileSync(shop.database(gigabyte), database);
  const db = new Database(database);
  db.pragma('journal_mode = delete');
  db.close();
  const writer = fork(join(import.meta.dirname, 'processes/writer.ts'), [database, 'FULL'], {
    execArgv: [],
  });
  const longestWait = async (action: () => Promise<unknown>): Promise<number> => {
    await sleep(500);
    await latenciesOf(writer);
    await action();
    return Math.max(...(await latenciesOf(writer)));
  };
  const folder = join(place, 'waits');
  const clear = (): string => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    return folder;
  };
  try {
    const pairs = await interleave(
      shop.pairs,
      () => longestWait(() => backUp(shop, database, clear(), { method: 'exact', verify: false })),
      () => {
        const copy = join(clear(), 'peer.db');
        const script = join(import.meta.dirname, 'processes/pagewise.ts');
        return longestWait(() => timeCommand(shop, process.execPath, script, database, copy));
      },
    );
    const onXfs =
      execFileSync('stat', ['-f', '-c', '%T', place], { encoding: 'utf8' }).trim() === 'xfs';
    return {
      ...pairs,
      unit: 'ms',
      what: `longest wait of a program that commits in rollback mode, 1 GB${onXfs ? ' on xfs' : ''}`,
      against: 'SQLite page by page, under one lock',
      aim: onXfs ? { text: '< 150 ms', isMet: (ours) => ours < 150 } : ratioUpTo(1 / 3),
    };
  } finally {
    writer.kill('SIGKILL');
    if (writer.exitCode === null && writer.signalCode === null) await once(writer, 'exit');
    rmSync(folder, { recursive: true, force: true });
    rmSync(database);
  }
}

async function latenciesOf(writer: ReturnType<typeof fork>): Promise<number[]> {
  writer.send('latencies');
  const [latencies] = (await once(writer, 'message')) as [number[]];
  return latencies;
}

/** Looks each millisecond whether another process has a lock on one of the five marks of readers. */
function watchLocks(index: string): { longestMs: () => Promise<number> } {
  const { ino } = statSync(index);
  const own = String(process.pid);
  let longest = 0;
  let since: number | undefined;
  let isDone = false;
  const look = async (): Promise<void> => {
    while (!isDone) {
      const isHeld = readFileSync('/proc/locks', 'utf8')
        .split('\n')
        .some((line) => {
          const [, , , , pid, file = '', from] = line.trim().split(/\s+/);
          return (
            pid !== own && file.endsWith(`:${ino}`) && Number(from) >= 123 && Number(from) <= 127
          );
        });
      const now = performance.now();
      if (isHeld) longest = Math.max(longest, now - (since ??= now));
      else since = undefined;
      await sleep(1);
    }
  };
  const looking = look();
  return {
    longestMs: async () => {
      isDone = true;
      await looking;
      return longest;
    },
  };
}

function usedMegabytes(place: string): number {
  execFileSync('sync', ['-f', place]);
  const shown = execFileSync('df', ['-B1', '--output=used', place], { encoding: 'utf8' });
  return Number(shown.split('\n')[1]) / 1e6;
}

/** A file system in a file of the workshop. Only root on Linux can mount one: elsewhere its rows are not run. */
async function withMount(
  shop: Workshop,
  kind: Kind,
  action: (place: string) => Promise<void>,
): Promise<void> {
  const folder = await shop.clear(2.4 * gigabyte);
  const [image, place] = [join(folder, 'image'), join(folder, 'mount')];
  try {
    writeFileSync(image, '');
    truncateSync(image, 8 * gigabyte);
    execFileSync(`mkfs.${kind}`, ['-q', '-f', image], { stdio: 'ignore' });
    mkdirSync(place);
    execFileSync('mount', ['-o', 'loop', image, place], { stdio: 'ignore' });
  } catch {
    shop.say(`Not run: the rows on ${kind}, which need root on Linux and mkfs.${kind}.`);
    return;
  }
  try {
    await action(place);
  } finally {
    execFileSync('umount', ['-l', place]);
  }
}
