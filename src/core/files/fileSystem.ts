/** On what kind of file system a file lies: SQLite's locks hold programs off only where all of them see the same locks. */
import { execFileSync } from 'node:child_process';
import { readFileSync, realpathSync, statfsSync, statSync } from 'node:fs';
import { readProc } from './proc.ts';

/** What `statfs` calls the file systems that another machine, or the host of this one, may write to as well. */
const shared: ReadonlyMap<number, string> = new Map([
  [0x65735546, 'fuse'], // virtiofs says so too
  [0x6969, 'nfs'],
  [0x01021997, '9p'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0x517b, 'smb'],
  [0x786f4256, 'vboxsf'],
  [0xbacbacbc, 'vmhgfs'],
  [0x7c7c6673, 'prl_fs'],
  [0x00c36400, 'ceph'],
  [0x5346414f, 'afs'],
]);

/** These are drivers of a disk of this machine, or of a container's own root, that run as a program. */
const localFuse = new Set(['fuseblk', 'fuse.fuse-overlayfs']);

/**
 * The kind of the file system of an existing file when programs may write to the file without their locks being seen
 * here: on another machine, on the host of a container or virtual machine, or below the mount. Undefined on a local disk.
 */
export function sharedFileSystem(path: string): string | undefined {
  if (process.platform === 'linux') return sharedOnLinux(path);
  if (process.platform === 'darwin') return sharedOnMac(path);
  if (process.platform === 'win32')
    return realpathSync.native(path).startsWith('\\\\') ? 'network share' : undefined;
  return undefined;
}

function sharedOnLinux(path: string): string | undefined {
  const kind = shared.get(statfsSync(path).type >>> 0);
  if (kind === undefined) return undefined;
  const name = mountedAs(statSync(path, { bigint: true }).dev) ?? kind;
  return localFuse.has(name) ? undefined : name;
}

/** The type of the mount with this device number, as `/proc/self/mountinfo` calls it. */
function mountedAs(device: bigint): string | undefined {
  return [...mountsSeenBy('self').values()].find((mount) => mount.device === device)?.type;
}

/** True for a file or folder on which something is mounted, as containers do with single files. Known on Linux only. */
export function isMountPoint(path: string): boolean {
  if (process.platform !== 'linux') return false;
  return [...mountsSeenBy('self').values()].some(({ folder }) => folder === path);
}

export interface Mount {
  folder: string;
  /** As `stat` encodes it; on some file systems `stat` has another one for each file. */
  device: bigint;
  type: string;
}

/** What is mounted for a process, by the number that its open files name. Empty when the process has ended. Linux only. */
export function mountsSeenBy(pid: number | 'self'): Map<string, Mount> {
  const mounts = new Map<string, Mount>();
  const path = `/proc/${pid}/mountinfo`;
  const text = pid === 'self' ? readFileSync(path, 'utf8') : readProc(path);
  for (const line of text.split('\n')) {
    const [, id, major, minor, at, type] =
      /^(\d+) \d+ (\d+):(\d+) \S+ (\S+) .*?- (\S+) /.exec(line) ?? [];
    if (id === undefined || at === undefined || type === undefined) continue;
    const folder = at.replace(/\\([0-7]{3})/g, (_all, code: string) =>
      String.fromCharCode(parseInt(code, 8)),
    );
    mounts.set(id, { folder, device: deviceNumber(Number(major), Number(minor)), type });
  }
  return mounts;
}

/** As `stat` encodes it: glibc's makedev. */
export function deviceNumber(majorNumber: number, minorNumber: number): bigint {
  const [major, minor] = [BigInt(majorNumber), BigInt(minorNumber)];
  return (
    ((major & 0xfffff000n) << 32n) |
    ((major & 0xfffn) << 8n) |
    ((minor & 0xffffff00n) << 12n) |
    (minor & 0xffn)
  );
}

function sharedOnMac(path: string): string | undefined {
  const output = execFileSync('/sbin/mount', { encoding: 'utf8', timeout: 5000 });
  return parseMounts(output, realpathSync(path));
}

/** Reads what macOS's `mount` prints: `DEVICE on FOLDER (TYPE, OPTION, …)`; a disk of this machine has the option `local`. */
export function parseMounts(output: string, path: string): string | undefined {
  let best: { folder: string; options: string[] } | undefined;
  for (const line of output.split('\n')) {
    const [, folder, options] = /^.+? on (\/.*) \(([^()]*)\)$/.exec(line) ?? [];
    if (folder === undefined || options === undefined) continue;
    const isAbove = path === folder || path.startsWith(folder === '/' ? '/' : `${folder}/`);
    if (isAbove && folder.length >= (best?.folder.length ?? 0))
      best = { folder, options: options.split(', ') };
  }
  return best === undefined || best.options.includes('local') ? undefined : best.options[0];
}
