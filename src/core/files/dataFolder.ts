/** The folder for what is remembered outside of any workspace. Every window and the command line of a user share it. */
import { statSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join, posix, win32 } from 'node:path';
import { BackupError } from '../errors.ts';
import { prepareFolder, restrict } from './workplace.ts';

export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>;
  platform: NodeJS.Platform;
  /** The folders that may be the user's home, the best first. */
  homes: () => string[];
}

const here: Surroundings = {
  env: process.env,
  platform: process.platform,
  // The first follows the environment, which cron may leave empty; the second is what the system knows.
  homes: () => [attempt(homedir), attempt(() => userInfo().homedir)],
};

function attempt(find: () => string): string {
  try {
    return find();
  } catch {
    return ''; // A user number without an entry in the system's list of users.
  }
}

/**
 * Where the data folder is; nothing is created. An `XDG_DATA_HOME` that is empty or relative does not count, and neither
 * does one that a sandbox (snap, Flatpak) has set: programs outside of it would look elsewhere.
 */
export function dataFolderPath({ env, platform, homes }: Surroundings = here): string {
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

/** The data folder, or the folder `name` in it, made where it is missing. Only this user may enter it. */
export function makeDataFolder(name = '.'): string {
  const top = prepareFolder(dataFolderPath()).path;
  const { mode, uid } = statSync(top);
  const isOpen = uid === process.getuid?.() && (mode & 0o077) !== 0;
  // On a read-only disk, what is remembered there can still be read.
  if (isOpen) restrict(top, 0o700);
  return prepareFolder(join(top, name)).path;
}
