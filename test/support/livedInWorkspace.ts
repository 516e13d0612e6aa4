// A workspace as it looks after weeks of use, for tests and pictures: node test/support/livedInWorkspace.ts FOLDER
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join, resolve } from 'node:path';
import type { Manifest } from '../../src/core/manifest/manifest.ts';
import { snapshot } from './databases.ts';
import { createSampleWorkspace } from './sampleWorkspace.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** The manifest of a backup; undefined when it has none. */
export function readManifest(backup: string): Manifest | undefined {
  const path = `${backup}.json`;
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Manifest) : undefined;
}

function editManifest(backup: string, change: (manifest: Manifest) => Manifest): void {
  const manifest = readManifest(backup);
  if (manifest === undefined) throw new Error(`${backup} has no manifest`);
  writeFileSync(`${backup}.json`, JSON.stringify(change(manifest), undefined, 2));
}

/** Backs up `database`, a path in the workspace, into `backups/`, and dates the backup `ageMs` back. */
export async function backUpAsOf(folder: string, database: string, ageMs: number): Promise<string> {
  const { path } = await snapshot(join(folder, database), {
    recordAs: { path: database, workspace: basename(folder) },
    folder: join(folder, 'backups'),
  });
  const at = new Date(Date.now() - ageMs);
  const time = at.toISOString().replace(/[-:]/g, '').replace('T', '_').slice(0, 15);
  const dated = path.replace(/_\d{8}_\d{6}Z(-\d+)?/, `_${time}Z`);
  if (dated !== path) {
    renameSync(path, dated);
    renameSync(`${path}.json`, `${dated}.json`);
  }
  editManifest(dated, (manifest) => ({ ...manifest, createdAt: at.toISOString() }));
  return dated;
}

/**
 * A sample workspace with four databases: `data/app.db` with `count` backups over weeks (one pinned, one with a note, one
 * damaged, one proved restorable), `data/sessions.db` that was written long after its only backup, `data/cache.db`
 * without any, and `old.db` that is gone. Beside the backups lie two files of other tools.
 */
export async function createLivedInWorkspace(folder: string, count = 24): Promise<void> {
  createSampleWorkspace(folder);
  for (const copy of ['data/cache.db', 'old.db']) {
    cpSync(join(folder, 'data/sessions.db'), join(folder, copy));
  }
  const made: string[] = [];
  for (let index = 0; index < count; index++) {
    const ageMs = index < 3 ? index * hourMs + 60_000 : (index - 2) * 1.7 * dayMs;
    made.push(await backUpAsOf(folder, 'data/app.db', ageMs));
  }
  const [, proved, pinned, damaged, noted] = made;
  if (proved !== undefined) {
    const at = new Date().toISOString();
    editManifest(proved, (manifest) => ({
      ...manifest,
      drill: { status: 'ok', at, findings: [] },
    }));
  }
  if (pinned !== undefined) {
    editManifest(pinned, (manifest) => ({
      ...manifest,
      pinned: true,
      note: 'before migration 0042',
    }));
  }
  if (damaged !== undefined) writeFileSync(damaged, readFileSync(damaged).subarray(0, 8192));
  if (noted !== undefined) {
    editManifest(noted, (manifest) => ({ ...manifest, note: 'as delivered to the customer' }));
  }
  await backUpAsOf(folder, 'data/sessions.db', 12 * dayMs);
  for (const days of [3, 9, 20]) await backUpAsOf(folder, 'old.db', days * dayMs);
  rmSync(join(folder, 'old.db'));
  for (const [name, days] of [
    ['corescope-backup-1700000000.db', 5],
    ['graph_tracker_20261001_120000.sqlite', 40],
  ] as const) {
    const path = join(folder, 'backups', name);
    cpSync(join(folder, 'data/sessions.db'), path);
    const at = new Date(Date.now() - days * dayMs);
    utimesSync(path, at, at);
  }
}

if (process.argv[1] === import.meta.filename) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) {
    console.error('Usage: node test/support/livedInWorkspace.ts FOLDER');
    process.exitCode = 2;
  } else {
    mkdirSync(folder, { recursive: true });
    await createLivedInWorkspace(resolve(folder));
  }
}
