/*
 * From live databases to private copies, the part that snapshots and bundles share; proving.ts goes on from there. The order
 * of the steps is the guarantee: look at the files -> pin an instant -> copy -> unpin -> compare. The sources are only ever
 * read.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type BackupError, explain, type PlainError, toPlainError } from '../errors.ts';
import type { DigestsFor, Purpose } from '../files/digests.ts';
import { stepBytes } from '../files/earlySync.ts';
import { requireSpace } from '../files/space.ts';
import type { WalIndex } from '../files/walIndex.ts';
import type { LostFiles } from '../holders/lost.ts';
import type { CaptureProcess, RecordAs, SnapshotHooks } from '../job.ts';
import type { CutLabel, Finding, Method } from '../manifest/manifest.ts';
import type { Pace } from '../pause.ts';
import type { Contents } from '../sqlite/contents.ts';
import { pin } from '../sqlite/pin.ts';
import { capture, type Held, isWorthCapturing, settleCaptured } from './capture.ts';
import { compactCopy } from './compactCopy.ts';
import { takeCut } from './cut.ts';
import { PinWatch } from './pinWatch.ts';
import { copyPinned } from './pinnedCopy.ts';
import { isWorthPreparing, prepareAll } from './prepare.ts';
import { fullFor, isFull, removeUnfinished, smallestFirst, withoutRoom } from './room.ts';
import { settle } from './settle.ts';
import {
  inspectLost,
  inspectSource,
  openWherePossible,
  type Readable,
  requireSize,
  type Source,
} from './source.ts';

export interface CopyRequest {
  databases: {
    database: string;
    recordAs: RecordAs;
    /** The files to be copied, instead of those beside the name. */
    lost?: LostFiles;
    /** Of a checkpoint, for its manifest. */
    stamp?: string | undefined;
  }[];
  method: Method;
  verify: boolean;
  busyTimeoutMs: number;
  largestBytes: number;
}

export type CopyHooks = Pick<
  SnapshotHooks,
  'onProgress' | 'onNote' | 'onHeld' | 'digestBeside' | 'capturing'
>;

export interface CopyFailure {
  /** As asked for. */
  database: string;
  error: PlainError;
}

export interface Member {
  /** As asked for. */
  database: string;
  recordAs: RecordAs;
  stamp: string | undefined;
  source: Source;
}

export interface Copied extends Member {
  /** The private copy. */
  copy: string;
  /** Of the database at the instant of the copy. */
  journalMode: string;
  contents: Contents;
  at: Date;
  warnings: Finding[];
  /** It shares its blocks with the database. */
  isCloned: boolean;
  /** Ends what is read beside what this thread does, where that gains time. */
  digests: ((onRead: (doneBytes: number) => void) => Promise<DigestsFor>) | undefined;
}

/** Check and digest take a core each: then commits of a program wait until one of them gives way. */
const fewCores = availableParallelism() <= 2;
/** A copy that is held back for longer is a burden itself: the WAL grows as long as it is read. */
const mostGentleMs = 60_000;

/**
 * One run over one or several databases. What is wrong with one of them is in `failures`, also that the target has no room
 * for it, and the others go on; what else is wrong with the target ends all.
 */
export class Copying {
  readonly #failures: CopyFailure[] = [];
  #cut: { label: CutLabel; reason?: string } = { label: 'one-instant' };
  readonly #request: CopyRequest;
  readonly #hooks: CopyHooks;
  #full: BackupError | undefined;
  readonly #purpose: Purpose;
  #turn = 0;
  readonly #lastDigests: Promise<unknown>[] = [];
  /** The real path of the folder that people know, for messages. */
  #folder = '';
  /** A private folder in it, for the copies. */
  #scratch = '';

  constructor(request: CopyRequest, hooks: CopyHooks, purpose: Purpose) {
    this.#request = request;
    this.#hooks = hooks;
    this.#purpose = purpose;
  }

