/*
 * The databases of a work tree follow its branch. After a switch, in this order: the state that lies there is kept under
 * the name of the old branch, all databases at one moment where that can be had -> the last state of the new branch comes
 * back where it has other migrations or another schema, no program has the file open and git does not track it. What
 * cannot be replaced now stays of the old branch, and the next look tries again.
 */
import { existsSync, statSync } from 'node:fs';
import { dirname, relative, resolve, sep } from 'node:path';
import { takeCheckpoints } from '../checkpoint/checkpoint.ts';
import { checkpointsFolder, type StoredCheckpoint, storedIn } from '../checkpoint/store.ts';
import { explain, fromPlainError, type PlainError, toPlainError } from '../errors.ts';
import { realPathOf } from '../files/paths.ts';
import type { KeepOut, RestoreHooks } from '../job.ts';
import type { Manifest } from '../manifest/manifest.ts';
import { whileClaimed } from '../restore/claim.ts';
import { liveStateOf } from '../sqlite/siblings.ts';
import {
  type BranchRecord,
  fileMark,
  readBranchRecord,
  whileAlone,
  withArrived,
  writeBranchRecord,
} from './branchRecord.ts';
import { keeperOf, keptOf, label, notKept, noteFor, stateOfBranch, type Taking } from './kept.ts';
import { copyStampOf, provedCopyOf, putBack, whileIdle } from './putBack.ts';
import {
  asItIsNow,
  branchesOf,
  databasesOf,
  isOfTree,
  type WorkTree,
  workTreeOf,
} from './repository.ts';
import { copyFromMain, type CopiedDatabase } from './worktrees.ts';

export interface SyncRequest {
  /** In the work tree. */
  in: string;
  /** `keep`: only keeps, and says what it would restore. */
  how: 'restore' | 'keep';
  /** The branch that the caller knows of. When another one is checked out by now, nothing is done. */
  onlyTo?: string | undefined;
  /** Copies databases that the main work tree has into this one. */
  copies: boolean;
  taking: Taking;
}

export interface SyncedDatabase {
  /** Relative to the work tree. */
  path: string;
  /**
   * `none`: the branch has no state yet. `same`: its state has the same migrations. `wanted`: it would be restored.
   * `held`: a program has it open. `failed`: `error` says why.
   */
  outcome: 'restored' | 'same' | 'none' | 'wanted' | 'held' | 'failed' | 'tracked' | 'shared';
  /** The checkpoint with what lay there. */
  kept?: string;
  /** Why it was not kept, or not replaced. */
  error?: PlainError;
}

export interface Synced {
  top: string;
  from: string | undefined;
  /** Undefined for a detached head. */
  to: string | undefined;
  /**
   * `busy`: git is in the middle of a rebase, a bisect or a merge. `first`: from now on the branch is remembered. `moved`:
   * the branch is not `onlyTo`.
   */
  state: 'switched' | 'same' | 'busy' | 'detached' | 'first' | 'moved';
  databases: SyncedDatabase[];
  copied: CopiedDatabase[];
}

/** Looks at the branch of a work tree, and brings its databases in line. */
export async function syncBranches(request: SyncRequest, hooks: RestoreHooks): Promise<Synced> {
  const tree = workTreeOf(resolve(request.in));
  const onWait = (): void => hooks.onProgress({ phase: 'copy', doneBytes: 0, totalBytes: 0 });
  // Git may have gone on while this waited.
  return whileAlone(tree.top, onWait, () => syncAlone(asItIsNow(tree), request, hooks));
}

async function syncAlone(
  tree: WorkTree,
  { how, onlyTo, copies, taking }: SyncRequest,
  hooks: RestoreHooks,
): Promise<Synced> {
  const { top, branch: to, isBusy } = tree;
  const copied = copies && tree.isLinked ? await copyFromMain(tree, taking, hooks) : [];
  const record = readBranchRecord(top);
  const answer: Synced = { top, from: record?.branch, to, state: 'same', databases: [], copied };
  if (onlyTo !== undefined && onlyTo !== to) return { ...answer, state: 'moved' };
  if (isBusy) return { ...answer, state: 'busy' };
  if (to === undefined && record === undefined) return { ...answer, state: 'detached' };
  if (record === undefined) {
    writeBranchRecord({ top, branch: to ?? '', others: {} });
    return { ...answer, state: 'first' };
  }
  if (record.branch === to && Object.keys(record.others).length === 0) return answer;
  const sync = new Sync(tree, record, { how, taking }, hooks);
  const databases = await sync.run();
  // On a detached head the databases stay those of the branch before.
  if (to === undefined) return { ...answer, state: 'detached', databases };
  const behind = databases.filter(({ outcome }) => ['wanted', 'held', 'failed'].includes(outcome));
  const others = Object.fromEntries(
    behind.map(({ path }) => [path, sync.ofBranch(path)] as const).filter(([, one]) => one !== to),
  );
  writeBranchRecord({ top, branch: to, others });
  return { ...answer, state: 'switched', databases };
}

