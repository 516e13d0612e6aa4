/** How the runbook names databases and explains errors in the editor. */
import * as vscode from 'vscode';
import type { CatalogEntry } from '../core/catalog/catalog.ts';
import { BackupError } from '../core/errors.ts';
import { errorMessage } from './errorMessages.ts';
import { said } from './said.ts';

export function nameOf(path: string | undefined): string {
  return path === undefined ? '' : vscode.workspace.asRelativePath(vscode.Uri.file(path));
}

/** A backup or a restore that ended unexpectedly is not the same to a person. */
export function explain(error: BackupError): string {
  if (error.code === 'worker-died') {
    return vscode.l10n.t(
      'It ended unexpectedly. This page shows the state on the disk. The log has the details.',
    );
  }
  const short = withShortPath(error);
  const isOfLive = [
    'corrupt',
    'not-a-database',
    'encrypted-or-not-sqlite',
    'access',
    'source-missing',
  ];
  if (!isOfLive.includes(error.code)) return errorMessage(short, nameOf(error.path));
  return [said(short.message), said(short.hint ?? '')].join(' ').trim();
}

/** The hint stays as it is: it may be a command for a terminal, which is anywhere. */
function withShortPath(error: BackupError): BackupError {
  const { code, message, path, hint, facts } = error;
  if (path === undefined) return error;
  return new BackupError(code, message.replaceAll(path, nameOf(path)), {
    path,
    ...(hint !== undefined && { hint }),
    ...(facts !== undefined && { facts }),
    cause: error,
  });
}

export function factsOf(entry: CatalogEntry | undefined): string[] {
  if (entry?.kept === undefined) return [];
  const { method, note } = entry.kept;
  return [vscode.l10n.t('Method: {0}', method), ...(note === undefined ? [] : [`“${note}”`])];
}
