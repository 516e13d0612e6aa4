/** Whether backups in a folder are worth what they seem: can they be written, will they outlive the database, are they good? */
import { spawnSync } from 'node:child_process';
import { constants, copyFileSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { type CatalogEntry, listAll } from '../catalog/catalog.ts';
import { explain } from '../errors.ts';
import { sharedFileSystem } from '../files/fileSystem.ts';
import { realPathOf } from '../files/paths.ts';
import { freeBytes } from '../files/space.ts';
import { firstMissingFolder, makePrivateFolder } from '../files/workplace.ts';
import { knownIdentityOf } from '../manifest/identity.ts';
import { findGitFolder } from '../snapshot/gitHead.ts';
import { formatBytes } from '../units.ts';
import { type Check, looked, note, ok, problem } from './check.ts';
import { mayWrite } from './environment.ts';

const dayMs = 24 * 60 * 60 * 1000;
const oldDays = 7;
const longUntestedDays = 90;

export interface NamedDatabase {
  path: string;
  /** As the report calls it. */
  title: string;
}

export async function checkBackupsFolder(
  folder: string,
  databases: readonly NamedDatabase[],
  now: Date,
): Promise<Check[]> {
  const path = resolve(folder);
  const missing = firstMissingFolder(path);
  const existing = missing === undefined ? path : dirname(missing);
  if (!statSync(existing).isDirectory())
    return [problem(`${existing} is a file, not a folder.`, 'Choose another backups folder.')];
  if (!mayWrite(existing))
    return [
      problem(`${existing} cannot be written.`, 'Change its permissions, or choose another.'),
    ];
  const checks = [
    missing === undefined
      ? ok('It can be written.')
      : note('It does not exist yet: the first backup makes it.'),
    ...(await looked('Its place', () => checkPlace(existing, path, databases))),
  ];
  if (missing !== undefined) return checks;
  const clones = await looked('Whether it can clone', () => checkClones(path));
  return [...checks, ...clones, ...(await checkBackups(path, databases, now))];
}

/** Synced folders bring files to other machines, at their own pace, and some take them off this one to save room. */
const synced =
  /[/\\](Dropbox|OneDrive[^/\\]*|Google ?Drive|GoogleDrive[^/\\]*|iCloud ?Drive|Mobile Documents|CloudStorage|Nextcloud|ownCloud|pCloud[^/\\]*|MEGA|Syncthing|Sync)([/\\]|$)/i;

function checkPlace(existing: string, path: string, databases: readonly NamedDatabase[]): Check[] {
  const sizes = databases.map(
    ({ path: one }) => statSync(one, { throwIfNoEntry: false })?.size ?? 0,
  );
  const needed = sizes.reduce((sum, size) => sum + size, 0);
  const free = freeBytes(existing);
  const shared = sharedFileSystem(existing);
  const device = statSync(existing).dev;
  const isSameDisk = databases.some(
    ({ path: one }) => statSync(one, { throwIfNoEntry: false })?.dev === device,
  );
  return [
    free < needed
      ? problem(
          `It has ${formatBytes(free)} free, and one backup of each database takes ${formatBytes(needed)}.`,
          'Free some space, or let the retention remove old backups.',
        )
      : ok(`${Number.isFinite(free) ? formatBytes(free) : 'An unknown amount'} free.`),
    ...(shared === undefined ? [] : [note(`It is on a shared file system (${shared}).`)]),
    ...(isSameDisk
      ? [
          note(
            'It is on the same disk as the databases: a broken disk takes both.',
            'Copy backups to another disk or machine from time to time.',
          ),
        ]
      : []),
    ...checkWorkTree(existing, path),
    ...(synced.test(realpathSync(existing) + sep)
      ? [
          note(
            'A cloud client seems to sync it. It may upload a backup while it is written, or keep only a placeholder of it here.',
            'Keep it available offline, and verify backups from time to time.',
          ),
        ]
      : []),
  ];
}

function checkWorkTree(existing: string, path: string): Check[] {
  if (findGitFolder(existing) === undefined) return [];
  const { status, error } = spawnSync('git', ['check-ignore', '-q', '--', path], {
    cwd: existing,
    stdio: 'ignore',
    timeout: 5000,
  });
  const advice = 'Choose a folder outside of the repository.';
  const text = 'It is inside a git work tree';
  if (error !== undefined || (status !== 0 && status !== 1))
    return [note(`${text}, and git could not tell whether it is ignored.`, advice)];
  return status === 0
    ? [note(`${text} and ignored: git clean -fdX removes the backups.`, advice)]
    : [
        problem(
          `${text} and not ignored: git add may commit the backups, and git clean -fd removes them.`,
          `${advice} Or add it to .gitignore.`,
        ),
      ];
}

function checkClones(folder: string): Check[] {
  const scratch = makePrivateFolder(folder);
  try {
    const file = join(scratch.path, 'file');
    writeFileSync(file, 'x'.repeat(4096));
    copyFileSync(file, join(scratch.path, 'clone'), constants.COPYFILE_FICLONE_FORCE);
    return [ok('Its disk can clone files: copies on the same disk share their blocks.')];
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EINVAL', 'ENOTTY', 'EXDEV'].includes(String(code)))
      return [];
    throw explain(error, 'target', folder);
  } finally {
    scratch.remove();
  }
}

async function checkBackups(
  folder: string,
  databases: readonly NamedDatabase[],
  now: Date,
): Promise<Check[]> {
  return looked('Its backups', async () => {
    const { entries } = await listAll(folder);
    const own = entries.filter(({ foreign }) => !foreign);
    const damaged = own.filter(({ verified }) => verified === 'damaged');
    const total = own.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const [firstDamaged] = damaged;
    return [
      ok(`${own.length === 1 ? '1 backup' : `${own.length} backups`}, ${formatBytes(total)}.`),
      ...(firstDamaged === undefined
        ? []
        : [
            problem(
              `${damaged.length === 1 ? '1 backup is' : `${damaged.length} backups are`} damaged, such as ${basename(firstDamaged.path)}.`,
              'Take a new backup, then delete the damaged ones.',
            ),
          ]),
      ...databases.flatMap((database) => checkAge(database, own, now)),
    ];
  });
}

function checkAge(
  { title, path }: NamedDatabase,
  entries: readonly CatalogEntry[],
  now: Date,
): Check[] {
  const of = `${title}: `;
  const id = knownIdentityOf(realPathOf(path));
  const backups = id === undefined ? [] : entries.filter((entry) => isOf(id, entry));
  // Newest first.
  const good = backups.find(({ verified }) => verified === 'ok' || verified === 'partial');
  if (good === undefined)
    return [problem(`${of}there is no good backup of it here.`, 'Back it up.')];
  const age = daysBetween(good.createdAt, now);
  const tested = backups
    .flatMap(({ kept }) => (kept?.drill?.status === 'ok' ? [kept.drill.at] : []))
    .sort()
    .at(-1);
  const test =
    tested === undefined
      ? note(`${of}no backup of it has had a test restore yet.`, 'Run verify --drill on one.')
      : daysBetween(tested, now) > longUntestedDays
        ? note(
            `${of}the last test restore was ${daysBetween(tested, now)} days ago.`,
            'Run verify --drill on the newest backup.',
          )
        : ok(`${of}the last test restore was ${ago(daysBetween(tested, now))}.`);
  return [
    age > oldDays
      ? note(`${of}the newest good backup is ${age} days old.`, 'Back it up.')
      : ok(`${of}the newest good backup is from ${ago(age)}.`),
    test,
  ];
}

function isOf(id: string, { group, bundle }: CatalogEntry): boolean {
  return group === id || bundle?.databases.some((one) => one.id === id) === true;
}

function daysBetween(iso: string, now: Date): number {
  return Math.max(0, Math.floor((now.getTime() - Date.parse(iso)) / dayMs));
}

function ago(days: number): string {
  if (days === 0) return 'the last 24 hours';
  return days === 1 ? '1 day ago' : `${days} days ago`;
}
