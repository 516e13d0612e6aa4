import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { WorkerClient, type CallOptions } from '../../src/worker/client.ts';
import { buildDatabase, buildTextDatabase } from './database.ts';
import { snapshotRequest, type Way } from './request.ts';

const root = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);
/** Linux begins to give free memory back to its host two seconds after it became free: PAGE_REPORTING_DELAY in mm/page_reporting.c. */
const untilGivenBackMs = 3000;

export interface Workshop {
  /** How many pairs each row measures. */
  pairs: number;
  signal: AbortSignal;
  /** One line about what is being done. */
  say: (text: string) => void;
  /** Where the built programs are. */
  program: (name: 'worker.cjs' | 'memoryProbe.cjs' | 'hashJob.mjs' | 'cli.js') => string;
  /** The path of a database of that size, built at the first call. */
  database: (sizeBytes: number) => string;
  /** The same, with content that compresses as that of applications does. */
  textDatabase: (sizeBytes: number) => string;
  /**
   * Removes what earlier runs have written, and waits until the disk is quiet. Returns the empty folder for the next, which
   * may write `wantedBytes` without paying for memory. What a virtual machine does not use goes back to its host, and the
   * next program that asks for a gigabyte of it waits for seconds. So this call asks before, when the system has begun to
   * give back what was removed, and in large pages: memory in small ones helps only a program with small writes.
   */
  clear: (wantedBytes?: number) => Promise<string>;
  remove: () => void;
}

/** A private folder in the system's temp folder with all that is measured, the programs as they ship included. */
export async function openWorkshop(
  options: Pick<Workshop, 'pairs' | 'signal' | 'say'>,
): Promise<Workshop> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sqlite-backup-bench-')));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const output = join(folder, 'output');
  const build = (
    name: string,
    sizeBytes: number,
    make: (path: string, sizeBytes: number) => void,
  ): string => {
    const path = join(folder, name);
    if (existsSync(path)) return path;
    options.say(`building ${name}`);
    make(path, sizeBytes);
    return path;
  };
  try {
    await buildPrograms(folder);
  } catch (error) {
    remove();
    throw error;
  }
  return {
    ...options,
    remove,
    program: (name) => join(folder, name),
    database: (sizeBytes) => build(`${sizeBytes / 1e6}MB.db`, sizeBytes, buildDatabase),
    textDatabase: (sizeBytes) =>
      build(`${sizeBytes / 1e6}MB-text.db`, sizeBytes, buildTextDatabase),
    async clear(wantedBytes = 0) {
      options.signal.throwIfAborted();
      rmSync(output, { recursive: true, force: true });
      await run('mkdir', [output]);
      await run('sync', []);
      if (wantedBytes > 0) {
        await wait(untilGivenBackMs);
        const env = { ...process.env, GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };
        await run(process.execPath, ['-e', `Buffer.alloc(${wantedBytes}, 1)`], { env });
      }
      return output;
    },
  };
}

/** Bundled from the source of this moment, as `npm run build` does it, but not into the repository. */
async function buildPrograms(outdir: string): Promise<void> {
  const shared = {
    absWorkingDir: root,
    outdir,
    bundle: true,
    platform: 'node',
    target: 'node22',
    logLevel: 'warning',
    alias: { 'better-sqlite3': `better-sqlite3/${process.platform}-${process.arch}` },
    loader: { '.node': 'copy' },
    assetNames: '[name]',
  } as const;
  const bench = 'test/bench/processes';
  await build({
    ...shared,
    entryPoints: {
      worker: 'src/worker/main.ts',
      helper: 'src/worker/helper.ts',
      memoryProbe: `${bench}/memoryProbe.ts`,
    },
    outExtension: { '.js': '.cjs' },
    format: 'cjs',
  });
  await build({
    ...shared,
    entryPoints: { hashJob: `${bench}/hashJob.ts` },
    outExtension: { '.js': '.mjs' },
    format: 'esm',
    // The driver's entry is CommonJS.
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
  });
  await build({ ...shared, entryPoints: { cli: 'src/cli/main.ts' }, format: 'esm' });
}

/** Takes one snapshot in a worker process and returns the ms from the call until that process is gone. */
export async function backUp(
  { program, signal }: Workshop,
  database: string,
  folder: string,
  way: Way,
  call: CallOptions & { entry?: string } = {},
): Promise<number> {
  const client = new WorkerClient({ entry: call.entry ?? program('worker.cjs') });
  const startedAt = performance.now();
  await client.call('backUp', snapshotRequest(database, folder, way), { signal, ...call });
  return performance.now() - startedAt;
}

/** Runs a command to its end and returns the ms it took. Rejects when it fails, with what it wrote to stderr. */
export async function timeCommand(
  { signal }: Workshop,
  command: string,
  ...args: string[]
): Promise<number> {
  const startedAt = performance.now();
  await run(command, args, { signal });
  return performance.now() - startedAt;
}

/** Brings a file to the disk, as `sync FILE` does, and returns the ms it took. */
export async function timeSync(path: string): Promise<number> {
  const startedAt = performance.now();
  const handle = await open(path);
  await handle.sync();
  await handle.close();
  return performance.now() - startedAt;
}
