/** The step "clean up": the previous database is kept, archived or deleted, and the restore is over. */
import { withoutData } from '../lastCopy.ts';
import { questionBeforeDelete } from '../questions.ts';
import type { Restoration } from '../restoration.ts';
import { keptOf } from '../run.ts';

export function keepSetAsides(restore: Restoration): Promise<void> {
  const { host, setAsides } = restore;
  return restore.end(
    'kept',
    setAsides.length > 0
      ? host.t('The previous database stays as {0}.', restore.namesOf(setAsides))
      : host.t('There was no previous database to keep.'),
  );
}

export async function archiveSetAsides(restore: Restoration): Promise<void> {
  const { host } = restore;
  const { toolVersion, backupsFolder: folder } = host;
  if (folder === undefined) return;
  const text = host.t('Archiving the previous database…');
  const last = await restore.work('clean-up', text, async (options) => {
    let last = '';
    for (const [index, path] of restore.setAsides.entries()) {
      // Told one by one: the next may fail, and this one is gone from beside the database.
      if (index > 0) {
        restore.record('clean-up', host.t('Archived as {0}.', host.nameOf(last)));
        await restore.keep();
      }
      const request = { path, folder, toolVersion };
      last = (await host.worker.call('archiveSetAside', request, options)).archive;
    }
    return last;
  });
  if (last === undefined) return;
  await restore.end('archived', host.t('Archived as {0}.', host.nameOf(last)));
}

export async function deleteSetAsides(restore: Restoration): Promise<void> {
  const { host, setAsides } = restore;
  const lives = keptOf(restore.run).map(({ realTarget }) => realTarget);
  const question = questionBeforeDelete(setAsides, withoutData(lives), host);
  if (!(await host.confirm(question))) return;
  const text = host.t('Deleting the previous database…');
  const remove = async (): Promise<boolean> => {
    for (const path of setAsides) await host.worker.call('deleteSetAside', { path });
    return true;
  };
  const isDone = await restore.work('clean-up', text, remove, { canCancel: false });
  if (isDone === true) await restore.end('deleted', host.t('The previous database was deleted.'));
}
