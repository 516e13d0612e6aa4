/**
 * Baselines: checkpoints with a name that stay, to begin each run of tests, or a rehearsal, from the same state. The
 * content is proved when the name is given. Later the stamp of the file tells that it is still the same.
 */
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { type Checkpoints, takeCheckpoints } from '../checkpoint/checkpoint.ts';
import { readStamp } from '../checkpoint/stamp.ts';
import {
  checkpointsFolder,
  makeCheckpointsFolder,
  type StoredCheckpoint,
  storedIn,
} from '../checkpoint/store.ts';
import { compareDatabases } from '../compare/compare.ts';
import { BackupError, explain, fromPlainError, isBackupError } from '../errors.ts';
import { realPathOf } from '../files/paths.ts';
import type { RecordAs, RestoreHooks, SnapshotHooks } from '../job.ts';
import { whileClaimed } from '../restore/claim.ts';
import { resolveTarget } from '../restore/target.ts';
import { liveStateOf, siblingsOf } from '../sqlite/siblings.ts';
import { recordVerdict, type Verdict } from '../verify/verdict.ts';
import { verifyBackup } from '../verify/verifyBackup.ts';
import { keeperOf, keepFirst, keptOf, label, noteFor, type Taking } from './kept.ts';
import { copyStampOf, putBack, whileIdle } from './putBack.ts';

export interface KeepBaselineRequest {
  name: string;
  databases: { database: string; recordAs: RecordAs }[];
  /** Gives the name to the state of now when an older one has it. */
  replace: boolean;
  taking: Taking;
}

const longestName = 200;

/** Takes checkpoints of the databases, proves them whole, and gives them the name. */
export async function keepBaseline(
  { name, databases, replace, taking }: KeepBaselineRequest,
  hooks: SnapshotHooks,
): Promise<Checkpoints> {
  if (name.trim() === '' || name.length > longestName)
    throw new BackupError('bad-name', `A baseline has a name of 1 to ${longestName} characters.`);
  const folder = makeCheckpointsFolder(taking.checkpoints);
  const taken = databases.find(({ database }) => named(keptOf(folder, database), name));
  if (taken !== undefined && !replace)
    throw new BackupError('name-taken', `${taken.database} already has a baseline "${name}".`, {
      path: taken.database,
      hint: 'Choose another name, or add --replace.',
    });
  const result = await takeCheckpoints({ ...taking, databases, force: false }, hooks);
  const verdicts = new Map<string, Verdict>();
  const verdictOf = async (path: string): Promise<Verdict> => {
    const known = verdicts.get(path);
    if (known !== undefined) return known;
    const verdict = await verifyBackup({ path, drill: false, folder }, hooks.onProgress);
    verdicts.set(path, verdict);
    return verdict;
  };
  const unfit = new Set<string>();
  for (const { path, database } of result.unchanged) {
    // A checkpoint has one name.
    if ((storedAt(folder, path)?.manifest.baseline?.name ?? name) !== name) unfit.add(database);
    const verdict = await verdictOf(path);
    if (verdict.status !== 'damaged') continue;
    recordVerdict(verdict);
    unfit.add(database);
  }
  if (unfit.size > 0) await takeAgain(result, unfit, { databases, taking }, hooks);
  const kept = [...result.checkpoints, ...result.unchanged];
  // All are saved and proved before the first gets the name.
  const [failure] = result.failures;
  if (failure !== undefined) throw noneHas(name, failure);
  for (const { path, database } of kept) {
    const { status, findings } = await verdictOf(path);
    if (status === 'unchecked')
      throw new BackupError(
        'incomplete',
        `${database} was saved, but is no baseline yet, because it could not be checked: ${findings[0]?.message ?? status}`,
        { path: database, hint: 'Try again.' },
      );
    if (status === 'damaged')
      throw new BackupError(
        'backup-damaged',
        `${database} was saved, but is no baseline: ${findings[0]?.message ?? status}`,
        { path: database, hint: 'Mend the database, or try again.' },
      );
  }
  for (const { path, database } of kept) {
    label({ path }, ({ pinned, baseline: before }) => ({
      pinned: true,
      baseline: {
        ...{ name, copy: copyStampOf(path) },
        ...((before === undefined ? pinned : before.wasPinned) === true && { wasPinned: true }),
      },
    }));
    // The newest keeps it, which may be that of another process. A kill before this leaves the name to several, and the newest counts.
    const [, ...older] = keptOf(folder, database).filter(
      ({ manifest }) => manifest.baseline?.name === name,
    );
    for (const one of older)
      label(one, ({ baseline, pinned }) =>
        baseline?.name === name
          ? { baseline: undefined, pinned: baseline.wasPinned === true ? pinned : undefined }
          : {},
      );
  }
  return result;
}

