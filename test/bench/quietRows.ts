/* How little a backup is felt: its memory, the delay of the face's event loop, the latency of a writer's commits. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Method } from '../../src/core/manifest/manifest.ts';
import { interleave, median, percentile } from './statistics.ts';
import type { Comparison } from './table.ts';
import { backUp, type Workshop } from './workshop.ts';

const mostWorkerMegabytes = 150;

/** The largest resident memory of the worker, verifying included. */
export async function memory(shop: Workshop): Promise<Comparison[]> {
  const [large, small] = [shop.database(2e9), shop.database(100e6)];
  const compare = async (method: Method): Promise<Comparison> => ({
    ...(await interleave(
      shop.pairs,
      () => largestMegabytes(shop, large, method),
      () => largestMegabytes(shop, small, method),
    )),
    unit: 'MB',
    what: `memory of the worker, ${method}, 2 GB, verified`,
    against: 'the same with 100 MB',
    aim: {
      text: `<= 1.15x and ${mostWorkerMegabytes} MB`,
      isMet: (ours, peer) => ours <= 1.15 * peer && ours <= mostWorkerMegabytes,
    },
  });
  return [await compare('exact'), await compare('compact'), await together(shop, large)];
}

/** The worker and the process that copies for it: what both have in memory at once, shared code counted twice. */
async function together(shop: Workshop, database: string): Promise<Comparison> {
  const ours: number[] = [];
  for (let run = 0; run < shop.pairs; run++) {
    const folder = await shop.clear();
    let largest = 0;
    const looking = setInterval(() => (largest = Math.max(largest, residentMegabytes(shop))), 20);
    await backUp(shop, database, folder, { method: 'exact', verify: true });
    clearInterval(looking);
    ours.push(largest);
  }
  return {
    ...{ ours, peer: ours.map(() => mostWorkerMegabytes), unit: 'MB' },
    what: 'memory of both processes together, exact, 2 GB, verified (Linux)',
    against: 'the most they may have',
    aim: { text: `<= ${mostWorkerMegabytes} MB`, isMet: (most) => most <= mostWorkerMegabytes },
  };
}

/** Of all processes of the worker's entry, as Linux tells it. */
function residentMegabytes(shop: Workshop): number {
  let kilobytes = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (!command.includes(shop.program('worker.cjs'))) continue;
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      kilobytes += Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
    } catch {
      // It has ended meanwhile.
    }
  }
  return (kilobytes * 1024) / 1e6;
}

async function largestMegabytes(shop: Workshop, database: string, method: Method): Promise<number> {
  const folder = await shop.clear();
  const report = (process.env['BENCH_MEMORY'] = join(folder, 'memory'));
  await backUp(
    shop,
    database,
    folder,
    { method, verify: true },
    { entry: shop.program('memoryProbe.cjs') },
  );
  return Number(readFileSync(report, 'utf8')) / 1e6;
}

/** This process holds the client as the extension host does, and takes progress as it does. */
export async function delay(shop: Workshop): Promise<Comparison[]> {
  const database = shop.database(1e9);
  const largest: number[] = [];
  let durationMs = 0;
  const pairs = await interleave(
    shop.pairs,
    async () => {
      const folder = await shop.clear();
      const during = await delayDuring(async () => {
        const way = { method: 'exact', verify: true } as const;
        durationMs = await backUp(shop, database, folder, way, { onProgress: () => undefined });
      });
      largest.push(during.largest);
      return during.p99;
    },
    async () => (await delayDuring(() => sleep(durationMs))).p99,
  );
  return [
    {
      ...pairs,
      unit: 'ms',
      what: 'event-loop delay (p99) of the face, 1 GB, verified',
      against: 'idle for as long',
      aim: { text: '< 20 ms more', isMet: (ours, peer) => ours - peer < 20 },
      note: `The process of this benchmark stands for the extension host. Timer of ${delayResolutionMs} ms, which is part of the numbers; the longest single delay of each backup was ${median(largest).toFixed(1)} ms (median).`,
    },
  ];
}

const delayResolutionMs = 5;

async function delayDuring(
  action: () => Promise<unknown>,
): Promise<{ p99: number; largest: number }> {
  const histogram = monitorEventLoopDelay({ resolution: delayResolutionMs });
  histogram.enable();
  await action();
  histogram.disable();
  return { p99: histogram.percentile(99) / 1e6, largest: histogram.max / 1e6 };
}

/** Another process commits to the database every 5 ms, with both ways of syncing that people use in WAL mode. */
export async function writer(shop: Workshop): Promise<Comparison[]> {
  return [await besideWriter(shop, 'NORMAL'), await besideWriter(shop, 'FULL')];
}

async function besideWriter(shop: Workshop, synchronous: string): Promise<Comparison> {
  const database = shop.database(1e9);
  const child = fork(join(import.meta.dirname, 'processes/writer.ts'), [database, synchronous], {
    execArgv: [],
  });
  try {
    await latenciesDuring(child, () => sleep(1000)); // Its start.
    let durationMs = 0;
    const pairs = await interleave(
      shop.pairs,
      async () => {
        const folder = await shop.clear();
        return latenciesDuring(child, async () => {
          durationMs = await backUp(shop, database, folder, { method: 'exact', verify: true });
        });
      },
      async () => {
        await shop.clear();
        return latenciesDuring(child, () => sleep(durationMs));
      },
    );
    return {
      ...pairs,
      unit: 'ms',
      what: `a writer's commit (p99), synchronous=${synchronous}, 1 GB WAL, verified`,
      against: 'without a backup',
      aim: { text: '<= 2.00x', isMet: (ours, peer) => ours <= 2 * peer },
    };
  } finally {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
}

/** The 99th percentile of the commits that fall into `action`, in ms. */
async function latenciesDuring(
  child: ChildProcess,
  action: () => Promise<unknown>,
): Promise<number> {
  await askForLatencies(child);
  await action();
  return percentile(await askForLatencies(child), 99);
}

async function askForLatencies(child: ChildProcess): Promise<number[]> {
  child.send('latencies');
  const [latencies] = (await once(child, 'message')) as [number[]];
  return latencies;
}
