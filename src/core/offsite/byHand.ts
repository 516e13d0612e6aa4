/** Commands for a machine without this program. Pure: a person may keep them on paper. */
import type { Destination } from './destination.ts';
import type { Remote } from './driver.ts';

/** How a copy comes back on a machine with the engine and sqlite3, and without this program: five commands at most. */
export function commandsByHand(
  { engine, repository }: Destination,
  { id, name, sha256 }: Pick<Remote, 'id' | 'name' | 'sha256'>,
): string[] {
  const fetched = quoted(`back/${name}`);
  const last = name.endsWith('.zip')
    ? [`unzip ${fetched} -d restored`]
    : [`sqlite3 ${fetched} 'PRAGMA integrity_check'`, `cp ${fetched} restored.db`];
  const first =
    engine === 'restic'
      ? [
          `export RESTIC_REPOSITORY=${quoted(repository)}`,
          `restic restore ${id.slice(0, 16)} --target back`,
        ]
      : [`rclone copy ${quoted(`${repository}${/[:/]$/.test(repository) ? '' : '/'}${id}`)} back`];
  return [...first, `echo ${quoted(`${sha256}  back/${name}`)} | sha256sum --check`, ...last];
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
