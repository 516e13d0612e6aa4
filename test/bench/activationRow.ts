/* What the extension costs the extension host when a window opens, as VS Code itself measures it. */
import { dirname, join } from 'node:path';
import { openWindow, startHost, type Host } from '../browser/window.ts';
import { createSampleWorkspace } from '../support/sampleWorkspace.ts';
import type { Pairs } from './statistics.ts';
import type { Comparison } from './table.ts';
import type { Workshop } from './workshop.ts';

/** Comes with VS Code, and is active in every window with a folder. */
const peer = 'Git';

/** Loading the code and calling `activate`, from the page Running Extensions: one window for each pair. */
export async function activation(shop: Workshop): Promise<Comparison[]> {
  const folder = join(dirname(shop.program('worker.cjs')), 'sample');
  createSampleWorkspace(folder);
  const host = await startHost({});
  const pairs: Pairs = { ours: [], peer: [] };
  try {
    for (let pair = 0; pair < shop.pairs; pair++) {
      shop.signal.throwIfAborted();
      const { ours, others } = await measure(host, folder);
      pairs.ours.push(ours);
      pairs.peer.push(others);
    }
  } finally {
    await host.close();
  }
  return [
    {
      ...pairs,
      unit: 'ms',
      what: 'activation: code loaded and activate() called',
      against: `the extension ${peer} of VS Code, same window`,
      aim: { text: '<= 50 ms', isMet: (ours) => ours <= 50 },
    },
  ];
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
