/** The backup as a private, proved and synced file beside its target: all that a restore does before it touches a name. */
import { chmodSync, chownSync, existsSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BackupError, explain, isBackupError } from '../errors.ts';
import { sha256File } from '../files/digests.ts';
import { fileIdentity } from '../files/paths.ts';
import { syncFile, syncFolder } from '../files/sync.ts';
import type { SnapshotHooks } from '../job.ts';
import { retarget } from '../snapshot/source.ts';
import type { Permissions } from '../manifest/manifest.ts';
import { absorbSiblings } from '../sqlite/absorb.ts';
import { checkDatabase } from '../sqlite/check.ts';
import { restoreJournalMode } from '../sqlite/contents.ts';
import { differingContents, isSeenDamage } from '../verify/verdict.ts';
import { makeReadableCopy } from '../sqlite/guardedCopy.ts';
import { type IntentItem, livePath, makeStage, stagedPath, stageFolder } from './intent.ts';
import {
  type FileState,
  freeSetAside,
  hasContent,
  hasHardLinks,
  linkOrCopy,
  mainOf,
  parts,
  statesOf,
} from './parts.ts';
import { factsOf, fetchSource, type SourceFacts } from './source.ts';
import { type Goal, sideOf } from './states.ts';

/** Copies an item's database out of the backup, proves the copy, and makes it as its application had it. */
export async function stageBackup(
  id: string,
  item: IntentItem,
  backup: string,
  { onProgress }: Pick<SnapshotHooks, 'onProgress'>,
  { acceptDamaged = false }: { acceptDamaged?: boolean } = {},
): Promise<{ files: FileState[]; facts: SourceFacts }> {
  makeStage(id, item);
  const staged = stagedPath(id, item);
  for (const part of parts) rmSync(staged + part, { force: true });
  const wantedBytes = (await factsOf(backup, item.member, { acceptDamaged })).sizeBytes;
  const tell = (phase: 'stage' | 'hash' | 'check', doneBytes: number): void =>
    onProgress({ phase, doneBytes, totalBytes: wantedBytes });
  try {
    let doneBytes = 0;
    tell('stage', doneBytes);
    const onBytes = (bytes: number): void => tell('stage', (doneBytes += bytes));
    const facts = await fetchSource(backup, item.member, staged, onBytes, { acceptDamaged });
    if (facts.sha256 !== item.sha256)
      throw damaged(backup, 'it is not the backup that the restore started with');
    chmodSync(staged, 0o600);
    if (acceptDamaged) {
      settleDamaged(staged, backup);
    } else {
      proveBytes(staged, facts, backup, (doneBytes) => tell('hash', doneBytes));
      restoreJournalMode(staged, facts.journalMode);
      tell('check', 0);
      proveContent(staged, facts, backup);
    }
    for (const { part } of statesOf(staged)) {
      giveModeAndOwner(staged + part, livePath(item), recordedFor(item, facts));
      syncFile(staged + part);
    }
    syncFolder(stageFolder(id, item));
    const sha256 = sha256File(staged);
    const files = statesOf(staged).map((file) => (file.part === '' ? { ...file, sha256 } : file));
    return { files, facts };
  } catch (error) {
    throw retarget(error, staged, { folder: item.folder, wantedBytes });
  }
}

/** Brings in what its siblings hold, as far as that can be read. */
function settleDamaged(staged: string, backup: string): void {
  if (statesOf(staged).length < 2) return;
  try {
    absorbSiblings(staged, backup);
  } catch (error) {
    if (!isSeenDamage(error)) throw error;
  }
}

/** What was read is what was backed up: hashing the copy proves the reading as well. */
function proveBytes(
  staged: string,
  { sizeBytes, sha256 }: SourceFacts,
  backup: string,
  onProgress: (doneBytes: number) => void,
): void {
  if (sha256 === undefined) return;
  if (statSync(staged).size !== sizeBytes || sha256File(staged, onProgress) !== sha256)
    throw damaged(backup, 'its bytes are not those that were backed up');
}

function proveContent(staged: string, { recorded }: SourceFacts, backup: string): void {
  const check = checkDatabase(staged, { access: 'private' });
  const findings = check.status === 'damaged' ? check.findings : [];
  if (recorded !== undefined && check.contents !== undefined)
    findings.push(...differingContents(recorded, check.contents));
  if (findings.length > 0) throw damaged(backup, findings[0]?.message ?? 'its check failed');
}

function damaged(backup: string, why: string): BackupError {
  return new BackupError('backup-damaged', `${backup} is damaged, so it is not restored: ${why}.`, {
    path: backup,
    hint: 'Choose another backup.',
  });
}

const onlyTheUser = 0o600;

