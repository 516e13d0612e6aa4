/** The folder for what is remembered outside of any workspace. Every window and the command line of a user share it. */
import { statSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { dataFolderIn, type Surroundings } from './dataFolderPath.ts';
import { prepareFolder, restrict } from './workplace.ts';

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

/** Where the data folder of this user is; nothing is created. */
export function dataFolderPath(surroundings: Surroundings = here): string {
  return dataFolderIn(surroundings);
}

/** The data folder, or the folder `name` in it, made where it is missing. Only this user may enter either. */
export function makeDataFolder(name = '.'): string {
  const top = prepareFolder(dataFolderPath()).path;
  closeToOthers(top);
  const { path } = prepareFolder(join(top, name));
  if (path !== top) closeToOthers(path);
  return path;
}

function closeToOthers(folder: string): void {
  const { mode, uid } = statSync(folder);
  const isOpen = uid === process.getuid?.() && (mode & 0o077) !== 0;
  // On a read-only disk, what is remembered there can still be read.
  if (isOpen) restrict(folder, 0o700);
}
