/** The previous databases that restores have kept beside the databases of the workspace. */
import { readdir } from 'node:fs/promises';
import type { SetAside } from '../core/restore/setAside.ts';
import { parseSetAsideName } from '../core/manifest/names.ts';
import type { WorkerClient } from '../worker/client.ts';

/**
 * By live path, newest first. A worker is asked only about folders with such a name in them. One that cannot be read
 * shows none, and holds up nothing else: `onProblem` is told.
 */
export async function previousIn(
  folders: Iterable<string>,
  worker: Pick<WorkerClient, 'call'>,
  onProblem: (problem: unknown) => void,
): Promise<Map<string, SetAside[]>> {
  const found: SetAside[] = [];
  for (const folder of new Set(folders)) {
    const names = await readdir(folder).catch(() => []);
    if (!names.some((name) => parseSetAsideName(name) !== undefined)) continue;
    try {
      found.push(...(await worker.call('listSetAsides', { in: folder })));
    } catch (error) {
      onProblem(error);
    }
  }
  return Map.groupBy(found, ({ target }) => target);
}