/** As the old file had them, or the one that was backed up where that is gone; a new file belongs to whom its folder belongs to, where that can be. */
export function giveModeAndOwner(
  staged: string,
  live: string,
  recorded: Permissions | undefined,
): void {
  const old = statSync(live, { throwIfNoEntry: false }) ?? recorded;
  const owner = old ?? statSync(dirname(live));
  const own = statSync(staged);
  const isRoot = process.getuid?.() === 0;
  if (process.platform !== 'win32' && (own.uid !== owner.uid || own.gid !== owner.gid)) {
    // Only root may give files away; of its own files, a user may change the group to another of its groups.
    if (isRoot) chownSync(staged, owner.uid, owner.gid);
    else if (old !== undefined) tryToChangeGroup(staged, owner.gid);
  }
  chmodSync(staged, old === undefined ? onlyTheUser : old.mode & 0o777);
}

/** Another name is another file, which the backup says nothing of. */
function recordedFor(item: IntentItem, facts: SourceFacts | undefined): Permissions | undefined {
  return facts?.liveName === item.name ? facts.recorded?.permissions : undefined;
}

function tryToChangeGroup(path: string, gid: number): void {
  try {
    chownSync(path, -1, gid);
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined;
    if (code !== 'EPERM') throw error;
  }
}

/** True when the staged file is there as it was proved. */
export function isStaged(id: string, item: IntentItem): boolean {
  const main = item.staged?.find(({ part }) => part === '');
  const path = stagedPath(id, item);
  if (main === undefined || !existsSync(path)) return false;
  if (main.sha256 !== undefined) return sha256File(path) === main.sha256;
  return fileIdentity(path) === main.identity;
}

/** Gives the files of a set-aside a second name in the private folder, from where they go back under the live name. */
export function stageSetAside(id: string, item: IntentItem, setAside: string): FileState[] {
  makeStage(id, item);
  const staged = stagedPath(id, item);
  try {
    noteHardLinks(id, item);
    for (const { part } of statesOf(setAside)) {
      rmSync(staged + part, { force: true });
      linkOrCopy(setAside + part, staged + part, stageFolder(id, item));
    }
    syncFolder(stageFolder(id, item));
    return statesOf(staged).map((file) =>
      fileIdentity(staged + file.part) === fileIdentity(setAside + file.part)
        ? file
        : { ...file, sha256: sha256File(staged + file.part) },
    );
  } catch (error) {
    throw isBackupError(error) ? error : explain(error, 'target', item.folder);
  }
}

/** Known before the first state of a file is taken: without hard links it needs a hash. */
function noteHardLinks(id: string, item: IntentItem): void {
  if (!hasHardLinks(stageFolder(id, item))) item.byContent = true;
}

/** The old files as they are now, and the name that will keep them. */
export function rememberOld(id: string, item: IntentItem, now: Date): void {
  makeStage(id, item);
  const live = livePath(item);
  noteHardLinks(id, item);
  item.old = statesOf(live).map((file) =>
    item.byContent === true && file.part !== '-shm'
      ? { ...file, sha256: sha256File(live + file.part) }
      : file,
  );
  if (item.old.length > 0) item.setAside = freeSetAside(item.folder, item.name, now);
}

/** Codes of a file whose content SQLite does not take for a database: it has no whole, and no program reads it. */
const noDatabase = ['corrupt', 'not-a-database', 'encrypted-or-not-sqlite', 'newer-format'];

/**
 * Makes the whole of one side as a single private file, where its siblings have content: what stands under the live name
 * while they change. `isHeld`: a program may be writing to it, so that perhaps none can be made.
 */
export function stageWhole(
  id: string,
  item: IntentItem,
  goal: Goal,
  { isHeld = false }: { isHeld?: boolean } = {},
): void {
  const { files, whole, wholeState } = sideOf(id, item, goal);
  if (mainOf(files) === undefined || !files.some(hasContent)) return;
  if (wholeState !== undefined && existsSync(whole)) return;
  const from = goal === 'new' ? item.from : item.setAside;
  const kept = from === undefined ? undefined : join(item.folder, from);
  const source = kept !== undefined && existsSync(kept) ? kept : livePath(item);
  makeStage(id, item);
  try {
    const copy = makeReadableCopy(source, stageFolder(id, item));
    giveModeAndOwner(copy, livePath(item), undefined);
    syncFile(copy);
    renameSync(copy, whole);
    syncFolder(stageFolder(id, item));
    const [state] = statesOf(whole);
    if (state === undefined) return;
    const made = item.byContent === true ? { ...state, sha256: sha256File(whole) } : state;
    if (goal === 'old') item.wholeOld = made;
    else item.wholeNew = made;
  } catch (error) {
    const known = explain(error, 'target', item.folder);
    if (noDatabase.includes(known.code) || (isHeld && known.code === 'source-busy')) return;
    throw known;
  }
}
