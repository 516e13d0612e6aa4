import { isBackupError } from '../core/errors.ts';
import type { RestorePlan } from '../core/restore/plan.ts';
import type { RestoreRequest } from '../core/restore/request.ts';
import type { CallOptions } from '../worker/client.ts';
import type { Host } from './host.ts';

/** How the live database differs from the backup. Undefined when that cannot be found out: an undo is possible then, too. */
export async function writtenSince(
  worker: Host['worker'],
  request: RestoreRequest,
  options?: CallOptions,
): Promise<RestorePlan | undefined> {
  try {
    return await worker.call('planRestore', { ...request, trustManifest: true }, options);
  } catch (error) {
    if (!isBackupError(error) || error.code === 'cancelled') throw error;
    return undefined;
  }
}
