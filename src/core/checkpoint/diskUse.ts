/** How much of a disk checkpoints really take: a clone shares its blocks with the database until that is written to. */
import { spawnSync } from 'node:child_process';
import type { StoredCheckpoint } from './store.ts';

/** First block and number of blocks. */
type Extent = readonly [from: number, count: number];

interface Layout {
  blockBytes: number;
  extents: Extent[];
}

const lookMs = 10_000;
/** One line for each extent, and a file has few: more is not worth the time. */
const mostOutputBytes = 10_000_000;

/**
 * By path, the bytes that go when all of a folder go oldest first: blocks that the live database or a newer checkpoint has
 * too are none. Without a word of the file system, the allocated blocks.
 */
export function diskUseOf(newestFirst: readonly StoredCheckpoint[]): Map<string, number> {
  const clones = newestFirst.filter(({ manifest }) => manifest.cloned === true);
  const paths = clones.flatMap(({ path, manifest: { livePath } }) => [path, livePath ?? path]);
  const layouts = layoutsOf([...new Set(paths)]);
  const seen = new SeenBlocks();
  for (const { manifest } of clones) seen.add(layouts.get(manifest.livePath ?? ''));
  return new Map(
    newestFirst.map(({ path, diskBytes }) => [path, seen.add(layouts.get(path)) ?? diskBytes]),
  );
}

/** As ranges: a database of terabytes has few of them, and more blocks than any set can hold. */
export class SeenBlocks {
  /** In order, and apart from each other. */
  #ranges: Extent[] = [];
  #count = 0;

  /** The bytes of a file in blocks that no file before had. */
  add(layout: Layout | undefined): number | undefined {
    if (layout === undefined) return undefined;
    const before = this.#count;
    const merged: Extent[] = [];
    for (const [from, count] of [...this.#ranges, ...layout.extents].sort(([a], [b]) => a - b)) {
      const [lastFrom, lastCount] = merged.at(-1) ?? [0, -1];
      const end = Math.max(lastFrom + lastCount, from + count);
      if (from <= lastFrom + lastCount) merged[merged.length - 1] = [lastFrom, end - lastFrom];
      else merged.push([from, count]);
    }
    this.#ranges = merged;
    this.#count = merged.reduce((sum, [, count]) => sum + count, 0);
    return (this.#count - before) * layout.blockBytes;
  }
}

/** In another process: this one may hold a live database with SQLite. Empty where the file system or the system has no word. */
function layoutsOf(paths: readonly string[]): Map<string, Layout> {
  if (paths.length === 0 || process.platform !== 'linux') return new Map<string, Layout>();
  const { stdout }: { stdout: string | null } = spawnSync('filefrag', ['-v', '--', ...paths], {
    ...{ encoding: 'utf8', env: { ...process.env, LC_ALL: 'C', PATH: withSbin() } },
    ...{ timeout: lookMs, maxBuffer: mostOutputBytes, stdio: ['ignore', 'pipe', 'ignore'] },
  });
  return stdout === null ? new Map<string, Layout>() : parseLayouts(stdout, paths);
}

function withSbin(): string {
  return `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
}

/** Reads what `filefrag -v` prints. */
export function parseLayouts(text: string, paths: readonly string[]): Map<string, Layout> {
  const layouts = new Map<string, Layout>();
  let current: Layout | undefined;
  for (const line of text.split('\n')) {
    const [, path = '', bytes] =
      /^File size of (.*) is \d+ \(\d+ blocks? of (\d+) bytes\)$/.exec(line) ?? [];
    if (bytes !== undefined) {
      current = { blockBytes: Number(bytes), extents: [] };
      if (paths.includes(path)) layouts.set(path, current);
      continue;
    }
    const [, from, count, flags = ''] =
      /^\s*\d+:\s*\d+\.\.\s*\d+:\s*(\d+)\.\.\s*\d+:\s*(\d+):(.*)$/.exec(line) ?? [];
    // Small files lie within their metadata, and what is not written yet is nowhere.
    if (from === undefined || /inline|delalloc|unknown/.test(flags)) continue;
    current?.extents.push([Number(from), Number(count)]);
  }
  return layouts;
}
