/* What the extension costs the extension host when a window opens. */
import { copyFileSync, globSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { openWindow, startHost, type Host } from '../browser/window.ts';
import { createSampleWorkspace } from '../support/sampleWorkspace.ts';
import type { Pairs } from './statistics.ts';
import type { Comparison } from './table.ts';
import type { Workshop } from './workshop.ts';

/** Comes with VS Code, and is active in every window with a folder. */
const peer = 'Git';

/**
 * Loading the code and calling `activate`, one window for each pair: what it takes of the extension host's thread, and what
 * the page Running Extensions shows, in which that thread waits for its turn on a machine that opens a window.
 */
export async function activation(shop: Workshop): Promise<Comparison[]> {
  const folder = join(dirname(shop.program('worker.cjs')), 'sample');
  createSampleWorkspace(folder);
  const report = (process.env['BENCH_ACTIVATION'] = join(folder, '../activation'));
  const host = await startHost({});
  const own: Pairs = { ours: [], peer: [] };
  const shown: Pairs = { ours: [], peer: [] };
  try {
    putProbeIn(host.server.extensionsFolder);
    for (let pair = 0; pair < shop.pairs; pair++) {
      shop.signal.throwIfAborted();
      const { ours, others } = await measure(host, folder);
      shown.ours.push(ours);
      shown.peer.push(others);
      const last = JSON.parse(
        readFileSync(report, 'utf8').trim().split('\n').at(-1) ?? '',
      ) as Record<'own' | 'clock', number>;
      own.ours.push(last.own);
      own.peer.push(last.clock);
    }
  } finally {
    await host.close();
  }
  const aim = { text: '<= 50 ms', isMet: (ours: number) => ours <= 50 };
  return [
    {
      ...own,
      unit: 'ms',
      what: "activation: code loaded and activate() called, the extension host's own time",
      against: 'by the clock, other processes included',
      aim,
    },
    {
      ...shown,
      unit: 'ms',
      what: 'activation as VS Code shows it',
      against: `the extension ${peer} of VS Code, same window`,
    },
  ];
}

/** From here on every window measures. */
function putProbeIn(extensionsFolder: string): void {
  const [entry, ...others] = globSync(
    join(extensionsFolder, 'sqlite-backup.sqlite-backup-*/dist/extension.cjs'),
  );
  if (entry === undefined || others.length > 0) throw new Error('Which one is the extension?');
  renameSync(entry, join(dirname(entry), 'measured.cjs'));
  copyFileSync(join(import.meta.dirname, 'processes/activationProbe.cjs'), entry);
}

async function measure(host: Host, folder: string): Promise<{ ours: number; others: number }> {
  const window = await openWindow({ host, folder });
  try {
    // The page lists the slowest first, and only what fits.
    await window.page.setViewportSize({ width: 1280, height: 3000 });
    await window.statusBarItem(/SQLite Backup/).waitFor();
    await window.runCommand('Developer: Show Running Extensions');
    const timeOf = async (name: string): Promise<number> => {
      const row = window.page.locator('.runtime-extensions-editor .extension').filter({
        has: window.page.locator('.name', { hasText: new RegExp(`^${name}$`) }),
      });
      const time = row.locator('.activation-time', { hasText: /Activation: \d+ms/ });
      return Number(/(\d+)ms/.exec((await time.textContent()) ?? '')?.[1]);
    };
    return { ours: await timeOf('SQLite Backup'), others: await timeOf(peer) };
  } finally {
    await window.close();
  }
}
