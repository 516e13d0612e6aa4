import * as vscode from 'vscode';
import {
  hasHookFiles,
  type HookFilesResult,
  planHookFiles,
  removeHookFiles,
  type Trouble,
  writeHookFiles,
} from '../../agents/hookFiles.ts';
import { inert, inertLine, notify } from '../inert.ts';
import type { Parts } from './parts.ts';

/** Says what will happen before it does. The setting is the user's: no repository can turn it on or off. */
export async function protectAgents(parts: Parts): Promise<void> {
  const { t } = vscode.l10n;
  const yes = t('Protect');
  const others = t('Also Outside of VS Code…');
  const detail = t(
    'Before each tool of an agent that can change files, the databases of the project that have changed are saved as checkpoints. The agent is told which rows its tools removed. This needs VS Code 1.114 or newer, and no file of the project is changed. It stops accidents, not a program that means harm: an agent has your rights.',
  );
  const root = projectRoot();
  const more = root === undefined ? [] : [others];
  const asked = await notify.confirm(
    t('Save databases before agents run tools?'),
    detail,
    ...[yes, ...more],
  );
  if (asked === undefined) return;
  await parts.settings.remember('agents.protect', true);
  if (asked === others && root !== undefined) await writeFor(root, parts);
  else void notify.info(t('Databases are saved before agents run tools.'));
}

/** Shows each file as it will be, and writes only after that. */
async function writeFor(root: string, { documents, log }: Parts): Promise<void> {
  const { t } = vscode.l10n;
  const planned = planHookFiles(root);
  const troubled = planned.flatMap(({ path, trouble }) =>
    trouble === undefined ? [] : [{ path, trouble }],
  );
  if (troubled.length > 0) return tellTrouble(troubled);
  const shown = planned.map(({ path, text = '' }) => `${inertLine(path)}\n\n${inert(text)}`);
  await documents.show(`${t('Hooks for agents')}.jsonc`, `${shown.join('\n\n')}\n`);
  const yes = t('Write Files');
  const detail = t(
    '{0} will be as the editor shows. They call sqlite-backup, which has to be on the path. Stop Protecting from Agents takes it away again.',
    planned.map(({ path }) => inertLine(vscode.workspace.asRelativePath(path))).join(', '),
  );
  const message = t('Write the hook for agents outside of VS Code?');
  if ((await notify.confirm(message, detail, yes)) !== yes) return;
  tell(writeHookFiles(root), log);
}

export async function unprotectAgents({ settings, log }: Parts): Promise<void> {
  const { t } = vscode.l10n;
  await settings.remember('agents.protect', false);
  const root = projectRoot();
  const off = t('Databases are no longer saved before agents run tools.');
  if (root !== undefined && hasHookFiles(root)) tell(removeHookFiles(root), log, off);
  else void notify.info(off);
}

function projectRoot(): string | undefined {
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  return folder?.scheme === 'file' && vscode.workspace.isTrusted ? folder.fsPath : undefined;
}

/** One message for all files, with the fact first that is true whatever became of them. */
function tell({ changed, failed }: HookFilesResult, log: Parts['log'], fact?: string): void {
  for (const path of changed) log.info(`The hook of agents: ${path} was changed.`);
  const facts = fact === undefined ? [] : [fact];
  if (failed.length > 0) return tellTrouble(failed, facts);
  const names = changed.map((path) => vscode.workspace.asRelativePath(path)).join(', ');
  const outcomes = [...facts, ...(names === '' ? [] : [vscode.l10n.t('Changed: {0}.', names)])];
  if (outcomes.length > 0) void notify.info(outcomes.join(' '));
}

function tellTrouble(failed: HookFilesResult['failed'], facts: string[] = []): void {
  const troubles = failed.map(({ path, trouble }) =>
    troubleText(trouble, vscode.workspace.asRelativePath(path)),
  );
  void notify.error([...facts, ...troubles].join(' '));
}

function troubleText(trouble: Trouble, name: string): string {
  const { t } = vscode.l10n;
  switch (trouble) {
    case 'outside':
      return t('{0} leads out of the project by a link. It was not changed.', name);
    case 'not-json':
      return t('{0} is not valid JSON. Mend it, then try again. It was not changed.', name);
    case 'not-read':
      return t('{0} cannot be read. It was not changed.', name);
    case 'not-written':
      return t('{0} cannot be written. Nothing was changed.', name);
  }
}
