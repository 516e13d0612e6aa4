import { join } from 'node:path';
import { interleave, type Pairs } from './statistics.ts';
import { ratioUpTo, type Comparison } from './table.ts';
import { backUp, timeCommand, timeSync, type Workshop } from './workshop.ts';

const gigabyte = 1e9;
/** For a copy of it, and what belongs to that. */
const wanted = 1.2 * gigabyte;

/** Exact, without the check, against the tool people would use instead. */
export async function exact(shop: Workshop): Promise<Comparison[]> {
  const database = shop.database(gigabyte);
  const pairs = await interleave(
    shop.pairs,
    async () =>
      backUp(shop, database, await shop.clear(wanted), { method: 'exact', verify: false }),
    async () => timeBackupCommand(shop, database, join(await shop.clear(wanted), 'peer.db')),
  );
  return [
    {
      ...inSeconds(pairs),
      what: 'exact, 1 GB, not verified (hashed)',
      against: 'sqlite3 .backup + sync',
      aim: ratioUpTo(0.75),
    },
  ];
}

/** Exact with the check: against the copy alone, and against the same work done by commands one after another. */
export async function verified(shop: Workshop): Promise<Comparison[]> {
  const database = shop.database(gigabyte);
  const copyAlone: number[] = [];
  const { ours, peer } = await interleave(
    shop.pairs,
    async () => backUp(shop, database, await shop.clear(wanted), { method: 'exact', verify: true }),
    async () => {
      const copy = join(await shop.clear(wanted), 'peer.db');
      const copyMs = await timeBackupCommand(shop, database, copy);
      copyAlone.push(copyMs);
      const checkMs = await timeCommand(shop, 'sqlite3', copy, 'PRAGMA integrity_check');
      return copyMs + checkMs + (await timeCommand(shop, 'sha256sum', copy));
    },
  );
  const what = 'exact, 1 GB, verified';
  return [
    { ...inSeconds({ ours, peer: copyAlone }), what, against: 'sqlite3 .backup + sync' },
    {
      ...inSeconds({ ours, peer }),
      what,
      against: '.backup + sync, integrity_check, sha256sum',
      aim: ratioUpTo(0.45),
    },
  ];
}

export async function compact(shop: Workshop): Promise<Comparison[]> {
  const database = shop.database(gigabyte);
  const pairs = await interleave(
    shop.pairs,
    async () =>
      backUp(shop, database, await shop.clear(wanted), { method: 'compact', verify: false }),
    async () => {
      const copy = join(await shop.clear(wanted), 'peer.db');
      const ms = await timeCommand(shop, 'sqlite3', database, `VACUUM INTO '${copy}'`);
      return ms + (await timeSync(copy));
    },
  );
  return [
    {
      ...inSeconds(pairs),
      what: 'compact, 1 GB, not verified (hashed)',
      against: 'sqlite3 VACUUM INTO + sync',
      aim: ratioUpTo(1.1),
    },
  ];
}

/** Whether hashing on a second thread pays. */
export async function hash(shop: Workshop): Promise<Comparison[]> {
  const database = shop.database(gigabyte);
  const job = async (when: 'beside' | 'after'): Promise<number> =>
    timeCommand(
      shop,
      process.execPath,
      shop.program('hashJob.mjs'),
      database,
      await shop.clear(wanted),
      when,
    );
  const pairs = await interleave(
    shop.pairs,
    () => job('beside'),
    () => job('after'),
  );
  return [
    {
      ...inSeconds(pairs),
      what: 'exact, 1 GB, verified, hashed beside the check',
      against: 'hashed after the check',
    },
  ];
}

/** The command line from start to end, checks included: two processes of Node.js start one after the other. */
export async function small(shop: Workshop): Promise<Comparison[]> {
  const database = shop.database(10e6);
  const pairs = await interleave(
    shop.pairs,
    async () =>
      timeCommand(
        shop,
        process.execPath,
        shop.program('cli.js'),
        ...['back-up', database, '--to', await shop.clear()],
      ),
    async () => timeBackupCommand(shop, database, join(await shop.clear(), 'peer.db')),
  );
  return [
    {
      ...inSeconds(pairs),
      what: 'command line, 10 MB, verified, start to finish',
      against: 'sqlite3 .backup + sync',
      aim: { text: '< 1 s', isMet: (ours) => ours < 1 },
    },
  ];
}

/** What no backup can be faster than here. */
export async function floor(shop: Workshop): Promise<Comparison[]> {
  const database = shop.database(gigabyte);
  const pairs = await interleave(
    shop.pairs,
    async () => {
      const copy = join(await shop.clear(wanted), 'floor.db');
      return (await timeCommand(shop, 'cp', database, copy)) + (await timeSync(copy));
    },
    async () => timeBackupCommand(shop, database, join(await shop.clear(wanted), 'peer.db')),
  );
  return [
    {
      ...inSeconds(pairs),
      what: 'cp + sync, 1 GB (not ours: the floor)',
      against: 'sqlite3 .backup + sync',
      note: 'cp is no backup of a database in use; where the file system can share blocks, it copies nothing.',
    },
  ];
}

async function timeBackupCommand(shop: Workshop, database: string, to: string): Promise<number> {
  const ms = await timeCommand(shop, 'sqlite3', database, `.backup '${to}'`);
  return ms + (await timeSync(to));
}

function inSeconds({ ours, peer }: Pairs): Pairs & Pick<Comparison, 'unit'> {
  const seconds = (ms: number): number => ms / 1000;
  return { ours: ours.map(seconds), peer: peer.map(seconds), unit: 's' };
}
