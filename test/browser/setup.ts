import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { temporaryFolder } from '../support/hosts/lifetime.ts';
import { everyNth, isThorough } from '../support/operations.ts';
import { createSampleWorkspace } from '../support/sampleWorkspace.ts';
import { openWindow, startHost, type Host, type Window, type WindowOptions } from './window.ts';

export const themes = {
  dark: 'Default Dark Modern',
  light: 'Default Light Modern',
  'high-contrast': 'Default High Contrast',
};
type Look = keyof typeof themes;

/** How the page tells which of the themes it shows. */
const markOf: Readonly<Record<Look, string>> = {
  dark: 'vs-dark',
  light: 'vs',
  'high-contrast': 'hc-black',
};

interface Workspace {
  /** False makes an empty folder, and `none` opens a window without one. Default: the sample. */
  sample?: boolean | 'none';
  /** Makes the workspace instead of the sample, in a folder that is not there yet. */
  create?: (folder: string) => Promise<void>;
  /** Several workspace folders instead of one, each a sample unless `create` makes them. */
  folders?: string[];
  /** The folder comes with settings of its own, as one from somebody else would. */
  workspaceSettings?: boolean;
}

interface Setup extends Workspace {
  theme?: string;
  settings?: Record<string, unknown>;
  trusted?: boolean;
}

type Use = (window: Window, folder: string) => Promise<void>;

/** Opens a window on a server of its own, with these user settings. */
export async function withWindow(
  { theme, settings, trusted = true, ...workspace }: Setup,
  use: Use,
): Promise<void> {
  const options = {
    trusted,
    ...(theme !== undefined && { theme }),
    ...(settings !== undefined && { settings }),
  };
  await withWorkspace(workspace, ({ folder, open }) =>
    withOpen({ ...options, folder: open }, folder, use),
  );
}

/**
 * Gives the tests of the surrounding suite windows on one server, which saves seconds on each. A window has a browser
 * profile and a workspace of its own, and `settings` are those of the workspace.
 */
export function useWindows(): (
  setup: Workspace & Pick<Setup, 'settings'>,
  use: Use,
) => Promise<void> {
  let host: Promise<Host> | undefined;
  after(async () => {
    await (await host)?.close();
  });
  return async ({ settings = {}, ...workspace }, use) => {
    const started = await (host ??= startHost({}));
    await withWorkspace(workspace, ({ folder, open }) => {
      changeSettings(open ?? folder, settings);
      return withOpen({ folder: open, host: started }, folder, use);
    });
  };
}

/** Takes a picture when something is not as it should be. */
async function withOpen(options: WindowOptions, folder: string, use: Use): Promise<void> {
  const window = await openWindow(options);
  try {
    await use(window, folder);
  } catch (error) {
    // A second try has another folder, and so a picture of its own.
    await window.screenshot(`failed-${basename(folder)}`);
    throw error;
  } finally {
    await window.close();
  }
}

/** `open` is what the window is to show: `folder`, a file that lists several folders, or nothing. */
async function withWorkspace(
  { sample = true, workspaceSettings = false, folders, create }: Workspace,
  use: (made: { folder: string; open: string | undefined }) => Promise<void>,
): Promise<void> {
  const { path: folder, remove } = temporaryFolder('workspace');
  try {
    if (create !== undefined) await create(folder);
    else if (sample === true && folders === undefined) createSampleWorkspace(folder);
    for (const name of create === undefined ? (folders ?? []) : []) {
      createSampleWorkspace(join(folder, name));
    }
    const several = join(folder, 'several.code-workspace');
    if (folders !== undefined) {
      writeFileSync(several, JSON.stringify({ folders: folders.map((path) => ({ path })) }));
    }
    if (workspaceSettings) {
      changeSettings(folder, { 'sqliteBackup.backupsFolder': 'chosen-by-workspace' });
      writeFileSync(join(folder, '.env'), 'BACKUPS_DIR=chosen-by-workspace\n');
    }
    const open = folders === undefined ? folder : several;
    await use({ folder, open: sample === 'none' ? undefined : open });
  } finally {
    remove();
  }
}

/** Changes settings of a workspace, a folder or a `.code-workspace` file; undefined takes one away. */
export function changeSettings(workspace: string, values: Record<string, unknown>): void {
  const read = (path: string): Record<string, unknown> =>
    existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>) : {};
  if (Object.keys(values).length === 0) return;
  if (workspace.endsWith('.code-workspace')) {
    const file = read(workspace);
    const settings = { ...(file['settings'] as object | undefined), ...values };
    writeFileSync(workspace, JSON.stringify({ ...file, settings }));
  } else {
    const path = join(workspace, '.vscode/settings.json');
    mkdirSync(join(workspace, '.vscode'), { recursive: true });
    writeFileSync(path, JSON.stringify({ ...read(path), ...values }));
  }
}

/** The dark theme is the one in which the other tests run. */
const looks = isThorough
  ? (['light', 'high-contrast', 'dark'] as const)
  : (['light', 'high-contrast'] as const);

let uses = 0;

/**
 * Does the same in each theme, one after the other in the same window. A normal run takes one theme for each use, the
 * two in turn, because VS Code draws all of itself anew for it.
 */
export async function inEachTheme(
  window: Window,
  folder: string,
  action: (look: string) => Promise<void>,
): Promise<void> {
  for (const look of everyNth(looks, looks.length, uses++ % looks.length)) {
    changeSettings(folder, { 'workbench.colorTheme': themes[look] });
    await window.page.locator(`.monaco-workbench.${markOf[look]}`).waitFor();
    await action(look);
  }
}

export async function waitUntil(
  isSo: () => boolean | Promise<boolean>,
  what: string,
): Promise<void> {
  for (let tries = 0; !(await isSo()); tries++) {
    assert.ok(tries < 150, what);
    await new Promise((settle) => setTimeout(settle, 100));
  }
}
