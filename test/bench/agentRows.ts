import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, copyFileSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ResidentClient } from '../../src/worker/residentClient.ts';
import { readAddress } from '../../src/worker/residentProtocol.ts';
import { percentile } from './statistics.ts';
import type { Comparison } from './table.ts';
import { timeCommand, type Workshop } from './workshop.ts';

/** What a tool of an agent waits for: the whole process of the hook, beside an editor that runs, against the start of Node. */
export async function agent(
  shop: Workshop,
  { on = '', changedMs = 500 } = {},
): Promise<Comparison[]> {
  const folder = await shop.clear();
  const work = join(folder, 'work');
  for (const path of [join(folder, 'data'), join(work, '.git')])
    mkdirSync(path, { recursive: true });
  process.env['XDG_DATA_HOME'] = join(folder, 'data');
  const database = join(work, 'app.db');
  copyFileSync(shop.database(100e6), database);
  const event = join(folder, 'event.json');
  const fields = { hook_event_name: 'PreToolUse', tool_name: 'Bash', session_id: 's', cwd: work };
  writeFileSync(event, JSON.stringify(fields));
  const client = new ResidentClient({ entry: shop.program('worker.cjs') });
  const hook = (): Promise<number> => timeHook(shop, event);
  try {
    await client.call('listCheckpoints', {});
    await hook();
    const rows = { unchanged: [] as number[], changed: [] as number[], node: [] as number[] };
    for (let pair = 0; pair < shop.pairs; pair++) {
      // Until the times of the file are old enough to be trusted, the content is compared.
      await new Promise((wake) => setTimeout(wake, 2100));
      await hook();
      rows.unchanged.push(await hook());
      rows.node.push(await timeCommand(shop, process.execPath, '-e', '0'));
      const sql = 'CREATE TABLE IF NOT EXISTS changes (at); INSERT INTO changes VALUES (random())';
      execFileSync('sqlite3', [database, sql]);
      rows.changed.push(await hook());
    }
    const p95 = Math.round(percentile(rows.unchanged, 95));
    const against = 'the start of Node';
    return [
      {
        ...{ what: `hook, unchanged${on} (p95 ${p95} ms)`, against, unit: 'ms' },
        ...{ ours: rows.unchanged, peer: rows.node },
        aim: { text: 'p95 ≤ 150 ms', isMet: () => p95 <= 150 },
      },
      {
        ...{ what: `hook, 100 MB changed${on}`, against, unit: 'ms', ours: rows.changed },
        peer: rows.node,
        aim: { text: `≤ ${changedMs} ms`, isMet: (ours: number) => ours <= changedMs },
      },
    ];
  } finally {
    const pid = readAddress()?.pid;
    client.dispose();
    if (pid !== undefined) process.kill(pid);
  }
}

async function timeHook(shop: Workshop, event: string): Promise<number> {
  const input = openSync(event, 'r');
  const startedAt = performance.now();
  const child = spawn(process.execPath, [shop.program('cli.js'), 'hook'], {
    stdio: [input, 'ignore', 'ignore'],
    signal: shop.signal,
  });
  await once(child, 'exit');
  closeSync(input);
  return performance.now() - startedAt;
}
