import * as vscode from 'vscode';
import type { Check } from '../../core/doctor/check.ts';
import { doctorText, runDoctor, type Section } from '../../worker/doctor.ts';
import { shortenHome } from '../log.ts';
import { databaseName } from '../messages.ts';
import type { Parts } from './parts.ts';
import { withCancel } from './selection.ts';

/** Opens a report on whether backups and restores will work here, and returns its text. It can be copied into an issue. */
export async function doctor(parts: Parts): Promise<string> {
  const { t } = vscode.l10n;
  await parts.backups.refresh();
  const databases = parts.backups.databases.map(({ uri }) => ({
    title: databaseName(uri),
    path: uri.fsPath,
  }));
  const request = {
    toolVersion: parts.toolVersion,
    databases,
    folders: await foldersOf(parts, databases),
    // Without the network: the report is asked for often.
    places: parts.offsite.destinations().map((destination) => ({ destination, reach: false })),
  };
  const sections = await withCancel(t('Doctor'), (signal) =>
    runDoctor(parts.worker, request, { signal }),
  );
  const text = shortenHome(doctorText([{ title: 'VS Code', checks: checkEditor() }, ...sections]));
  await parts.documents.show('SQLite Backup Doctor.txt', text);
  return text;
}

async function foldersOf(
  { folder }: Parts,
  databases: { title: string; path: string }[],
): Promise<{ title: string; path: string; databases: typeof databases }[]> {
  const byPath = new Map<string, typeof databases>();
  for (const database of databases) {
    const workspaceFolder = vscode.workspace.getWorkspaceFolder(vscode.Uri.file(database.path));
    const path = await folder.resolve(workspaceFolder);
    if (path !== undefined) byPath.set(path, [...(byPath.get(path) ?? []), database]);
  }
  return [...byPath].map(([path, own]) => ({
    title: `Backups folder ${path}`,
    path,
    databases: own,
  }));
}

function checkEditor(): Section['checks'] {
  const { env, version, workspace } = vscode;
  const remote = env.remoteName === undefined ? '' : `, remote ${env.remoteName}`;
  const about: Check = { status: 'ok', text: `VS Code ${version}${remote}.` };
  if (workspace.isTrusted) return [about];
  return [
    about,
    {
      status: 'note',
      text: 'This workspace is not trusted: its settings and its .env do not choose the backups folder.',
      advice: 'Trust it, or choose the folder in your user settings.',
    },
  ];
}
