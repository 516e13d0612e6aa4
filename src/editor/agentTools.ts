/** The tools for agents in the editor, and the link with which a person opens what one has planned. */
import * as vscode from 'vscode';
import { toolNames, type ToolName } from '../agents/toolList.ts';
import { AgentTools } from '../agents/tools.ts';
import type { Parts } from './commands/parts.ts';
import { restore } from './commands/restore.ts';
import { notify } from './inert.ts';

export function registerAgentTools(parts: Parts): vscode.Disposable {
  const { checkpoints, folder, settings, worker } = parts;
  const folders = (): string[] =>
    (vscode.workspace.workspaceFolders ?? []).map(({ uri }) => uri.fsPath);
  const tools = new AgentTools({
    call: (method, params, deadlineMs) => worker.call(method, params, { deadlineMs }),
    checkpoint: (databases, cause) =>
      checkpoints.take(
        databases.map((path) => vscode.Uri.file(path)),
        cause,
        { trigger: 'agent' },
      ),
    folders,
    checkpoints: () => settings.protection().folder,
    backupsFolder: () => folder.resolve(vscode.workspace.workspaceFolders?.[0]),
    now: Date.now,
    uriScheme: vscode.env.uriScheme,
  });
  return vscode.Disposable.from(
    ...toolNames.map((name) =>
      vscode.lm.registerTool(name, {
        // None is confirmed: none changes a file of the project, and a question that is always answered with yes is none.
        prepareInvocation: () => ({ invocationMessage: messageOf(name) }),
        async invoke({ input }) {
          const { text } = await tools.run(name, input);
          return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(text)]);
        },
      }),
    ),
    vscode.window.registerUriHandler({
      handleUri: ({ path, query }) =>
        path === '/runbook'
          ? openRunbook(parts, tools, new URLSearchParams(query).get('backup') ?? '')
          : undefined,
    }),
  );
}

function messageOf(name: ToolName): string {
  const { t } = vscode.l10n;
  switch (name) {
    case 'sqlite-backup_list_databases':
      return t('Listing SQLite databases');
    case 'sqlite-backup_list_backups':
      return t('Listing backups');
    case 'sqlite-backup_create_checkpoint':
      return t('Taking a checkpoint');
    case 'sqlite-backup_compare':
      return t('Comparing databases');
    case 'sqlite-backup_verify':
      return t('Checking a backup');
    case 'sqlite-backup_plan_restore':
      return t('Planning a restore');
  }
}

/** A link only opens the page: what is done is the person's. Of a backup of another workspace it opens nothing. */
async function openRunbook(parts: Parts, tools: AgentTools, id: string): Promise<void> {
  const { backups, checkpoints } = parts;
  const found = await tools.find(id);
  await checkpoints.refresh();
  const entry = [...checkpoints.all, ...backups.entries].find(({ path }) => path === found?.path);
  if (found === undefined || entry === undefined) {
    void notify.info(vscode.l10n.t('This workspace has no such backup.'));
    return;
  }
  await restore(parts, { kind: 'snapshot', uri: vscode.Uri.file(found.database), entry });
}