  /** Whether the copies share an instant, and why not. */
  get cut(): Readonly<{ label: CutLabel; reason?: string }> {
    return this.#cut;
  }

  get failures(): readonly CopyFailure[] {
    return this.#failures;
  }

  fail({ database }: { database: string }, error: unknown): void {
    const known = explain(error, 'target', this.#folder);
    const isFullForOne = isFull(known) && this.#request.databases.length > 1;
    if (isFull(known)) this.#full ??= known;
    const failure = isFullForOne ? fullFor(database, known) : known;
    this.#failures.push({ database, error: toPlainError(failure) });
  }

  /** Runs `action` for one database; what it throws is that database's failure. */
  attempt<T>(one: { database: string }, action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      this.fail(one, error);
      return undefined;
    }
  }

  /** Those that the folder has room for. A database that may be cloned needs none for certain. */
  fitting(folder: string, members: Member[]): Member[] {
    const { capturing } = this.#request.method === 'compact' ? {} : this.#hooks;
    const copied = members.filter((member) => !isWorthCapturing({ member }, capturing));
    const refused = withoutRoom(folder, copied, ({ source }) => source.sizeBytes);
    for (const [member, error] of refused) this.fail(member, error);
    const left = members.filter((member) => !refused.has(member));
    this.requireAny(left);
    return left;
  }

