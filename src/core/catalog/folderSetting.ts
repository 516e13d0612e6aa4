/** How the backups folder may be written down, in the setting or in `.env`. Pure: no file is looked at. */
import { isAbsolute, join, normalize, relative, resolve, sep } from 'node:path';
import { parseEnv } from 'node:util';

export const environmentVariable = 'BACKUPS_DIR';

/**
 * The absolute path that `text` means: absolute, with `~` or `${workspaceFolder}`, or relative to the workspace folder.
 * Undefined when it is blank, or needs a workspace folder and there is none.
 */
export function expandFolder(
  text: string,
  base: { workspaceFolder: string | undefined; home: string },
): string | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  if (trimmed === '~' || /^~[/\\]/.test(trimmed)) return join(base.home, trimmed.slice(1));
  const needsFolder = trimmed.includes('${workspaceFolder}') || !isAbsolute(trimmed);
  if (!needsFolder) return normalize(trimmed);
  if (base.workspaceFolder === undefined) return undefined;
  return resolve(
    base.workspaceFolder,
    trimmed.replaceAll('${workspaceFolder}', base.workspaceFolder),
  );
}

/** The value of `BACKUPS_DIR` in the text of a `.env` file. */
export function folderFromEnv(text: string): string | undefined {
  const value = parseEnv(text)[environmentVariable];
  return value === undefined || value.trim() === '' ? undefined : value;
}

/** True for the folder itself and all below it. */
export function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
