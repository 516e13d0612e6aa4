import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { WorkerClient } from '../../src/worker/client.ts';
import { snapshotRequest } from './request.ts';
import { interleave } from './statistics.ts';
import { ratioUpTo, type Comparison } from './table.ts';
import { timeCommand, timeSync, type Workshop } from './workshop.ts';

/** Each takes most of a minute. */
const mostPairs = 3;
const mostMegabytes = 200;
/** For copies of both, and the zip. */
const wanted = 2.5e9;

/** Two databases of 500 MB in one bundle, proved and read back, against a plain zip of the same files. */
export async function bundle(shop: Workshop): Promise<Comparison[]> {
  const databases = [500e6, 501e6].map((sizeBytes) => shop.textDatabase(sizeBytes));
  const sizes: { ours: number[]; peer: number[] } = { ours: [], peer: [] };
  const memory: { ours: number[]; peer: number[] } = { ours: [], peer: [] };
  const small = [shop.textDatabase(50e6), shop.textDatabase(51e6)];
  const { ours, peer } = await interleave(
    Math.min(shop.pairs, mostPairs),
    async () => {
      memory.peer.push((await makeBundle(shop, small)).megabytes);
      const made = await makeBundle(shop, databases);
      memory.ours.push(made.megabytes);
      sizes.ours.push(made.sizeBytes / 1e6);
      return made.ms / 1000;
    },
    async () => {
      const zip = join(await shop.clear(wanted), 'peer.zip');
      const ms = await timeCommand(shop, 'zip', '-q', '-j', '-6', zip, ...databases);
      const syncMs = await timeSync(zip);
      sizes.peer.push(statSync(zip).size / 1e6);
      return (ms + syncMs) / 1000;
    },
  );
  const what = 'bundle of 2 x 500 MB of text and noise, balanced';
  const against = 'zip -6 + sync';
  return [
    {
      ours,
      peer,
      unit: 's',
      what: `${what}, verified and read back`,
      against,
      aim: ratioUpTo(0.6),
    },
    { ...sizes, unit: 'MB', what: `size, ${what}`, against, aim: ratioUpTo(1.02) },
    {
      ...memory,
      unit: 'MB',
      what: `memory of the worker, ${what}`,
      against: 'the same with 2 x 50 MB',
      aim: {
        text: `<= ${mostMegabytes} MB`,
        isMet: (megabytes) => megabytes <= mostMegabytes,
      },
    },
  ];
}

const smallFiles = 20_000;

/** Thousands of tiny files beside a small database, each hashed twice and read back. */
export async function bundleMany(shop: Workshop): Promise<Comparison[]> {
  const database = shop.textDatabase(1e6);
  const uploads = join(dirname(database), 'uploads');
  mkdirSync(uploads, { recursive: true });
  for (let n = 0; n < smallFiles; n++) writeFileSync(join(uploads, `${n}`), '12345');
  const companions = [{ root: dirname(database), globs: ['uploads/*'] }];
  const { ours, peer } = await interleave(
    shop.pairs,
    async () => (await makeBundle(shop, [database], companions)).ms / 1000,
    async () => {
      const zip = join(await shop.clear(wanted), 'peer.zip');
      const ms = await timeCommand(shop, 'zip', '-q', '-r', '-6', zip, uploads);
      return (ms + (await timeSync(zip))) / 1000;
    },
  );
  return [
    {
      ours,
      peer,
      unit: 's',
      what: `bundle of ${smallFiles} files of 5 bytes, hashed and read back`,
      against: 'zip -6 + sync',
      aim: { text: '<= 4 s', isMet: (seconds) => seconds <= 4 },
    },
  ];
}

async function makeBundle(
  shop: Workshop,
  databases: string[],
  companions: { root: string; globs: string[] }[] = [],
): Promise<{ ms: number; sizeBytes: number; megabytes: number }> {
  const folder = await shop.clear(wanted);
  const report = (process.env['BENCH_MEMORY'] = join(folder, 'memory'));
  const client = new WorkerClient({ entry: shop.program('memoryProbe.cjs') });
  const startedAt = performance.now();
  const { bundle: made } = await client.call(
    'bundle',
    {
      ...snapshotRequest('', folder, { method: 'exact', verify: true }),
      databases: databases.map((database) => ({
        database,
        recordAs: { path: basename(database) },
      })),
      companions,
      compression: 'balanced',
      allowIncomplete: false,
    },
    { signal: shop.signal },
  );
  const ms = performance.now() - startedAt;
  const megabytes = Number(readFileSync(report, 'utf8')) / 1e6;
  return { ms, sizeBytes: made?.manifest.sizeBytes ?? NaN, megabytes };
}