function noneHas(name: string, { database, error }: Checkpoints['failures'][number]): BackupError {
  const message = `No database has the baseline "${name}" yet: ${error.message}`;
  return new BackupError(error.code, message, {
    ...{ path: database, cause: fromPlainError(error) },
    ...(error.hint !== undefined && { hint: error.hint }),
    ...(error.facts !== undefined && { facts: error.facts }),
  });
}

/** Takes a second checkpoint of these databases, whose state is in one that cannot have the name. */
async function takeAgain(
  result: Checkpoints,
  unfit: ReadonlySet<string>,
  { databases, taking }: Pick<KeepBaselineRequest, 'databases' | 'taking'>,
  hooks: SnapshotHooks,
): Promise<void> {
  const wanted = databases.filter(({ database }) => unfit.has(realPathOf(database)));
  const again = await takeCheckpoints({ ...taking, databases: wanted, force: true }, hooks);
  result.unchanged = result.unchanged.filter(({ database }) => !unfit.has(database));
  result.checkpoints.push(...again.checkpoints);
  result.failures.push(...again.failures);
}

function storedAt(folder: string, path: string): StoredCheckpoint | undefined {
  return storedIn(folder).find((one) => one.path === path);
}

export interface RestoreBaselineRequest {
  name: string;
  /** One. */
  items: { target: string; recordAs: RecordAs }[];
  /** What lies there may go without a checkpoint of it. */
  discard: boolean;
  taking: Taking;
}

export interface BaselineRestored {
  /** Of the baseline. */
  id: string;
  /** The real path. */
  target: string;
  /** `equal`: it was as the baseline already. */
  outcome: 'restored' | 'equal';
  /** The checkpoint that has what lay there, if there was a file. */
  kept?: string;
  /** What lay there is in no checkpoint. */
  discarded: boolean;
  /** Of what is discarded: the newest state before it that a checkpoint has. */
  lastKept?: { id: string; createdAt: string };
}

/** Puts a baseline back. Throws a BackupError, and then what lay there still does. */
export async function restoreBaseline(
  { name, items: [item], discard, taking }: RestoreBaselineRequest,
  hooks: RestoreHooks,
): Promise<BaselineRestored> {
  const { realTarget: target } = resolveTarget(item?.target ?? '');
  hooks.onKeepOutSoon?.();
  const replace = async (): Promise<BaselineRestored> => {
    const folder = checkpointsFolder(taking.checkpoints);
    const stored = keptOf(folder, target);
    const baseline = requireBaseline(folder, stored, { name, target });
    const { id, manifest } = baseline;
    const expected = liveStateOf(target);
    const isThere = existsSync(target);
    const keeper = isThere ? keeperOf(stored, target) : undefined;
    if (keeper !== undefined && keeper.id === id)
      return { id, target, outcome: 'equal', kept: id, discarded: false };
    let kept = keeper?.id;
    if (kept === undefined && isThere && !discard) {
      const recordAs = item?.recordAs ?? { path: target };
      kept = await keepFirst(target, recordAs, taking, hooks)
        .then((one) => one?.id)
        .catch((error: unknown) => {
          throw notKept(error, target);
        });
    }
    await hooks.beforePublish();
    const stamp = await putBack(
      { path: baseline.path, manifest, copy: manifest.baseline?.copy },
      target,
      { keepOut: hooks.keepOut, expected, mayGo: discard },
    );
    noteFor(baseline, ({ baseline: now }) => ({
      stamp,
      // Meanwhile the name may have gone to another state.
      ...(now?.name === name && { baseline: { ...now, copy: copyStampOf(baseline.path) } }),
    }));
    const discarded = isThere && kept === undefined;
    const last = discarded ? stored.find((one) => one.id !== id) : undefined;
    return {
      ...{ id, target, outcome: 'restored', discarded },
      ...(kept !== undefined && { kept }),
      ...(last !== undefined && { lastKept: { id: last.id, createdAt: last.manifest.createdAt } }),
    };
  };
  return whileClaimed([target], () => whileIdle(target, replace));
}

