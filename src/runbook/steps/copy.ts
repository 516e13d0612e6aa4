/** The step "copy": the backup takes the live names, or goes to new files beside them. */
import { BackupError, isBackupError } from '../../core/errors.ts';
import { restoredName } from '../../core/manifest/names.ts';
import type { PutInPlaceRequest, Restored } from '../../core/restore/apply.ts';
import type { CallOptions } from '../../worker/client.ts';
import { checkCopied } from '../byHand.ts';
import { findInterruptions, ownInterruption } from '../interruption.ts';
import type { Restoration } from '../restoration.ts';
import { compare, compareIfChanged, liveStatesOf } from './comparison.ts';
import { lookOnceMore, watch } from './holders.ts';
import { lookAtDisk } from './recovery.ts';
import { verify } from './verification.ts';

export async function copy(restore: Restoration): Promise<void> {
  const { host, run } = restore;
  const isBeside = run.destination === 'beside';
  const restored = isBeside ? await copyBeside(restore) : await copyOver(restore);
  if (restored === undefined) return lookAtDisk(restore);
  run.restored = restored;
  delete run.isCopying;
  const names = restore.namesOf(restored.items.map(({ target }) => target));
  host.note('restore', `${run.backup} to ${names}`, 'ok');
  await restore.finish('copy', host.t('{0} now holds the backup.', names));
  await (isBeside ? verify(restore) : watch(restore));
}

/** To names that are free. A file that takes one of them meanwhile keeps it, and the copy is refused. */
function copyBeside(restore: Restoration): Promise<Restored | undefined> {
  const { host, run } = restore;
  return restore.work('copy', host.t('Copying the backup to a new file…'), async (options) => {
    const createdAt = restore.compared?.plan.createdAt ?? run.startedAt;
    const names = restore.livePaths.map((live) => host.freePath(restoredName(live, createdAt)));
    const liveStates = await host.worker.call('liveStates', { paths: names });
    run.besides = names.map((name) => host.freePath(name));
    if (run.besides.some((name, index) => name !== names[index])) {
      throw new BackupError(
        'name-taken',
        host.t('Another file has taken the name of the new one.'),
        {
          hint: host.t('Try again.'),
        },
      );
    }
    const request = restore.applyRequest(liveStates, { ignoreHolders: false });
    return host.worker.call('applyRestore', request, options);
  });
}

async function copyOver(restore: Restoration): Promise<Restored | undefined> {
  const { host, run } = restore;
  const looked = await lookOnceMore(restore, 'copy');
  if (looked === undefined) return undefined;
  const text = host.t('Copying the backup into place…');
  const intent = run.moved?.intent;
  if (intent !== undefined) {
    if (!(await isSameBackup(restore))) return undefined;
    run.isCopying = true;
    await restore.keep();
    return restore.work('copy', text, (options) =>
      putInPlace(restore, { intent, ...looked }, options),
    );
  }
  // Kept by hand: the live database may have changed since, so it is kept once more.
  if (!(await compareIfChanged(restore, 'copy')) || restore.plan === undefined) return undefined;
  const request = restore.applyRequest(liveStatesOf(restore.plan), looked);
  return restore.work('copy', text, (options) =>
    host.worker.call('applyRestore', request, options),
  );
}

/** Another backup under the name would bring other rows than those that the person has agreed to. */
async function isSameBackup(restore: Restoration): Promise<boolean> {
  const { host, run, compared } = restore;
  const { t } = host;
  // What is gone, or does not fit its manifest, the copy itself refuses.
  if (compared?.backupState === undefined || !host.exists(run.backup)) return true;
  const text = t('Checking whether it has changed…');
  const states = await restore.work('copy', text, () =>
    host.worker.call('liveStates', { paths: [run.backup] }),
  );
  if (states === undefined || states[0] === compared.backupState) return states !== undefined;
  if (await compare(restore)) {
    const what = t('{0} has changed since it was compared.', host.nameOf(run.backup));
    const hint = t('Check what it would change now, then copy.');
    restore.fail('copy', new BackupError('incomplete', what, { hint }));
  }
  return false;
}

/** Any failure but these two leaves all as it was before. */
async function putInPlace(
  restore: Restoration,
  request: PutInPlaceRequest,
  options: CallOptions,
): Promise<Restored> {
  const { host, run } = restore;
  try {
    return await host.worker.call('putInPlace', request, options);
  } catch (error) {
    if (!isBackupError(error)) throw error;
    if (error.code !== 'worker-died' && error.code !== 'incomplete') {
      delete run.isCopying;
      await restore.keep();
    }
    if (error.facts?.['reason'] !== 'changed') throw error;
    throw new BackupError(
      'target-in-use',
      host.t('A program changed the live database after it was kept, so it was not replaced.'),
      { hint: host.t('Undo, then restore again. Nothing is lost.'), cause: error },
    );
  }
}

/** What the person has done with the commands of this step. */
export async function checkCopy(restore: Restoration): Promise<void> {
  const { host, run } = restore;
  const text = host.t('Comparing it with the backup…');
  const unknown = await restore.work('copy', text, async (options) => {
    const tables = await checkCopied(restore.request, host, options);
    const intent = run.moved?.intent;
    const { items } = ownInterruption(await findInterruptions(restore, host), restore) ?? {};
    const old = items?.find(({ live }) => live === 'old');
    if (intent !== undefined && old !== undefined) {
      const what = host.t('{0} is still the previous database.', host.nameOf(old.realTarget));
      const hint = host.t('Run the commands of this step, or press the button.');
      throw new BackupError('incomplete', what, { hint });
    }
    // Another file is live than the step "move" has left: nothing is to be finished or rolled back any more.
    if (intent !== undefined && items?.every(({ live }) => live === 'other') === true) {
      await host.worker.call('recoverInterrupted', { intent, how: 'roll-back' });
    }
    return tables;
  });
  if (unknown === undefined) return;
  restore.interrupted = undefined;
  host.note('restore', `${run.backup} by hand`, 'ok');
  if (unknown.length === 0) {
    return restore.finish('copy', host.t('Copied by hand. It holds the backup.'));
  }
  const words = host.t(
    'You confirmed the copy by hand. Not compared with the backup: {0}.',
    unknown.join(', '),
  );
  await restore.finish('copy', words, 'confirmed');
}
