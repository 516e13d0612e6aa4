/**
 * One restore: what is remembered of it, what is known at the moment, and what goes on. The steps change it, the view
 * shows it. What is on disk decides; this remembers.
 */
import { BackupError, isBackupError } from '../core/errors.ts';
import type { Holder, HoldersKnown } from '../core/holders/holders.ts';
import type { Progress } from '../core/job.ts';
import type { RestorePlan } from '../core/restore/plan.ts';
import type { Proof } from '../core/restore/proof.ts';
import type { Interrupted } from '../core/restore/recovery.ts';
import type { ApplyRequest, RestoreRequest } from '../core/restore/request.ts';
import type { StepId } from '../core/runbook/runbook.ts';
import type { CallOptions } from '../worker/client.ts';
import type { Health, Host } from './host.ts';
import {
  type Ending,
  isCopied,
  type Kept,
  keptOf,
  type Run,
  type RunItem,
  setAsidesOf,
} from './run.ts';

export interface Busy {
  step: StepId | 'undo';
  text: string;
  /** False for what would be half-done when it was stopped. */
  canCancel: boolean;
  progress?: Progress;
}

export interface Failure {
  step: Busy['step'];
  text: string;
  /** Of looking who has it open: over as soon as it can be looked again. */
  isOfLook: boolean;
}

export interface Seen {
  holders: Holder[];
  known: HoldersKnown;
  /** What only these programs still have: it ends with them. */
  lost: SeenLost[];
}

/** Deleted or replaced files of a live database that a program has open. */
export interface SeenLost {
  live: string;
  pid: number;
  program: string;
  /** Of the files: `app.db-wal`. */
  names: string[];
  /** The same as long as the program has the same files open. */
  key: string;
}

export interface Openers {
  /** Called like a program that had a database open before it was stopped. */
  known: Holder[];
  /** A viewer of databases, for example. */
  unknown: Holder[];
  /** They were not stopped, so they may have the previous database open. */
  unstopped: Holder[];
}

export interface Compared {
  plan: RestorePlan;
  /** Of the backup just before: another file under its name makes the comparison stale. */
  backupState: string | undefined;
  /** ISO 8601. */
  at: string;
}

const busyTimeoutMs = 5000;

export class Restoration {
  readonly run: Run;
  readonly host: Host;
  /** While something goes on no button does anything, so none is to be shown as if it did. */
  isActing = false;
  busy: Busy | undefined;
  failure: Failure | undefined;
  /** Of all databases that were chosen then. */
  compared: Compared | undefined;
  /** Who has the live databases open; undefined before the first look. */
  seen: Seen | undefined;
  /** What the person lets go on: what cannot be seen, and these processes. */
  agreed: { unseen: boolean; open: number[] };
  interrupted: Interrupted | undefined;
  proofs: Proof[] | undefined;
  health: Health | undefined;
  readonly #listeners = new Set<() => void>();
  #abort: AbortController | undefined;

  constructor(run: Run, host: Host) {
    this.run = run;
    this.host = host;
    this.agreed = { unseen: false, open: run.accepted ?? [] };
  }

