import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../support/hosts/lifetime.ts';
import { createSampleWorkspace } from '../support/sampleWorkspace.ts';
import { openWindow, type Window } from './window.ts';

export const themes = {
  dark: 'Default Dark Modern',
  light: 'Default Light Modern',
  'high-contrast': 'Default High Contrast',
};

interface Setup {
  theme?: string;
  settings?: Record<string, unknown>;
  sample?: boolean;
  /** Makes the workspace instead of the sample, in a folder that is not there yet. */
  create?: (folder: string) => Promise<void>;
  /** Several workspace folders instead of one, each a sample. */
  folders?: string[];
  trusted?: boolean;
  /** The folder comes with settings of its own, as one from somebody else would. */
  workspaceSettings?: boolean;
}

/** Opens a window on a sample workspace, and takes a picture when something is not as it should be. */
export async function withWindow(
  {
    theme,
    settings,
    sample = true,
    trusted = true,
    workspaceSettings = false,
    folders,
    create,
  }: Setup,
  use: (window: Window, folder: string) => Promise<void>,
): Promise<void> {
  const workspace = temporaryFolder('workspace');
  if (create !== undefined) await create(workspace.path);
  else if (sample && folders === undefined) createSampleWorkspace(workspace.path);
  for (const name of folders ?? []) createSampleWorkspace(join(workspace.path, name));
  const several = join(workspace.path, 'several.code-workspace');
  if (folders !== undefined) {
    writeFileSync(several, JSON.stringify({ folders: folders.map((path) => ({ path })) }));
  }
  if (workspaceSettings) {
    mkdirSync(join(workspace.path, '.vscode'));
    writeFileSync(
      join(workspace.path, '.vscode/settings.json'),
      JSON.stringify({ 'sqliteBackup.backupsFolder': 'chosen-by-workspace' }),
    );
    writeFileSync(join(workspace.path, '.env'), 'BACKUPS_DIR=chosen-by-workspace\n');
  }
  const window = await openWindow({
    folder: folders === undefined ? workspace.path : several,
    trusted,
    ...(theme !== undefined && { theme }),
    ...(settings !== undefined && { settings }),
  });
  try {
    await use(window, workspace.path);
  } catch (error) {
    await window.screenshot('failed');
    throw error;
  } finally {
    await window.close();
    workspace.remove();
  }
}
