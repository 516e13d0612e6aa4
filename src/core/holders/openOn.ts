/**
 * On which file system a program has a file open, told without asking that file system: one that hangs, such as a network
 * folder whose server is gone, holds up whatever looks at a file on it.
 */
import { readlinkSync, statSync } from 'node:fs';
import { type Mount, mountsSeenBy } from '../files/fileSystem.ts';
import { readProc } from '../files/proc.ts';

/** Answers for files that lie where `paths` lie. It keeps what it has read, so it is good for one look. */
export function openFilesBeside(
  paths: readonly string[],
): (pid: number, handle: string) => boolean {
  const files = paths.flatMap(statusOf);
  const inodes = new Set(files.map(({ ino }) => String(ino)));
  const own = [...mountsSeenBy('self').values()];
  // What `stat` says of a file and what its mount says differ on some file systems, such as Btrfs.
  const devices = new Set([
    ...files.map(({ dev }) => dev),
    ...paths.flatMap((path) => deviceOf(path, own)),
  ]);
  const known = new Map<string, Map<string, Mount>>();
  const views = new Map<number, string>();

  const mountsOf = (pid: number): Map<string, Mount> => {
    const view = views.get(pid) ?? linkOf(`/proc/${pid}/ns/mnt`);
    views.set(pid, view);
    const mounts = known.get(view) ?? mountsSeenBy(pid);
    known.set(view, mounts);
    return mounts;
  };

  return (pid, handle) => {
    const info = readProc(`/proc/${pid}/fdinfo/${handle}`);
    const id = /^mnt_id:\s+(\d+)$/m.exec(info)?.[1];
    if (id === undefined) return true;
    const mount = mountsOf(pid).get(id);
    if (mount !== undefined) return devices.has(mount.device);
    // It was unmounted while it was in use. Older kernels do not tell the inode.
    const inode = /^ino:\s+(\d+)$/m.exec(info)?.[1];
    return inode === undefined || inodes.has(inode);
  };
}

function deviceOf(path: string, mounts: readonly Mount[]): bigint[] {
  const above = mounts.filter(
    ({ folder }) =>
      path.startsWith(folder.endsWith('/') ? folder : `${folder}/`) || path === folder,
  );
  const longest = Math.max(...above.map(({ folder }) => folder.length));
  return above.filter(({ folder }) => folder.length === longest).map(({ device }) => device);
}

function statusOf(path: string): { dev: bigint; ino: bigint }[] {
  try {
    return [statSync(path, { bigint: true })];
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return path;
  }
}