  onDidChange(listener: () => void): { dispose: () => void } {
    this.#listeners.add(listener);
    return { dispose: () => this.#listeners.delete(listener) };
  }

  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  dispose(): void {
    this.#abort?.abort();
    this.#listeners.clear();
  }

  /** What the restore of the chosen databases would do; undefined until all of them were compared. */
  get plan(): RestorePlan | undefined {
    const { compared, chosen } = this;
    if (compared === undefined || chosen.length === 0) return undefined;
    const { plan } = compared;
    const items = chosen.flatMap(
      ({ live, member }) =>
        plan.items.find((item) => item.target === live && item.member === member) ?? [],
    );
    const isWhole = items.length === plan.items.length;
    // A verdict of damage is about all that were looked at, so it says nothing of some of them.
    const isKnown = items.length === chosen.length && (isWhole || plan.verified !== 'damaged');
    return isKnown ? { ...plan, items } : undefined;
  }

  /** What there is to tell of this restore, also when nothing is left to compare. */
  get knownPlan(): RestorePlan | undefined {
    return this.plan ?? this.run.planned;
  }

  /** What an exported runbook is about: a restore over the live database, as it was decided. */
  get exportable(): RestorePlan | undefined {
    return this.run.destination === 'beside' ? undefined : (this.run.planned ?? this.plan);
  }

  get chosen(): RunItem[] {
    return this.run.items.filter(({ chosen }) => chosen);
  }

  get livePaths(): string[] {
    return this.chosen.map(({ live }) => live);
  }

  /** What is restored to where, as it stands. */
  get request(): RestoreRequest {
    return this.requestFor(this.run.besides ?? this.livePaths);
  }

  /** `targets`: one for each chosen database. */
  requestFor(targets: string[]): RestoreRequest {
    const items = this.chosen.map(({ member, live }, index) => ({
      target: targets[index] ?? live,
      ...(member !== undefined && { member }),
    }));
    return { backup: this.run.backup, items };
  }

  applyRequest(liveStates: string[], { ignoreHolders }: { ignoreHolders: boolean }): ApplyRequest {
    const { host, request } = this;
    return {
      ...{ ...request, busyTimeoutMs, ignoreHolders, liveStates, toolVersion: host.toolVersion },
      // The card of the plan says what is not proved, and the question before the move does.
      acceptUnproved: true,
      ...(this.run.acceptsDamaged === true && { acceptDamaged: true }),
      ...(host.backupsFolder !== undefined && { folder: host.backupsFolder }),
      recordAs: request.items.map(({ target }) => host.recordAs(target)),
    };
  }

  /** The previous databases that are kept, as far as they exist. */
  get setAsides(): string[] {
    return setAsidesOf(this.run).filter((path) => this.host.exists(path));
  }

  /** What an undo would put back. */
  get toPutBack(): Kept[] {
    return keptOf(this.run).filter(({ path }) => this.host.exists(path));
  }

  /** Those that are gone from the disk. */
  get missingSetAsides(): string[] {
    const { putBack = [] } = this.run;
    return setAsidesOf(this.run).filter(
      (path) => !this.host.exists(path) && !putBack.includes(path),
    );
  }

  /** True when the person has agreed to go on with what is seen to be open, or with what cannot be seen. */
  get hasAgreed(): boolean {
    const holders = this.seen?.holders ?? [];
    return holders.length === 0
      ? this.agreed.unseen
      : holders.every(({ pid }) => this.agreed.open.includes(pid));
  }

  /** What was neither saved nor given up. */
  get unsaved(): SeenLost[] {
    const { settled = [] } = this.run;
    return (this.seen?.lost ?? []).filter(({ key }) => !settled.includes(key));
  }

  /** Who has the live databases open after the copy, told apart by what is known of the time before. */
  get openers(): Openers {
    const { accepted = [], programs = [] } = this.run;
    const { extensionsPid } = this.host;
    const openers: Openers = { known: [], unknown: [], unstopped: [] };
    for (const holder of this.seen?.holders ?? []) {
      if (holder.isOurs === true) continue; // A backup or a check reads it, and is soon gone.
      if (accepted.includes(holder.pid)) openers.unstopped.push(holder);
      else if (holder.pid !== extensionsPid && programs.includes(holder.name))
        openers.known.push(holder);
      else openers.unknown.push(holder);
    }
    return openers;
  }

  get canUndo(): boolean {
    const { run } = this;
    if (run.destination !== 'live' || (run.ending !== undefined && run.ending !== 'kept'))
      return false;
    return this.setAsides.length > 0 || (run.moved !== undefined && !isCopied(run));
  }

  namesOf(paths: string[]): string {
    return paths.map((path) => this.host.nameOf(path)).join(', ');
  }

  /** Runs one piece of work with its progress on the page. Undefined when it failed or was cancelled. */
  async work<T>(
    step: Busy['step'],
    text: string,
    action: (options: CallOptions) => Promise<T>,
    { canCancel = true } = {},
  ): Promise<T | undefined> {
    this.#abort = new AbortController();
    this.busy = { step, text, canCancel };
    this.failure = undefined;
    this.changed();
    try {
      return await action({
        signal: this.#abort.signal,
        onProgress: (progress) => {
          this.busy = { step, text, canCancel, progress };
          this.changed();
        },
      });
    } catch (error) {
      this.fail(step, error);
      return undefined;
    } finally {
      this.busy = undefined;
      this.#abort = undefined;
      this.changed();
    }
  }

  cancel(): void {
    if (this.busy?.canCancel === true) this.#abort?.abort();
  }

  /** Throws what is no BackupError: a defect is not the person's. */
  fail(step: Busy['step'], error: unknown, { isOfLook = false } = {}): void {
    if (!isBackupError(error)) throw error;
    if (error.code === 'cancelled') return;
    this.failure = { step, text: this.host.explain(error), isOfLook };
    if (step === 'move' || step === 'copy') this.host.note('restore', this.run.backup, error);
    if (step === 'undo') this.host.note('undo', this.run.backup, error);
  }

  /** Fails a step because of programs that have the database open. */
  failInUse(step: StepId, why: string): void {
    this.fail(step, new BackupError('target-in-use', why));
  }

  record(step: StepId, text: string): void {
    this.run.log.push({ step, at: new Date().toISOString(), text });
  }

  async finish(step: StepId, text: string, how: 'done' | 'confirmed' = 'done'): Promise<void> {
    this.run.done[step] = { at: new Date().toISOString(), how };
    this.record(step, text);
    await this.keep();
  }

  async end(ending: Ending, text: string): Promise<void> {
    this.run.ending = ending;
    if (ending === 'undone' || ending === 'elsewhere') this.record('clean-up', text);
    else {
      await this.finish('clean-up', text);
      this.host.note('clean-up', text, 'ok');
    }
    await this.keep();
  }

  async keep(): Promise<void> {
    await this.host.save(this.run);
    this.changed();
  }
}