interface Following {
  /** Relative to the work tree. */
  path: string;
  real: string;
  /** Of which branch its state is. */
  from: string;
  /** What `liveStateOf` said before it was kept. */
  expected: string;
  kept?: StoredCheckpoint;
  /** `kept` was taken just now, with its content hashed. */
  isNew?: boolean;
}

class Sync {
  readonly #tree: WorkTree;
  #record: BranchRecord;
  readonly #how: SyncRequest['how'];
  readonly #taking: SyncRequest['taking'];
  readonly #hooks: RestoreHooks;
  readonly #folder: string;
  /** No other database is followed after this one. */
  #isLast = false;

  constructor(
    tree: WorkTree,
    record: BranchRecord,
    { how, taking }: Pick<SyncRequest, 'how' | 'taking'>,
    hooks: RestoreHooks,
  ) {
    this.#tree = tree;
    this.#record = record;
    this.#how = how;
    this.#taking = taking;
    this.#hooks = hooks;
    this.#folder = checkpointsFolder(taking.checkpoints);
  }

  /** Of which branch a database is now: one whose replacement has failed may have been replaced all the same. */
  ofBranch(path: string): string {
    return this.#record.others[path] ?? this.#record.branch;
  }

  async run(): Promise<SyncedDatabase[]> {
    const { top, branch: to } = this.#tree;
    const found = databasesOf(this.#tree);
    const nameOf = (path: string): string => relative(top, path).split(sep).join('/');
    const left = found.filter(({ kind }) => kind !== 'own');
    const own = found.filter(({ kind }) => kind === 'own').map(({ path }) => path);
    const gone = to === undefined ? [] : this.#goneOf(to, own);
    const following = [...own, ...gone]
      .map((path): Following => {
        const real = realPathOf(path);
        const name = nameOf(path);
        return { path: name, real, from: this.ofBranch(name), expected: liveStateOf(real) };
      })
      .filter(({ from }) => from !== to);
    const replaces = this.#how === 'restore' && to !== undefined;
    const keepOutSoon = (): void => {
      if (replaces && following.length > 0) this.#hooks.onKeepOutSoon?.();
    };
    // The capture is needed first, so the process that locks starts after it.
    const failures = await this.#keep(following, keepOutSoon);
    const synced: SyncedDatabase[] = [];
    for (const one of following) {
      const error = failures.get(one.real);
      this.#isLast = one === following.at(-1);
      synced.push(
        error === undefined
          ? await this.#follow(one)
          : { path: one.path, outcome: 'failed', error },
      );
    }
    return [
      ...synced,
      ...left.map(({ path, kind }) => ({ path: nameOf(path), outcome: kind as 'tracked' })),
    ];
  }

  /** The process that captures large ones starts while SQLite looks at them. */
  #warm(following: readonly Following[]): void {
    const { capturing } = this.#hooks;
    const isLarge = ({ real }: Following): boolean =>
      (statSync(real, { throwIfNoEntry: false })?.size ?? 0) >=
      (capturing?.fewestBytes ?? Infinity);
    if (following.some(isLarge)) capturing?.warm?.();
  }

