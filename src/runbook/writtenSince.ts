import { isBackupError } from '../core/errors.ts';
import type { RestorePlan } from '../core/restore/plan.ts';
import type { RestoreRequest } from '../core/restore/request.ts';
import type { CallOptions } from '../worker/client.ts';
import type { Host } from './host.ts';

/** What is live against the backup that it was. Undefined when it cannot be found out: that stops nobody from undoing. */
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