export interface BaselineCheck {
  id: string;
  target: string;
  /** How it was told. `rows`: the files differ, and the content is the same. */
  equal: 'stamp' | 'bytes' | 'rows' | false;
  /** Tables with other content, and `schema` where that differs. */
  differs: string[];
}

/** Whether a database still equals its baseline: by stamp, then by content. Only reads. */
export function checkBaseline({
  name,
  target: given,
  checkpoints,
}: {
  name: string;
  target: string;
  checkpoints?: string | undefined;
}): BaselineCheck {
  const { realTarget: target } = resolveTarget(given);
  const folder = checkpointsFolder(checkpoints);
  const stored = keptOf(folder, target);
  const baseline = requireBaseline(folder, stored, { name, target });
  const { id, manifest, path } = baseline;
  if (!existsSync(target))
    throw new BackupError('source-missing', `${target} does not exist.`, {
      path: target,
      hint: `Restore it: sqlite-backup restore --baseline ${JSON.stringify(name)} ${JSON.stringify(target)} --yes`,
    });
  const { text, isSettled } = readStamp(target);
  if (manifest.stamp === text) return { id, target, equal: 'stamp', differs: [] };
  const remember = (): void => {
    if (isSettled && readStamp(target).text === text) noteFor(baseline, () => ({ stamp: text }));
  };
  const isAlone = [...siblingsOf(target).values()].every(({ sizeBytes }) => sizeBytes === 0);
  if (isAlone && statSync(target).size === manifest.sizeBytes) {
    if (hashAsKept(target) === manifest.sha256) {
      remember();
      return { id, target, equal: 'bytes', differs: [] };
    }
  }
  const { tables, schema, notCompared } = compareDatabases(path, target, () => undefined);
  const names = [
    ...tables
      .filter(
        ({ onlyLeft, onlyRight, changed, only, compared }) =>
          !compared || only !== undefined || onlyLeft + onlyRight + changed > 0,
      )
      .map((table) => table.name),
    ...notCompared.map((one) => one.name),
    ...(schema.same ? [] : ['schema']),
  ];
  const differs = [...new Set(names)];
  if (differs.length === 0) remember();
  return { id, target, equal: differs.length === 0 ? 'rows' : false, differs };
}

const chunkBytes = 1024 * 1024;

/** As the file of a checkpoint has it: in rollback mode. */
function hashAsKept(path: string): string {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(chunkBytes);
  const handle = openSync(path, 'r');
  try {
    for (let at = 0; ;) {
      const read = readSync(handle, chunk, 0, chunkBytes, at);
      if (read === 0) return hash.digest('hex');
      if (at === 0 && read > 20) chunk.fill(1, 18, 20);
      hash.update(chunk.subarray(0, read));
      at += read;
    }
  } finally {
    closeSync(handle);
  }
}

function named(stored: readonly StoredCheckpoint[], name: string): StoredCheckpoint | undefined {
  return stored.find(({ manifest }) => manifest.baseline?.name === name);
}

function requireBaseline(
  folder: string,
  ofDatabase: readonly StoredCheckpoint[],
  { name, target }: { name: string; target: string },
): StoredCheckpoint {
  const found = named(ofDatabase, name);
  if (found !== undefined) return found;
  const others = [...new Set(ofDatabase.flatMap(({ manifest }) => manifest.baseline?.name ?? []))];
  const elsewhere = storedIn(folder).find(({ manifest }) => manifest.baseline?.name === name);
  const of = elsewhere?.manifest.livePath ?? elsewhere?.manifest.source.path;
  throw new BackupError('source-missing', `${target} has no baseline "${name}".`, {
    path: target,
    hint:
      others.length > 0
        ? `It has ${others.map((one) => `"${one}"`).join(', ')}.`
        : of !== undefined && elsewhere !== undefined && realPathOf(of) !== target
          ? `It is a baseline of ${of}. To begin from that here: sqlite-backup restore ${elsewhere.id} ${JSON.stringify(target)} --yes`
          : `Make one: sqlite-backup checkpoint ${JSON.stringify(target)} --baseline ${JSON.stringify(name)}`,
  });
}

/** Without a checkpoint of it, what lies there stays. */
function notKept(error: unknown, target: string): unknown {
  const why = explain(error, 'source', target);
  if (!isBackupError(why)) return error;
  return new BackupError(why.code, `${target} could not be saved first: ${why.message}`, {
    path: target,
    hint: `${why.hint ?? ''} Nothing was replaced. --discard replaces it without saving it.`.trim(),
    cause: error,
  });
}