  /** Databases that the new branch has a state of, and that are not there. Where their folder is gone, they stay gone. */
  #goneOf(to: string, own: readonly string[]): string[] {
    const known = new Set(own.map(realPathOf));
    const paths = storedIn(this.#folder)
      .filter(({ manifest }) => manifest.branches?.some(({ name }) => name === to))
      .flatMap(({ manifest: { livePath } }) => livePath ?? [])
      .filter((path) => !known.has(path) && !existsSync(path))
      .filter((path) => isOfTree(this.#tree, path) && existsSync(dirname(path)));
    return [...new Set(paths)];
  }

  /** What could not be kept, by real path. `onHeld` is called when all that is to be kept is held. */
  async #keep(
    following: readonly Following[],
    onHeld: () => void = () => undefined,
  ): Promise<Map<string, PlainError>> {
    const wanted: Following[] = [];
    for (const one of following.filter(({ real }) => existsSync(real))) {
      const keeper = keeperOf(keptOf(this.#folder, one.real), one.real);
      if (keeper === undefined) wanted.push(one);
      if (keeper === undefined) delete one.kept;
      else one.kept = keeper;
    }
    const failed = new Map<string, PlainError>();
    if (wanted.length === 0) onHeld();
    else {
      this.#warm(wanted);
      const cause = { kind: 'branch', text: wanted[0]?.from ?? '' };
      const databases = wanted.map(({ real, path }) => ({ database: real, recordAs: { path } }));
      const { checkpoints, unchanged, failures } = await takeCheckpoints(
        { ...this.#taking, cause, databases, force: false },
        { ...this.#hooks, beforePublish: () => Promise.resolve(), onHeld },
      );
      for (const { database, error } of failures) failed.set(database, error);
      const stored = storedIn(this.#folder);
      for (const { database, path } of [...checkpoints, ...unchanged]) {
        const one = wanted.find(({ real }) => real === database);
        const kept = stored.find((each) => each.path === path);
        if (one === undefined || kept === undefined) continue;
        one.kept = kept;
        one.isNew = checkpoints.some((each) => each.path === path);
      }
      // Nothing is replaced that is not kept.
      for (const { real, kept } of wanted)
        if (kept === undefined && !failed.has(real)) failed.set(real, toPlainError(notKept(real)));
    }
    for (const one of following) if (one.kept !== undefined) this.#name(one, one.kept);
    return failed;
  }

  /** The name goes from an older state of the branch to this one. */
  #name({ real, from: name, isNew }: Following, kept: StoredCheckpoint): void {
    const at = new Date().toISOString();
    // Without a stamp the content is hashed before it is put back.
    const copy = (isNew === true ? copyStampOf(kept.path) : provedCopyOf(kept)) ?? '';
    const without = (before: Manifest): NonNullable<Manifest['branches']> =>
      (before.branches ?? []).filter((one) => one.name !== name);
    label(kept, (before) => ({
      branches: [...without(before), { name, copy, at }],
    }));
    for (const other of keptOf(this.#folder, real))
      if (other.path !== kept.path && other.manifest.branches?.some((one) => one.name === name))
        label(other, (before) => ({ branches: without(before) }));
  }

  async #follow(one: Following): Promise<SyncedDatabase> {
    const { path, real } = one;
    const { branch: to } = this.#tree;
    const answer = (): Pick<SyncedDatabase, 'path' | 'kept'> => ({
      path,
      ...(one.kept !== undefined && { kept: one.kept.id }),
    });
    if (to === undefined) return { ...answer(), outcome: 'none' };
    const found = stateOfBranch(keptOf(this.#folder, real), to);
    if (found === undefined) return { ...answer(), outcome: 'none' };
    const { state, copy } = found;
    if (one.kept !== undefined && hasSameMigrations(one.kept.manifest, state.manifest))
      return { ...answer(), outcome: 'same' };
    if (this.#how === 'keep') return { ...answer(), outcome: 'wanted' };
    const { manifest } = state;
    try {
      await whileClaimed([real], () =>
        whileIdle(real, async () => {
          await this.#keepWhatWasWritten(one);
          const options = {
            ...{ keepOut: this.#keepOut, expected: one.expected },
            beforeReplace: (staged: string) => this.#expect(path, to, staged),
          };
          const stamp = await putBack({ path: state.path, manifest, copy }, real, options);
          noteFor(state, () => ({ stamp }));
        }),
      );
      return { ...answer(), outcome: 'restored' };
    } catch (error) {
      const why = toPlainError(explain(error, 'target', real));
      return { ...answer(), outcome: why.code === 'target-in-use' ? 'held' : 'failed', error: why };
    } finally {
      this.#write(withArrived(this.#record));
    }
  }

  /** While one database is replaced, what keeps programs out of the next one starts. */
  readonly #keepOut: KeepOut = (paths) => {
    const kept = this.#hooks.keepOut(paths);
    if (!this.#isLast) this.#hooks.onKeepOutSoon?.();
    return kept;
  };

  /** Written before the database is replaced: a process that is killed there leaves no doubt of which branch it is. */
  #expect(path: string, branch: string, staged: string): void {
    const file = fileMark(staged);
    if (file !== undefined) this.#write({ ...this.#record, arriving: { path, branch, file } });
  }

  #write(record: BranchRecord): void {
    if (record === this.#record) return;
    writeBranchRecord(record);
    this.#record = record;
  }

  /** A program may have written since the state was kept. */
  async #keepWhatWasWritten(one: Following): Promise<void> {
    const now = liveStateOf(one.real);
    if (now === one.expected) return;
    one.expected = now;
    const error = (await this.#keep([one])).get(one.real);
    if (error !== undefined) throw fromPlainError(error);
  }
}

/** A tool that pushes a schema without migrations leaves only that to tell by. */
function hasSameMigrations(one: Manifest, other: Manifest): boolean {
  const stateOf = ({ migrations = [], facts }: Manifest): string =>
    JSON.stringify([migrations, facts.schemaFingerprint, facts.userVersion]);
  return stateOf(one) === stateOf(other);
}

/** Takes their names from the states of deleted branches. The states go when they are old. */
export function cleanUpBranches({
  in: folder,
  checkpoints,
}: {
  in: string;
  checkpoints?: string | undefined;
}): { branch: string; path: string; id: string }[] {
  const tree = workTreeOf(resolve(folder));
  const alive = branchesOf(tree);
  const record = readBranchRecord(tree.top);
  for (const one of [record?.branch, ...Object.values(record?.others ?? {})])
    if (one !== undefined) alive.add(one); // What lies there is of it.
  const removed: { branch: string; path: string; id: string }[] = [];
  for (const one of storedIn(checkpointsFolder(checkpoints))) {
    const { livePath = '', branches = [] } = one.manifest;
    if (!isOfTree(tree, livePath)) continue;
    const dead = branches.filter(({ name }) => !alive.has(name));
    if (dead.length === 0) continue;
    label(one, ({ branches: now = [] }) => ({
      branches: now.filter(({ name }) => !dead.some((each) => each.name === name)),
    }));
    const path = relative(tree.top, livePath);
    removed.push(...dead.map(({ name }) => ({ branch: name, path, id: one.id })));
  }
  return removed;
}
