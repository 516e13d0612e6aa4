/** Where backups may go, the best place first. Pure: what is on the disk is told to it. */
import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';

export interface PlaceFacts {
  /** The workspace folder, absolute. */
  workspace: string;
  /** The data folder of this user. */
  dataFolder: string;
  /** In a container, what is not mounted is gone when it is rebuilt. */
  isContainer: boolean;
  /** Folders outside of the work tree that outlive the container, the best first. */
  mounted: readonly string[];
  /** Folders with something in them, of those that `namesFor` names. */
  used: ReadonlySet<string>;
}

export interface Place {
  kind: 'outside' | 'outside-used' | 'mounted' | 'workspace';
  path: string;
  /** The container takes it along when it is rebuilt. */
  diesWithContainer: boolean;
}

/** The two folders outside that a workspace may get: by its name, and by its name and place where the first is taken. */
export function namesFor(facts: Pick<PlaceFacts, 'workspace' | 'dataFolder'>): [string, string] {
  const folder = join(facts.dataFolder, 'backups');
  const name = basename(facts.workspace) || 'workspace';
  const mark = createHash('sha256').update(facts.workspace).digest('hex').slice(0, 4);
  return [join(folder, name), join(folder, `${name}-${mark}`)];
}

/** A folder outside of the work tree comes first: what removes the work tree leaves it alone. */
export function placesFor(facts: PlaceFacts): Place[] {
  const { workspace, isContainer, mounted, used } = facts;
  const [byName, byPlace] = namesFor(facts);
  const isTaken = used.has(byName);
  const outside: Place[] = [
    { kind: 'outside', path: isTaken ? byPlace : byName, diesWithContainer: isContainer },
    ...(isTaken
      ? [{ kind: 'outside-used' as const, path: byName, diesWithContainer: isContainer }]
      : []),
  ];
  const inside: Place = {
    kind: 'workspace',
    path: join(workspace, 'backups'),
    diesWithContainer: false,
  };
  if (!isContainer) return [...outside, inside];
  const [mount] = mounted;
  const onMount: Place[] =
    mount === undefined
      ? []
      : [
          {
            kind: 'mounted',
            path: join(mount, 'sqlite-backups', basename(workspace) || 'workspace'),
            diesWithContainer: false,
          },
        ];
  return [...onMount, inside, ...outside];
}

/**
 * Of the lines of `/proc/mounts`, the folders of disks that outlive a container. What the container and the editor
 * mount for themselves is left out, and so is what the work tree is in.
 */
export function mountedFolders(mounts: string, workspace: string): string[] {
  const ours =
    /^\/(proc|sys|dev|run|etc|tmp|boot|usr|lib\w*|bin|sbin|vscode|\.codespaces)(\/|$)|\/\.vscode|^\/$/;
  const disks =
    /^(ext\d|xfs|btrfs|zfs|overlayfs?|9p|virtiofs|fuse\.\w+|fuse|fakeowner|nfs\d?|cifs|drvfs|apfs)$/;
  return mounts.split('\n').flatMap((line) => {
    const [, escaped = '', type = '', options = ''] = line.split(' ');
    const folder = escaped.replace(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(parseInt(octal, 8)),
    );
    const holdsWorkspace = workspace === folder || workspace.startsWith(`${folder}/`);
    const isWritable = options.split(',').includes('rw');
    const isUsable = disks.test(type) && isWritable && !ours.test(folder) && !holdsWorkspace;
    return isUsable ? [folder] : [];
  });
}
