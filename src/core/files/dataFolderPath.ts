/** Where the data folder is. Pure: no file is looked at. */
import { posix, win32 } from 'node:path';
import { BackupError } from '../errors.ts';

export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>;
  platform: NodeJS.Platform;
  /** The folders that may be the user's home, the best first. */
  homes: () => string[];
}

/**
 * Where the data folder is; nothing is created. An `XDG_DATA_HOME` that is empty or relative does not count, and neither
 * does one that a sandbox (snap, Flatpak) has set: programs outside of it would look elsewhere.
 */
export function dataFolderIn({ env, platform, homes }: Surroundings): string {
  const paths = platform === 'win32' ? win32 : posix;
  const home = homes().find((folder) => paths.isAbsolute(folder));
  const isOfSandbox = (folder: string): boolean =>
    home !== undefined &&
    ['snap', '.var/app'].some((sandbox) => folder.startsWith(`${paths.join(home, sandbox)}/`));
  const chosen = [env['XDG_DATA_HOME'], env['XDG_DATA_HOME_VSCODE_SNAP_ORIG']].find(
    (folder) => folder !== undefined && paths.isAbsolute(folder) && !isOfSandbox(folder),
  );
  const base = chosen ?? (home === undefined ? undefined : defaultBase(home, { env, platform }));
  if (base !== undefined) return paths.join(base, 'sqlite-backup');
  throw new BackupError('access', 'This user has no home folder, so there is no data folder.', {
    hint: 'Set XDG_DATA_HOME to a folder that this user can write.',
  });
}

function defaultBase(home: string, { env, platform }: Omit<Surroundings, 'homes'>): string {
  if (platform === 'darwin') return posix.join(home, 'Library', 'Application Support');
  if (platform !== 'win32') return posix.join(home, '.local', 'share');
  const local = env['LOCALAPPDATA'];
  return local !== undefined && win32.isAbsolute(local)
    ? local
    : win32.join(home, 'AppData', 'Local');
}