  /** Throws where nothing was made and the target alone is to blame: then that is one failure, and not one of each database. */
  requireAny(made: readonly unknown[]): void {
    const isTarget = this.#failures.every(({ error }) => error.code === 'target-full');
    if (made.length === 0 && this.#full !== undefined && isTarget) throw this.#full;
  }

  /** Looks at each database before anything is opened or created. A file under two names counts once. */
  inspect(): Member[] {
    const members = new Map<string, Member>();
    const { largestBytes } = this.#request;
    for (const { database, recordAs, lost, stamp } of this.#request.databases) {
      const source = this.attempt({ database }, () =>
        lost === undefined
          ? inspectSource(database, largestBytes)
          : inspectLost(database, lost, largestBytes),
      );
      if (source === undefined || members.has(source.identity)) continue;
      members.set(source.identity, { database, recordAs, stamp, source });
    }
    return [...members.values()];
  }

  /** Copies the databases at one instant, or each by itself when they are to be compacted. */
  async copy(members: Member[], place: { folder: string; scratch: string }): Promise<Copied[]> {
    this.#folder = place.folder;
    this.#scratch = place.scratch;
    const isCompact = this.#request.method === 'compact';
    const copied = await (isCompact ? this.#compactAll(members) : this.#copyAll(members));
    return members.flatMap(
      (member) => copied.find(({ database }) => database === member.database) ?? [],
    );
  }

  async #copyAll(members: Member[]): Promise<Copied[]> {
    const readable = this.#findReadable(members);
    const isLarge = readable.some((one) => isWorthCapturing(one, this.#hooks.capturing));
    const start = async (): Promise<void> => {
      capturing?.end();
      capturing = isLarge ? this.#hooks.capturing?.start() : undefined;
      // Nothing is held while it starts.
      await capturing?.readIndexes([]).catch(() => undefined);
    };
    let capturing: CaptureProcess | undefined;
    try {
      await start();
      const { prepared, failures } = await prepareAll(capturing, readable, {
        ...{ folder: this.#folder, scratch: this.#scratch, onProgress: this.#hooks.onProgress },
        isWorth: (one) => isWorthPreparing(one, this.#hooks.capturing),
      });
      for (const [{ member }, error] of failures) this.fail(member, error);
      // A copy that ends early ends its process.
      if (failures.size > 0) await start();
      const left = readable.filter((one) => !failures.has(one));
      const held = await this.#pinAll(left, capturing);
      return await this.#copyHeld(held, capturing, prepared);
    } finally {
      capturing?.end();
    }
  }

  async #copyHeld(
    pinned: Held[],
    capturing: CaptureProcess | undefined,
    prepared: ReadonlyMap<string, string>,
  ): Promise<Copied[]> {
    const at = new Date();
    const bytesOf = ({ pin: { facts } }: Held): number => facts.pageCount * facts.pageSize;
    const held = smallestFirst(pinned, bytesOf);
    try {
      this.#hooks.onHeld?.(held.map(({ member }) => member.source.path));
      const totalBytes = sum(held.map(bytesOf));
      const copied: Copied[] = [];
      let before = sum(held.filter(({ member }) => prepared.has(member.source.path)).map(bytesOf));
      const watches = held.map(
        ({ member, byHand, pin: { facts } }) => new PinWatch(member.source, { facts, byHand }),
      );
      const gentleUntil = performance.now() + mostGentleMs;
      let current = 0;
      // No program can write to a database in rollback mode while it is held: that must be short above all.
      const makesNobodyWait = (): boolean =>
        held.slice(current).every(({ member: { source } }) => source.journalMode === 'wal');
      let [spaceIsDueBytes, ownBytes] = [0, 0];
      const onStep = (wroteBytes: number): Pace => {
        for (const watch of watches) watch.look();
        const doneBytes = Math.min(before + wroteBytes, totalBytes);
        // Before its first byte, a capture may still be by clone, which needs next to no space.
        if (wroteBytes > 0 && wroteBytes >= spaceIsDueBytes) {
          requireSpace(this.#folder, Math.max(0, ownBytes - wroteBytes));
          spaceIsDueBytes = wroteBytes + stepBytes;
        }
        this.#hooks.onProgress({ phase: 'copy', doneBytes, totalBytes });
        const isWritten = watches.some((watch) => watch.isWritten);
        return { gently: isWritten && performance.now() < gentleUntil && makesNobodyWait() };
      };
      for (const [index, one] of held.entries()) {
        const { member } = one;
        const { facts } = one.pin;
        const ready = prepared.get(member.source.path);
        const isPrepared = ready !== undefined;
        const copy = ready ?? join(this.#scratch, `copy-${index}.db`);
        // What is prepared has been counted, and has its space.
        const step = isPrepared ? () => onStep(0) : onStep;
        current = index;
        [spaceIsDueBytes, ownBytes] = [0, bytesOf(one)];
        try {
          const captured =
            capturing && isWorthCapturing(one, this.#hooks.capturing)
              ? await capture(capturing, one, { copy, isPrepared }, step, this.#hooks.onNote)
              : undefined;
          const to = { copy, folder: this.#folder };
          if (captured === undefined) await copyPinned(one.pin, to, step);
          watches[index]?.requireHeld();
          one.pin.release();
          const contents =
            captured === undefined
              ? settle(copy, facts, this.#folder)
              : settleCaptured(copy, one, captured, this.#folder);
          const warnings = watches[index]?.findings() ?? [];
          const isCloned = captured?.means === 'clone';
          const isBusy = watches.some((watch) => watch.isWritten);
          const digests = this.#digestBeside(copy, { isCloned, waits: isBusy && fewCores });
          copied.push({
            ...member,
            copy,
            journalMode: facts.journalMode,
            contents,
            at,
            warnings,
            isCloned,
            digests,
          });
        } catch (error) {
          removeUnfinished(copy);
          this.fail(member, error);
        }
        if (!isPrepared) before += bytesOf(one);
      }
      return copied;
    } finally {
      for (const { pin: one } of held) one.release();
    }
  }

  /** Opens each database once for a moment: what cannot be read must not keep the others from a shared instant. */
  #findReadable(members: Member[]): (Readable & { member: Member })[] {
    return members.flatMap((member) => {
      const readable = this.attempt(member, () =>
        openWherePossible(member.source, this.#scratch, (candidate) => {
          pin(candidate.path, this.#request.busyTimeoutMs, member.source.path).release();
          return candidate;
        }),
      );
      return readable === undefined ? [] : [{ ...readable, member }];
    });
  }

  async #pinAll(
    readable: (Readable & { member: Member })[],
    capturing: CaptureProcess | undefined,
  ): Promise<Held[]> {
    if (readable.length === 0) return [];
    const shownAs = new Map(readable.map(({ path, member }) => [path, member.source.path]));
    const { busyTimeoutMs, largestBytes } = this.#request;
    const paths = [...shownAs.keys()];
    let indexes: (WalIndex | undefined)[] = [];
    const look =
      capturing &&
      (async () => {
        indexes = await capturing.readIndexes(paths).catch(() => []);
      });
    const { pins, failures, isExact, ...cut } = await takeCut(
      paths,
      (path, timeoutMs) => pin(path, timeoutMs, shownAs.get(path)),
      busyTimeoutMs,
      { look },
    );
    // A copy by hand was made before the others were pinned.
    const copied = readable.find(({ byHand }) => byHand !== undefined);
    this.#cut =
      copied === undefined || readable.length === 1
        ? cut
        : {
            label: 'per-database',
            reason: `${copied.member.source.path} could not be opened in place, so it was copied before the others.`,
          };
    return readable.flatMap(({ member, path, byHand }) => {
      const one = pins.get(path);
      if (one === undefined) {
        this.fail(member, failures.get(path));
        return [];
      }
      const isAcceptable = this.attempt(member, () => {
        // What is still in the WAL counts as well.
        requireSize(member.source.path, one.facts.pageCount * one.facts.pageSize, largestBytes);
        return true;
      });
      const wal = indexes[paths.indexOf(path)];
      if (isAcceptable === true) return [{ member, byHand, pin: one, wal, isExact }];
      one.release();
      return [];
    });
  }

  #compactAll(members: Member[]): Copied[] {
    if (members.length > 1) {
      this.#cut = {
        label: 'per-database',
        reason: 'Compact copies cannot be taken at the same moment.',
      };
    }
    return smallestFirst(members, ({ source }) => source.sizeBytes).flatMap((member, index) => {
      const copy = join(this.#scratch, `copy-${index}.db`);
      const { source } = member;
      this.#hooks.onProgress({ phase: 'copy', doneBytes: 0, totalBytes: source.sizeBytes });
      const place = { copy, folder: this.#folder, scratch: this.#scratch };
      const compacted = this.attempt(member, () => compactCopy(source, place, this.#request));
      if (compacted === undefined) removeUnfinished(copy);
      const digests = compacted && this.#digestBeside(copy, { isCloned: false, waits: false });
      return compacted === undefined ? [] : [{ ...member, ...compacted, digests }];
    });
  }

  /**
   * The check keeps this thread busy, and so does the copy of the next database. `waits`: until the check has ended. Without
   * a check, this thread makes every third digest itself, and waits for the disk meanwhile as the others do.
   */
  #digestBeside(
    path: string,
    { isCloned, waits }: { isCloned: boolean; waits: boolean },
  ): Copied['digests'] {
    const { digestBeside } = this.#hooks;
    const { verify } = this.#request;
    if (digestBeside === undefined) return undefined;
    const digest = () =>
      digestBeside({ path, purpose: this.#purpose, isUnread: isCloned && !verify });
    if (verify && waits) return digest;
    const turn = verify ? 1 : this.#turn++ % 3;
    if (turn === 0 || waits) return undefined;
    // A thread for each of hundreds of small databases would be a burden.
    const before = this.#lastDigests[turn];
    const digests = (before ?? Promise.resolve()).then(digest);
    // It is awaited later; until then a failure must not count as unhandled, and it is none of the next.
    this.#lastDigests[turn] = digests.catch(() => undefined);
    return () => digests;
  }
}

export function sum(numbers: number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
