import { basename } from 'node:path';
import * as vscode from 'vscode';
import { fromPlainError } from '../../core/errors.ts';
import { errorMessage } from '../errorMessages.ts';
import { notify } from '../inert.ts';
import type { Parts } from './parts.ts';

/** Copies the databases that only the main work tree has. */
export async function copyToWorktree({ viewId, worktrees }: Parts): Promise<{
  copied: string[];
  failures: { path: string; code: string; message: string }[];
}> {
  const { t } = vscode.l10n;
  const all = await vscode.window.withProgress({ location: { viewId } }, () => worktrees.copy());
  const copied = all.filter(({ error }) => error === undefined).map(({ path }) => path);
  const failures = all.flatMap(({ path, error }) =>
    error === undefined
      ? []
      : [{ path, code: error.code, message: errorMessage(fromPlainError(error), basename(path)) }],
  );
  const outcomes = [
    ...failures.map(({ path, message }) =>
      t('{0} was not copied from the main worktree. {1}', path, message),
    ),
    ...(copied.length === 0 ? [] : [t('Copied from the main worktree: {0}.', copied.join(', '))]),
    ...(all.length > 0
      ? []
      : [t('There is nothing to copy: the main worktree has no other database.')]),
  ];
  const show = failures.length > 0 ? notify.warn : notify.info;
  void show(outcomes.join(' '));
  return { copied, failures };
}
