/*
 * From live databases to private copies, the part that snapshots and bundles share; proving.ts goes on from there. The order
 * of the steps is the guarantee: look at the files -> pin an instant -> copy -> unpin -> compare. The sources are only ever
 * read.
 */
import { join } from 'node:path';
import { explain, isBackupError, type PlainError, toPlainError } from '../errors.ts';
import type { DigestsFor, Purpose } from '../files/digests.ts';
import { stepBytes } from '../files/earlySync.ts';
import { createPrivateFile } from '../files/publish.ts';
import { requireSpace } from '../files/space.ts';
import type { WalIndex } from '../files/walIndex.ts';
import type { LostFiles } from '../holders/lost.ts';
import type { CaptureProcess, RecordAs, SnapshotHooks } from '../job.ts';
import { type CutLabel, type Facts, type Finding, type Method } from '../manifest/manifest.ts';
import type { Pace } from '../pause.ts';
import { compactInto } from '../sqlite/compact.ts';
import { type Contents, differingFacts } from '../sqlite/contents.ts';
import { pin } from '../sqlite/pin.ts';
import { capture, type Held, isWorthCapturing, settleCaptured } from './capture.ts';
import { takeCut } from './cut.ts';
import { PinWatch, requireHeldDuring } from './pinWatch.ts';
import { copyPinned } from './pinnedCopy.ts';
import { isWorthPreparing, prepareAll } from './prepare.ts';
import { incomplete, settle, settleIn } from './settle.ts';
import {
  inspectLost,
  inspectSource,
  openWherePossible,
  type Readable,
  requireSize,
  retarget,
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
  purpose: Purpose;
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

/** A copy that is held back for longer is a burden itself: the WAL grows as long as it is read. */
const mostGentleMs = 60_000;

/**
 * One run over one or several databases. What is wrong with one of them is in `failures`, and the others go on; what is
 * wrong with the target ends all.
 */
export class Copying {
  readonly #failures: CopyFailure[] = [];
  #cut: { label: CutLabel; reason?: string } = { label: 'one-instant' };
  readonly #request: CopyRequest;
  readonly #hooks: CopyHooks;
  #lastDigests: Promise<unknown> = Promise.resolve();
  /** The real path of the folder that people know, for messages. */
  #folder = '';
  /** A private folder in it, for the copies. */
  #scratch = '';

  constructor(request: CopyRequest, hooks: CopyHooks) {
    this.#request = request;
    this.#hooks = hooks;
  }

  /** Whether the copies share an instant, and why not. */
  get cut(): Readonly<{ label: CutLabel; reason?: string }> {
    return this.#cut;
  }

  get failures(): readonly CopyFailure[] {
    return this.#failures;
  }

  #fail({ database }: { database: string }, error: unknown): void {
    this.#failures.push({ database, error: toPlainError(explain(error, 'target', this.#folder)) });
  }

  /** Runs `action` for one database; what it throws is that database's failure, unless the target is to blame. */
  attempt<T>(one: { database: string }, action: () => T): T | undefined {
    try {
      return action();
    } catch (error) {
      if (isBackupError(error) && error.code === 'target-full') throw error;
      this.#fail(one, error);
      return undefined;
    }
  }

  /** Fails where the copies have no space. A database that may be cloned needs none for certain. */
  requireSpaceIn(folder: string, members: Member[]): void {
    const { capturing } = this.#request.method === 'compact' ? {} : this.#hooks;
    const copied = members.filter((member) => !isWorthCapturing({ member }, capturing));
    requireSpace(folder, sum(copied.map(({ source }) => source.sizeBytes)));
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
    return this.#request.method === 'compact' ? this.#compactAll(members) : this.#copyAll(members);
  }

  async #copyAll(members: Member[]): Promise<Copied[]> {
    const readable = this.#findReadable(members);
    const isLarge = readable.some((one) => isWorthCapturing(one, this.#hooks.capturing));
    const capturing = isLarge ? this.#hooks.capturing?.start() : undefined;
    try {
      // Nothing is held while it starts.
      await capturing?.readIndexes([]).catch(() => undefined);
      const prepared = await prepareAll(
        capturing,
        readable.filter((one) => isWorthPreparing(one, this.#hooks.capturing)),
        { folder: this.#folder, scratch: this.#scratch, onProgress: this.#hooks.onProgress },
      );
      return await this.#copyHeld(await this.#pinAll(readable, capturing), capturing, prepared);
    } finally {
      capturing?.end();
    }
  }

  async #copyHeld(
    held: Held[],
    capturing: CaptureProcess | undefined,
    prepared: ReadonlyMap<string, string>,
  ): Promise<Copied[]> {
    const at = new Date();
    try {
      this.#hooks.onHeld?.(held.map(({ member }) => member.source.path));
      const bytesOf = ({ pin: { facts } }: Held): number => facts.pageCount * facts.pageSize;
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
      let spaceIsDueBytes = 0;
      const onStep = (wroteBytes: number): Pace => {
        for (const watch of watches) watch.look();
        const doneBytes = Math.min(before + wroteBytes, totalBytes);
        // Before its first byte, a capture may still be by clone, which needs next to no space.
        if (wroteBytes > 0 && doneBytes >= spaceIsDueBytes) {
          requireSpace(this.#folder, totalBytes - doneBytes);
          spaceIsDueBytes = doneBytes + stepBytes;
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
          const digests = this.#digestBeside(copy);
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
          if (isBackupError(error) && error.code === 'target-full') throw error;
          this.#fail(member, error);
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
        this.#fail(member, failures.get(path));
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
    return members.flatMap((member, index) => {
      const copied = this.attempt(member, () =>
        this.#compactOne(member, join(this.#scratch, `copy-${index}.db`)),
      );
      return copied === undefined ? [] : [copied];
    });
  }

  #compactOne(member: Member, copy: string): Copied {
    const { source } = member;
    this.#hooks.onProgress({ phase: 'copy', doneBytes: 0, totalBytes: source.sizeBytes });
    createPrivateFile(copy);
    const at = new Date();
    const { before, after, watch } = openWherePossible(
      source,
      this.#scratch,
      ({ path, byHand }) => {
        try {
          const { busyTimeoutMs, verify: check } = this.#request;
          const newWatch = (): PinWatch => new PinWatch(source, { facts: undefined, byHand });
          // In WAL mode it is held apart from the compacting, whose own hold ends too soon. In rollback mode a waiting
          // writer would keep the second connection out.
          const isWal = source.journalMode === 'wal';
          const held = isWal ? pin(path, busyTimeoutMs, source.path) : undefined;
          const watched = isWal
            ? undefined
            : (run: () => void) => requireHeldDuring(run, copy, newWatch);
          try {
            const watch = newWatch();
            const options = { busyTimeoutMs, shownAs: source.path, check, watched };
            const compacted = compactInto(path, copy, options);
            if (held !== undefined) watch.requireHeld();
            return { ...compacted, watch };
          } finally {
            held?.release();
          }
        } catch (error) {
          throw retarget(error, copy, { folder: this.#folder, wantedBytes: source.sizeBytes });
        }
      },
    );
    const contents = settleIn(copy, this.#folder);
    const differs = (facts: Facts): Finding[] =>
      differingFacts({ ...facts, pageCount: contents.facts.pageCount }, contents.facts);
    if (differs(before).length > 0 && differs(after).length > 0)
      throw incomplete(differs(after), source.path);
    return {
      ...member,
      copy,
      journalMode: after.journalMode,
      contents,
      at,
      warnings: watch.findings(),
      isCloned: false,
      digests: this.#digestBeside(copy),
    };
  }

  /** The check keeps this thread busy, and so does the copy of the next database. */
  #digestBeside(copy: string): Copied['digests'] {
    const { digestBeside } = this.#hooks;
    if (!this.#request.verify || digestBeside === undefined) return undefined;
    // One at a time: a thread for each of hundreds of small databases would be a burden.
    const digests = this.#lastDigests.then(() => digestBeside(copy, this.#request.purpose));
    // It is awaited later; until then a failure must not count as unhandled, and it is none of the next.
    this.#lastDigests = digests.catch(() => undefined);
    return () => digests;
  }
}

export function sum(numbers: number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
