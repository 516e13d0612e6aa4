import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { downloadAndUnzipVSCode, ProgressReportStage, SilentReporter } from '@vscode/test-electron';
import type { ProgressReport } from '@vscode/test-electron';
import { calmSettings, machineSettings } from './calmSettings.ts';
import { spawnTree, temporaryFolder } from './lifetime.ts';

const NETWORK_TIMEOUT_MS = 5_000;

/** How to start desktop VS Code: `args` come before all others. */
export interface Desktop {
  command: string;
  args: string[];
}

export interface DesktopOptions {
  folder: string;
  /** The folder of the extension, which runs from its development build. */
  extension: string;
  /** A module with a `run` function: the window closes when that is done. */
  tests?: string;
  env?: Record<string, string>;
}

/**
 * Finds desktop VS Code: the one of `VSCODE_EXECUTABLE`, else a downloaded one. Undefined when it
 * can neither be downloaded nor shown on a display, and with `VSCODE_HOST=server`; an unreachable
 * network takes seconds at most.
 */
export async function findDesktop(): Promise<Desktop | undefined> {
  if (process.env['VSCODE_HOST'] === 'server') return undefined;
  const hasDisplay =
    process.platform !== 'linux' || process.env['DISPLAY'] || process.env['WAYLAND_DISPLAY'];
  const hasXvfb = !hasDisplay && spawnSync('xvfb-run', ['--help']).status === 0;
  const executable = process.env['VSCODE_EXECUTABLE'];
  if (!executable && !hasDisplay && !hasXvfb) return undefined;

  const command = executable ?? (await download());
  if (!command) return undefined;
  return hasXvfb ? { command: 'xvfb-run', args: ['-a', command] } : { command, args: [] };
}

/**
 * Opens a window with a profile of its own. `closed` gives the exit code; `close` ends the window,
 * and so does the end of this process.
 */
export function openDesktop(
  desktop: Desktop,
  options: DesktopOptions,
): { closed: Promise<number>; close: () => void } {
  const profile = temporaryFolder('code');
  mkdirSync(join(profile.path, 'User'));
  writeFileSync(
    join(profile.path, 'User/settings.json'),
    JSON.stringify({ ...calmSettings, ...machineSettings }),
  );
  const { child, kill } = spawnTree(
    desktop.command,
    [
      ...desktop.args,
      options.folder,
      // Electron's sandboxes need rights that containers and CI machines rarely give.
      ...['--no-sandbox', '--disable-gpu-sandbox'],
      ...['--disable-updates', '--skip-welcome', '--skip-release-notes', '--no-cached-data'],
      '--disable-workspace-trust',
      `--user-data-dir=${profile.path}`,
      `--extensions-dir=${join(profile.path, 'extensions')}`,
      `--extensionDevelopmentPath=${options.extension}`,
      ...(options.tests ? [`--extensionTestsPath=${options.tests}`] : []),
    ],
    { env: { ...process.env, ...options.env }, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const closed = new Promise<number>((settle, fail) => {
    child.once('error', fail);
    child.once('close', (code) => settle(code ?? 1));
  });
  return {
    closed,
    close: () => {
      kill();
      profile.remove();
    },
  };
}

async function download(): Promise<string | undefined> {
  try {
    return await downloadAndUnzipVSCode({
      version: 'stable',
      timeout: NETWORK_TIMEOUT_MS,
      reporter: new DownloadReporter(),
    });
  } catch {
    return undefined;
  }
}

/** Says that a download goes on, which takes a while; says nothing about one that never began. */
class DownloadReporter extends SilentReporter {
  #said = false;

  override report(report?: ProgressReport): void {
    if (this.#said || report?.stage !== ProgressReportStage.Downloading) return;
    this.#said = true;
    console.log(`Downloading VS Code from ${report.url}`);
  }
}
