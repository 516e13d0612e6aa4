/* How quick the views and the preview of a restore are, with more than anybody should have. */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { Catalogs } from '../../src/editor/catalogs.ts';
import { WorkerClient } from '../../src/worker/client.ts';
import { snapshotRequest } from './request.ts';
import { interleave } from './statistics.ts';
import type { Comparison } from './table.ts';
import { timeCommand, type Workshop } from './workshop.ts';

const backups = 10_000;
const files = 100_000;
const databases = 200;

const atMost = (ms: number): NonNullable<Comparison['aim']> => ({
  text: `<= ${ms} ms`,
  isMet: (ours) => ours <= ms,
});

async function timed(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await action();
  return performance.now() - start;
}

/** A folder with thousands of backups: read for the first time, again when nothing has changed, and when one has. */
export async function list(shop: Workshop): Promise<Comparison[]> {
  const worker = new WorkerClient({ entry: shop.program('worker.cjs') });
  const folder = await manyBackups(shop, worker);
  const catalogs = new Catalogs(worker, {
    error: (text, error) => {
      throw new Error(text, { cause: error });
    },
  });
  const [one = { path: '' }] = await catalogs.list(folder);
  const nothing = (): Promise<number> => timed(() => worker.call('inspect', { paths: [] }));
  const against = 'a call that does nothing';
  const first = await interleave(
    shop.pairs,
    () => timed(() => worker.call('list', { folder })),
    nothing,
  );
  const again = await interleave(shop.pairs, () => timed(() => catalogs.list(folder)), nothing);
  const changed = await interleave(
    shop.pairs,
    () => {
      utimesSync(one.path, new Date(), new Date());
      return timed(() => catalogs.list(folder));
    },
    nothing,
  );
  const what = `list of ${backups} backups`;
  return [
    { ...first, unit: 'ms', what: `${what}, first time`, against, aim: atMost(1000) },
    { ...again, unit: 'ms', what: `${what}, again`, against, aim: atMost(100) },
    { ...changed, unit: 'ms', what: `${what}, again after one has changed`, against },
  ];
}

async function manyBackups(shop: Workshop, worker: WorkerClient): Promise<string> {
  const folder = join(dirname(shop.program('worker.cjs')), 'many');
  if (existsSync(folder)) return folder;
  shop.say(`making ${backups} backups`);
  mkdirSync(folder);
  const way = { method: 'exact', verify: true } as const;
  const request = snapshotRequest(shop.database(1e6), folder, way);
  const { path } = await worker.call('backUp', request);
  const manifest = JSON.parse(readFileSync(`${path}.json`, 'utf8')) as object;
  for (let n = 1; n < backups; n++) {
    const copy = path.replace(/\.db$/, `-${n + 1}.db`);
    // Their size does not matter, and 10,000 times a megabyte would.
    writeFileSync(copy, readFileSync(path).subarray(0, 4096));
    const createdAt = new Date(1.7e12 + n * 3_600_000).toISOString();
    writeFileSync(`${copy}.json`, JSON.stringify({ ...manifest, sizeBytes: 4096, createdAt }));
  }
  return folder;
}

/** What the tree needs after VS Code's own search has named the candidates of a large workspace. */
export async function tree(shop: Workshop): Promise<Comparison[]> {
  const folder = manyFiles(shop);
  const worker = new WorkerClient({ entry: shop.program('worker.cjs') });
  const paths = Array.from({ length: databases }, (_, n) => join(folder, `${n}/data.db`));
  const pairs = await interleave(
    shop.pairs,
    () => timed(() => worker.call('inspect', { paths })),
    () => timeCommand(shop, 'find', folder, '-name', '*.db'),
  );
  return [
    {
      ...pairs,
      unit: 'ms',
      what: `${databases} databases recognised, of ${files} files`,
      against: 'find -name *.db',
      aim: atMost(2000),
    },
  ];
}

function manyFiles(shop: Workshop): string {
  const folder = join(dirname(shop.program('worker.cjs')), 'workspace');
  if (existsSync(folder)) return folder;
  shop.say(`making ${files} files`);
  const template = shop.database(1e6);
  for (let n = 0; n < databases; n++) {
    mkdirSync(join(folder, String(n)), { recursive: true });
    copyFileSync(template, join(folder, String(n), 'data.db'));
    for (let file = 0; file < files / databases - 1; file++) {
      writeFileSync(join(folder, String(n), `${file}.txt`), '');
    }
  }
  return folder;
}

/** The preview of a restore: the backup proved, and compared with a live database of the same size. */
export async function preview(shop: Workshop): Promise<Comparison[]> {
  const worker = new WorkerClient({ entry: shop.program('worker.cjs') });
  const backup = shop.textDatabase(200e6);
  const live = join(dirname(backup), 'live.db');
  copyFileSync(backup, live);
  const db = new Database(live);
  const [table] = db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    .pluck()
    .all() as string[];
  db.exec(`DELETE FROM "${table ?? ''}" WHERE rowid % 1000 = 0`);
  db.close();
  const pairs = await interleave(
    shop.pairs,
    () => timed(() => worker.call('planRestore', { backup, items: [{ target: live }] })),
    () => {
      const start = performance.now();
      execFileSync('sqlite3', [live, 'PRAGMA integrity_check']);
      return Promise.resolve(performance.now() - start);
    },
  );
  return [
    {
      ...pairs,
      unit: 'ms',
      what: 'preview of a restore, 200 MB against 200 MB',
      against: "sqlite3 'PRAGMA integrity_check'",
      aim: atMost(10_000),
    },
  ];
}
