// npm run bench [ROW…] [-- --pairs N]: how fast and how quiet backups are here, each row against something of the same run.
import { statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { activation } from './activationRow.ts';
import { agent } from './agentRows.ts';
import { bundle, bundleMany } from './bundleRows.ts';
import { checkpoint } from './checkpointRows.ts';
import { states } from './stateRows.ts';
import { clones, rollback } from './cloneRows.ts';
import { list, preview, tree } from './folderRows.ts';
import { cliVersion, describeMachine } from './machine.ts';
import { delay, memory, writer } from './quietRows.ts';
import { compact, exact, floor, hash, small, verified } from './speedRows.ts';
import { formatTable, type Comparison } from './table.ts';
import { openWorkshop, type Workshop } from './workshop.ts';

const rows: Record<string, (shop: Workshop) => Promise<Comparison[]>> = {
  exact,
  verified,
  clones,
  rollback,
  compact,
  hash,
  bundle,
  'bundle-many': bundleMany,
  memory,
  delay,
  writer,
  small,
  checkpoint,
  states,
  agent,
  list,
  tree,
  preview,
  activation,
  floor,
};

const neededBytes = 6e9;

/** What keeps the benchmark from running, in words. */
function obstacle(names: string[], pairs: number): string | undefined {
  const unknown = names.find((name) => !Object.hasOwn(rows, name));
  if (unknown !== undefined)
    return `There is no row "${unknown}", only ${Object.keys(rows).join(', ')}.`;
  if (!Number.isInteger(pairs) || pairs < 1) return '--pairs takes a whole number from 1 up.';
  try {
    cliVersion();
  } catch {
    return 'The command sqlite3 is missing: install it (apt-get install sqlite3, brew install sqlite).';
  }
  const { bavail, bsize } = statfsSync(tmpdir());
  if (bavail * bsize >= neededBytes) return undefined;
  return `${tmpdir()} has ${((bavail * bsize) / 1e9).toFixed(1)} GB free, ${neededBytes / 1e9} GB are needed; TMPDIR names another place.`;
}

async function run(names: string[], pairs: number, signal: AbortSignal): Promise<void> {
  const say = (text: string): void => void process.stderr.write(`${text}\n`);
  const shop = await openWorkshop({ pairs, signal, say });
  try {
    const results: { row: string; comparison: Comparison }[] = [];
    for (const row of names) {
      signal.throwIfAborted();
      say(`${row} …`);
      const comparisons = (await rows[row]?.(shop)) ?? [];
      results.push(...comparisons.map((comparison) => ({ row, comparison })));
    }
    console.log(`${describeMachine(tmpdir())}\n`);
    console.log(`${pairs} interleaved pairs a row, page cache warm.\n`);
    console.log(formatTable(results));
  } finally {
    shop.remove();
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { pairs: { type: 'string', default: '5' } },
});
const names = positionals.length > 0 ? positionals : Object.keys(rows);
const pairs = Number(values.pairs);
const why = obstacle(names, pairs);
const abort = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => abort.abort());
if (why !== undefined) {
  console.error(why);
  process.exitCode = 2;
} else {
  try {
    await run(names, pairs, abort.signal);
  } catch (error) {
    if (!abort.signal.aborted) throw error;
    console.error('Interrupted.');
    process.exitCode = 130;
  }
}
