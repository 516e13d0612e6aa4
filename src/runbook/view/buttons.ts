import type { Action } from '../protocol.ts';
import type { Restoration } from '../restoration.ts';

/** A press while something goes on would be lost without a word, so no button is offered then. */
export function button(
  { isActing }: Restoration,
  id: string,
  label: string,
  kind: Action['kind'],
  { enabled = true, reason }: { enabled?: boolean; reason?: string | undefined } = {},
): Action {
  const why = !enabled && reason !== undefined ? { reason } : {};
  return { id, label, kind, enabled: enabled && !isActing, ...why };
}

/** The only one that is for what goes on. */
export function cancelButton({ busy, host: { t } }: Restoration, id: string): Action {
  const kind = id === 'cancel' ? 'secondary' : 'link';
  return { id, label: t('Cancel'), kind, enabled: busy?.canCancel === true };
}

export function saveButton(restore: Restoration, id: string): Action {
  const { backupsFolder, t } = restore.host;
  return button(restore, id, t('Save What It Holds'), 'primary', {
    enabled: backupsFolder !== undefined,
    reason: t('There is no backups folder.'),
  });
}
