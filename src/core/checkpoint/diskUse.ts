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
  const seen = new Set<number>();
  const clones = newestFirst.filter(({ manifest }) => manifest.cloned === true);
  const paths = clones.flatMap(({ path, manifest: { livePath } }) => [path, livePath ?? path]);
  const layouts = layoutsOf([...new Set(paths)]);
  for (const { manifest } of clones) ownBlocks(layouts.get(manifest.livePath ?? ''), seen);
  return new Map(
    newestFirst.map(({ path, diskBytes }) => {
      const own = ownBlocks(layouts.get(path), seen);
      return [path, own ?? diskBytes];
    }),
  );
}

/** The bytes of a file in blocks that are not among `seen`, and notes them there. */
function ownBlocks(layout: Layout | undefined, seen: Set<number>): number | undefined {
  if (layout === undefined) return undefined;
  const before = seen.size;
  for (const [from, count] of layout.extents)
    for (let block = from; block < from + count; block++) seen.add(block);
  return (seen.size - before) * layout.blockBytes;
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
