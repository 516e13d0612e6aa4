/** The step "verify": the live database against the backup, and the answer of the application. */
import { BackupError } from '../../core/errors.ts';
import type { Restoration } from '../restoration.ts';
import { shortened } from '../words.ts';

export async function verify(restore: Restoration): Promise<void> {
  const { host, run, request } = restore;
  if (run.acceptsDamaged === true) return endDamaged(restore);
  const isBeside = run.destination === 'beside';
  const text = isBeside ? host.t('Checking the new file…') : host.t('Checking the live database…');
  const found = await restore.work('verify', text, async (options) => {
    const proofs = await host.worker.call('proveRestored', request, options);
    const bad = proofs.find(({ status }) => status === 'damaged');
    if (bad !== undefined) {
      const why = bad.findings[0]?.message ?? host.t('Its check failed.');
      throw new BackupError('backup-damaged', `${host.nameOf(bad.realTarget)}: ${why}`);
    }
    const gone = proofs.find(({ realTarget }) => !host.exists(realTarget));
    if (gone !== undefined) {
      throw new BackupError(
        'source-missing',
        host.t('{0} does not exist: there is nothing to verify.', host.nameOf(gone.realTarget)),
        isBeside ? {} : { hint: host.t('Undo puts the previous database back, if it is kept.') },
      );
    }
    const isAsked = host.healthUrl !== '' && !isBeside;
    return { proofs, health: isAsked ? await host.askHealth(host.healthUrl) : undefined };
  });
  restore.proofs = found?.proofs;
  restore.health = found?.health;
  if (found === undefined || !isBeside) return restore.changed();
  const isSame = found.proofs.every(({ status }) => status === 'ok');
  await restore.finish(
    'verify',
    isSame
      ? host.t('The new file holds what was backed up.')
      : host.t('The new file was checked as far as possible.'),
  );
}

/** The copy is what was asked for, and it is damaged: what was found when it was made is told once more. */
async function endDamaged(restore: Restoration): Promise<void> {
  const { host, run } = restore;
  const findings = (run.restored?.items ?? []).flatMap((item) => item.findings);
  for (const { message } of findings) {
    restore.record('verify', shortened(message, run.besides ?? [], host));
  }
  const text = host.t(
    'The new file holds the damaged backup as it is. No existing file was changed.',
  );
  await restore.finish('verify', text, 'confirmed');
}

export function endVerify(restore: Restoration): Promise<void> {
  const { health, host, proofs = [] } = restore;
  const { t } = host;
  if (!proofs.every(({ status }) => status === 'ok')) {
    const text = t('You confirmed the restore. See the warnings for what could not be checked.');
    return restore.finish('verify', text, 'confirmed');
  }
  if (health?.ok === false) {
    const text = t('Verified, but the application reports a problem. You confirmed the restore.');
    return restore.finish('verify', text, 'confirmed');
  }
  const isAsked = health === undefined || health.ok === true;
  const text = isAsked ? t('Verified.') : t('Verified. No health check ran.');
  return restore.finish('verify', text);
}
