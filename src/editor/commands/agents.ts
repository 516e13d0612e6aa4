import * as vscode from 'vscode';
import { notify } from '../inert.ts';
import type { Parts } from './parts.ts';

/** Says what will happen before it does. The setting is the user's: no repository can turn it on or off. */
export async function protectAgents({ settings }: Parts): Promise<void> {
  const { t } = vscode.l10n;
  const yes = t('Protect');
  const detail = t(
    'Before each tool of an agent that can change files, the databases of the project that have changed are saved as checkpoints. The agent is told which rows its tools removed. This needs VS Code 1.114 or newer, and no file of the project is changed. It stops accidents, not a program that means harm: an agent has your rights.',
  );
  if ((await notify.confirm(t('Save databases before agents run tools?'), detail, yes)) !== yes)
    return;
  await settings.remember('agents.protect', true);
  void notify.info(t('Databases are saved before agents run tools.'));
}

export async function unprotectAgents({ settings }: Parts): Promise<void> {
  await settings.remember('agents.protect', false);
  void notify.info(vscode.l10n.t('Databases are no longer saved before agents run tools.'));
}
