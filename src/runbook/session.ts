/*
 * One restore as the page leads through it: what each button does, in which order, and what is known at each moment.
 * Knows nothing of VS Code: the panel lends it what only the editor can do. What is on disk decides; this remembers.
 */
import { dirname, join, parse } from 'node:path';
import type { Holder, HoldersKnown } from '../core/holders.ts';
import type {
  ApplyRequest,
  Interrupted,
  Proof,
  RestorePlan,
  RestoreRequest,
} from '../core/restore.ts';
import type { SetAside } from '../core/setAside.ts';
import type { StepId } from '../core/runbook.ts';
import type { Progress } from '../core/snapshot.ts';
import { BackupError, isBackupError } from '../core/errors.ts';
import type { CallOptions, WorkerClient } from '../worker/client.ts';
import { currentStep, type Ending, type Run, type RunItem } from './run.ts';

/** What only the editor can do, or knows. */
export interface Host {
  worker: Pick<WorkerClient, 'call'>;
  toolVersion: string;
  /** Where safety snapshots and archives go; undefined when no backups folder was chosen. */
  backupsFolder: string | undefined;
  tasks: { stop: string; start: string };
  healthUrl: string;
  recordAs: (path: string) => { path: string; workspace?: string | undefined };
  /** A path as the person knows it. */
  nameOf: (path: string) => string;
  exists: (path: string) => boolean;
  /** The path itself, or with `-2`, `-3` … when something is there. */
  freePath: (path: string) => string;
  /** An error in words. */
  explain: (error: BackupError) => string;
  /** A modal question; true for yes. */
  confirm: (question: { message: string; detail: string; yes: string }) => Promise<boolean>;
  /** Runs a task of the workspace to its end; undefined when a task goes on in the background. */
  runTask: (name: string, purpose: 'stop' | 'start') => Promise<{ exitCode: number | undefined }>;
  /** Asks the application how it is. */
  askHealth: (url: string) => Promise<{ ok: boolean; text: string }>;
  showSchema: (plan: RestorePlan, item: number) => Promise<void>;
  exportRunbook: (plan: RestorePlan, run: Run) => Promise<void>;
  save: (run: Run) => Promise<void>;
  /** Tells the log, and the audit log of what was done. */
  note: (what: 'restore' | 'undo' | 'clean-up', text: string, result: 'ok' | BackupError) => void;
  t: (message: string, ...values: (string | number)[]) => string;
}

export interface Busy {
  step: StepId | 'undo';
  text: string;
  progress?: Progress;
}

export interface Seen {
  holders: Holder[];
  known: HoldersKnown;
  /** ISO 8601. */
  at: string;
}

const busyTimeoutMs = 5000;

export class RestoreSession {
  readonly run: Run;
  readonly host: Host;
  readonly #listeners = new Set<() => void>();
  plan: RestorePlan | undefined;
  /** ISO 8601. */
  plannedAt: string | undefined;
  busy: Busy | undefined;
  failure: { step: StepId | 'undo'; text: string } | undefined;
  /** Who has the live databases open; undefined until somebody has looked. */
  seen: Seen | undefined;
  interrupted: Interrupted | undefined;
  proofs: Proof[] | undefined;
  health: { ok: boolean; text: string } | undefined;
  stopConfirmed = false;
  #abort: AbortController | undefined;
  #isLooking = false;

  constructor(run: Run, host: Host) {
    this.run = run;
    this.host = host;
  }

  onDidChange(listener: () => void): { dispose: () => void } {
    this.#listeners.add(listener);
    return { dispose: () => this.#listeners.delete(listener) };
  }

  /** Looks at the disk, then compares. To be called once, and again after the window was reloaded. */
  async open(): Promise<void> {
    await this.#findInterruption();
    if (this.run.restored === undefined && this.run.ending === undefined) await this.#compare();
    else this.#changed();
  }

  /** Does what a button of that id stands for. What fails is told on the page, never thrown. */
  async act(id: string): Promise<void> {
    const action = Object.hasOwn(this.#actions, id) ? this.#actions[id] : undefined;
    const isSchema = /^open-schema-(\d+)$/.exec(id);
    if (isSchema !== null && this.plan !== undefined) {
      await this.host.showSchema(this.plan, Number(isSchema[1]));
    } else if (id === 'cancel' || id === 'cancel-comparison') {
      this.#abort?.abort();
    } else if (action !== undefined && this.busy === undefined) {
      await action();
    }
  }

  async tick(id: string, value: boolean): Promise<void> {
    const item = /^item-(\d+)$/.exec(id);
    if (id === 'confirm-stopped') this.stopConfirmed = value;
    else if (item !== null) {
      const chosen = this.run.items[Number(item[1])];
      if (chosen !== undefined) chosen.chosen = value;
    } else {
      const rest = this.run.ticked.filter((one) => one !== id);
      this.run.ticked = value ? [...rest, id] : rest;
    }
    await this.#keep();
  }

  /** Looks who has the databases open, as long as that matters. The panel calls it every few seconds while it is seen. */
  async look(): Promise<void> {
    const step = currentStep(this.run);
    if (this.#isLooking || this.busy !== undefined || this.run.destination !== 'live') return;
    if (step !== 'stop' && step !== 'restart') return;
    this.#isLooking = true;
    try {
      await this.#lookNow();
      if (step === 'restart' && this.seen !== undefined && this.seen.holders.length > 0) {
        const names = this.seen.holders.map(nameAndPid).join(', ');
        await this.#finish('restart', this.host.t('{0} has it open again.', names));
      }
    } catch (error) {
      this.#fail(step, error);
    } finally {
      this.#isLooking = false;
      this.#changed();
    }
  }

  dispose(): void {
    this.#abort?.abort();
    this.#listeners.clear();
  }

  readonly #actions: Readonly<Record<string, () => Promise<void>>> = {
    'compare-again': () => this.#compare().then(() => undefined),
    'restore-beside': () => this.#decide('beside'),
    'restore-live': () => this.#decide('live'),
    'change-mind': () => this.#decide('undecided'),
    'run-stop-task': () => this.#runTask('stop', this.host.tasks.stop),
    'check-stop': () => this.look(),
    'stop-done': () => this.#stopDone(),
    move: () => this.#move(),
    'check-move': () => this.#checkMove(),
    copy: () => this.#copy(),
    'check-copy': () => this.#checkCopy(),
    'run-start-task': () => this.#runTask('restart', this.host.tasks.start),
    'restart-done': () => this.#finish('restart', this.host.t('Started by hand.'), 'confirmed'),
    'verify-again': () => this.#verify(),
    'verify-done': () => this.#verifyDone(),
    keep: () => this.#end('kept', this.host.t('The old database stays where it is.')),
    archive: () => this.#archive(),
    delete: () => this.#delete(),
    undo: () => this.#undo(),
    finish: () => this.#recover('finish'),
    'roll-back': () => this.#recover('roll-back'),
    export: () => this.#export(),
    dismiss: () => this.#dismiss(),
  };

  get #chosen(): RunItem[] {
    return this.run.items.filter(({ chosen }) => chosen);
  }

  /** What is restored to where, as it stands. */
  get request(): RestoreRequest {
    const { backup, besides } = this.run;
    const items = this.#chosen.map(({ member, live }, index) => ({
      target: besides?.[index] ?? live,
      ...(member !== undefined && { member }),
    }));
    return { backup, items };
  }

  async #compare(): Promise<boolean> {
    const items = this.#chosen.map(({ member, live }) => ({
      target: live,
      ...(member !== undefined && { member }),
    }));
    const text = this.host.t('Proving the backup and comparing…');
    const plan = await this.#work('plan', text, (options) =>
      this.host.worker.call('planRestore', { backup: this.run.backup, items }, options),
    );
    if (plan === undefined) return false;
    this.plan = plan;
    this.plannedAt = new Date().toISOString();
    this.seen = seenIn(plan);
    this.#changed();
    return true;
  }

  async #decide(destination: Run['destination']): Promise<void> {
    const { plan } = this;
    if (plan === undefined || this.run.moved !== undefined) return;
    this.run.destination = destination;
    delete this.run.besides;
    delete this.run.done.plan;
    if (destination === 'undecided') return this.#keep();
    if (destination === 'beside') {
      const names = this.#chosen.map(({ live }) => besideName(live, plan.createdAt));
      this.run.besides = names.map((name) => this.host.freePath(name));
    }
    const verdict = plan.verified === 'ok' ? 'matches its manifest' : plan.verified;
    await this.#finish('plan', this.host.t('The backup was proved again: it {0}.', verdict));
    if (destination === 'beside') await this.#copy();
    else await this.look();
  }

  async #stopDone(): Promise<void> {
    const { t } = this.host;
    const looked = await this.#work('stop', t('Looking once more…'), async () => {
      await this.#lookNow();
      return true;
    });
    if (looked === undefined) return;
    const { holders, known } = this.seen ?? { holders: [], known: 'unknown' as const };
    if (holders.length > 0 && !this.stopConfirmed) {
      this.#fail('stop', new BackupError('target-in-use', t('Somebody still has it open.')));
      return this.#changed();
    }
    const isProved = holders.length === 0 && known === 'all';
    const text = isProved ? t('Nobody has it open.') : t('Stopped, as you say.');
    // Whoever stops puts its last transactions in order, and they count.
    if (!(await this.#compareIfChanged('stop'))) return;
    await this.#finish('stop', text, isProved ? 'done' : 'confirmed');
  }

  /** Compares again when a live database is not what it was. False when that failed or was cancelled. */
  async #compareIfChanged(step: StepId): Promise<boolean> {
    const items = this.plan?.items ?? [];
    const paths = items.map(({ realTarget }) => realTarget);
    const states = await this.#work(step, this.host.t('Looking whether it has changed…'), () =>
      this.host.worker.call('liveStates', { paths }),
    );
    if (states === undefined) return false;
    if (items.every(({ liveState }, index) => liveState === states[index])) return true;
    return this.#compare();
  }

  async #move(): Promise<void> {
    const { host } = this;
    if (!(await this.#compareIfChanged('move'))) return;
    const { plan } = this;
    if (plan === undefined || !(await this.#confirmReplacing(plan))) return;
    const done = await this.#work('move', host.t('Moving the old database aside…'), (options) =>
      host.worker.call('moveAside', this.#applyRequest(plan), options),
    );
    if (done === undefined) return;
    this.run.moved = done;
    const kept = done.items.flatMap(({ setAside }) => setAside ?? []);
    await this.#finish(
      'move',
      kept.length === 0
        ? host.t('There was no old database to keep.')
        : host.t('Kept as {0}.', kept.map((path) => host.nameOf(path)).join(', ')),
    );
  }

  #applyRequest(plan: RestorePlan): ApplyRequest {
    const { host, request } = this;
    return {
      ...request,
      busyTimeoutMs,
      toolVersion: host.toolVersion,
      ...(host.backupsFolder !== undefined && { folder: host.backupsFolder }),
      recordAs: request.items.map(({ target }) => host.recordAs(target)),
      ignoreHolders: this.stopConfirmed,
      ...(this.run.destination === 'live' && {
        liveStates: plan.items.map(({ liveState }) => liveState),
      }),
    };
  }

  async #confirmReplacing(plan: RestorePlan): Promise<boolean> {
    const { t, nameOf, confirm } = this.host;
    const replaced = plan.items.filter(({ targetExists }) => targetExists);
    if (replaced.length === 0) return true;
    const losses = replaced.flatMap(({ tables }) =>
      tables
        .filter(({ lost }) => lost > 0)
        .map(({ name, lost }) => t('{0} rows of {1} are only in the live database.', lost, name)),
    );
    const names = replaced.map(({ target }) => nameOf(target)).join(', ');
    return confirm({
      message: t('Restore {0} from this backup?', names),
      detail: [...losses, t('It is kept beside, and you can undo.')].join('\n'),
      yes: t('Restore'),
    });
  }

  async #copy(): Promise<void> {
    const { host, plan } = this;
    const text = host.t('Copying the backup into place…');
    const restored = await this.#work('copy', text, async (options) => {
      if (this.run.destination === 'beside' && plan !== undefined) {
        return host.worker.call('applyRestore', this.#applyRequest(plan), options);
      }
      const intent = this.run.moved?.intent;
      if (intent === undefined) throw new BackupError('incomplete', host.t('Move comes first.'));
      const ignoreHolders = this.stopConfirmed;
      return host.worker.call('putInPlace', { intent, ignoreHolders }, options);
    });
    if (restored === undefined) return this.#findInterruption();
    this.run.restored = restored;
    const names = restored.items.map(({ target }) => host.nameOf(target)).join(', ');
    host.note('restore', `${this.run.backup} to ${names}`, 'ok');
    await this.#finish('copy', host.t('{0} is the backup now.', names));
    if (this.run.destination === 'beside') await this.#verify();
    else await this.look();
  }

  /** By hand: the live name is free, and what was there is complete beside it. */
  async #checkMove(): Promise<void> {
    const { host } = this;
    const found = await this.#work('move', host.t('Looking…'), async () => {
      const all: SetAside[] = [];
      for (const { live } of this.#chosen) {
        const asides = await host.worker.call('listSetAsides', { in: live });
        const [newest] = asides;
        if (newest === undefined || host.exists(live)) {
          throw new BackupError('incomplete', host.t('{0} is still there.', host.nameOf(live)), {
            hint: host.t('Move it with its siblings, as the commands say, or press the button.'),
          });
        }
        all.push(newest);
      }
      return all;
    });
    if (found === undefined) return;
    const names = found.map(({ path }) => host.nameOf(path)).join(', ');
    await this.#finish('move', host.t('Moved by hand: {0}.', names));
  }

  /** By hand: what is live is the backup. */
  async #checkCopy(): Promise<void> {
    const proofs = await this.#prove('copy');
    if (proofs === undefined) return;
    await this.#finish('copy', this.host.t('Copied by hand: it holds what was backed up.'));
  }

  async #verify(): Promise<void> {
    const { host } = this;
    const proofs = await this.#prove('verify');
    if (proofs === undefined) return;
    this.proofs = proofs;
    if (host.healthUrl !== '' && this.run.destination === 'live') {
      this.health = await host.askHealth(host.healthUrl);
    }
    if (this.run.destination === 'beside') {
      await this.#finish('verify', host.t('The new file holds what was backed up.'));
    } else this.#changed();
  }

  #verifyDone(): Promise<void> {
    const { t } = this.host;
    return this.health?.ok === false
      ? this.#finish(
          'verify',
          t('Verified, though the application does not answer well.'),
          'confirmed',
        )
      : this.#finish('verify', t('Verified.'));
  }

  /** Undefined when it could not be looked at, or does not hold what was backed up; the page then says so. */
  async #prove(step: StepId): Promise<Proof[] | undefined> {
    const { host } = this;
    return this.#work(step, host.t('Checking the live database…'), async (options) => {
      const proofs = await host.worker.call('proveRestored', this.request, options);
      const bad = proofs.find(({ status }) => status === 'damaged');
      if (bad === undefined) return proofs;
      const why = bad.findings[0]?.message ?? host.t('Its check failed.');
      throw new BackupError('backup-damaged', `${host.nameOf(bad.realTarget)}: ${why}`);
    });
  }

  async #runTask(step: 'stop' | 'restart', name: string): Promise<void> {
    const { host } = this;
    await this.#work(step, host.t('Running the task "{0}"…', name), async () => {
      const { exitCode } = await host.runTask(name, step === 'stop' ? 'stop' : 'start');
      const ended = exitCode === undefined ? host.t('runs') : host.t('ended with {0}', exitCode);
      this.#record(step, host.t('Task "{0}" {1}.', name, ended));
      if (exitCode !== undefined && exitCode !== 0) {
        throw new BackupError('incomplete', host.t('The task "{0}" {1}.', name, ended));
      }
    });
    await this.look();
  }

  async #archive(): Promise<void> {
    const { host } = this;
    const folder = host.backupsFolder;
    if (folder === undefined) return;
    const done = await this.#work('clean-up', host.t('Archiving the old database…'), async () => {
      const archives: string[] = [];
      for (const setAside of this.setAsides) {
        const request = { path: setAside, folder };
        archives.push((await host.worker.call('archiveSetAside', request)).archive);
      }
      return archives;
    });
    if (done === undefined) return;
    const names = done.map((path) => host.nameOf(path)).join(', ');
    await this.#end('archived', host.t('Archived as {0}.', names));
  }

  async #delete(): Promise<void> {
    const { host } = this;
    const { t } = host;
    const names = this.setAsides.map((path) => host.nameOf(path));
    const isSure = await host.confirm({
      message: t('Delete the old database for good? It cannot be undone any more then.'),
      detail: names.join('\n'),
      yes: t('Delete'),
    });
    if (!isSure) return;
    const done = await this.#work('clean-up', t('Deleting the old database…'), async () => {
      for (const setAside of this.setAsides) {
        await host.worker.call('deleteSetAside', { path: setAside });
      }
      return true;
    });
    if (done === true) await this.#end('deleted', t('The old database was deleted.'));
  }

  /** The old databases that are kept. */
  get setAsides(): string[] {
    const { restored, moved } = this.run;
    return (restored ?? moved)?.items.flatMap(({ setAside }) => setAside ?? []) ?? [];
  }

  get canUndo(): boolean {
    const isOpen = this.run.ending === undefined || this.run.ending === 'kept';
    return isOpen && this.run.destination === 'live' && this.setAsides.length > 0;
  }

  async #undo(): Promise<void> {
    const { host, run } = this;
    const { t } = host;
    if (run.restored === undefined) return this.#recover('roll-back');
    const done = await this.#work('undo', t('Putting the old database back…'), async (options) => {
      for (const setAside of this.setAsides) {
        const { toolVersion } = host;
        await host.worker.call('undoRestore', { setAside, toolVersion }, options);
      }
      return true;
    });
    if (done !== true) return;
    host.note('undo', this.setAsides.join(', '), 'ok');
    await this.#end('undone', t('The old database is back; the restored one is kept beside it.'));
  }

  async #recover(how: 'finish' | 'roll-back'): Promise<void> {
    const { host, run } = this;
    const intent = this.interrupted?.intent ?? run.moved?.intent;
    if (intent === undefined) return;
    const text = how === 'finish' ? host.t('Finishing…') : host.t('Rolling back…');
    const done = await this.#work('copy', text, (options) =>
      host.worker.call('recoverInterrupted', { intent, how }, options),
    );
    if (done === undefined) return;
    this.interrupted = undefined;
    if (how === 'roll-back') {
      host.note('undo', run.backup, 'ok');
      await this.#end('undone', host.t('Rolled back: the old database is in place.'));
      return;
    }
    host.note('restore', run.backup, 'ok');
    await this.#finish('move', host.t('Moved.'));
    await this.#finish('copy', host.t('Finished: the backup is in place.'));
  }

  async #findInterruption(): Promise<void> {
    this.interrupted = undefined;
    for (const folder of new Set(this.#chosen.map(({ live }) => dirname(live)))) {
      const found = await this.host.worker.call('findInterrupted', { in: folder });
      const own = found.find(({ id }) => id === this.run.moved?.id);
      // Moved and not yet copied is a step of the runbook, and no interruption.
      if (own?.items.some(({ live }) => live !== 'old')) this.interrupted = own;
    }
    this.#changed();
  }

  async #export(): Promise<void> {
    if (this.plan !== undefined) await this.host.exportRunbook(this.plan, this.run);
  }

  #dismiss(): Promise<void> {
    this.failure = undefined;
    this.#changed();
    return Promise.resolve();
  }

  async #lookNow(): Promise<void> {
    const paths = this.#chosen.map(({ live }) => live);
    const { holders, known } = await this.host.worker.call('holders', { paths });
    this.seen = { holders, known, at: new Date().toISOString() };
  }

  /** Runs one piece of work with its progress on the page. Undefined when it failed or was cancelled. */
  async #work<T>(
    step: Busy['step'],
    text: string,
    action: (options: CallOptions) => Promise<T>,
  ): Promise<T | undefined> {
    this.#abort = new AbortController();
    this.busy = { step, text };
    this.failure = undefined;
    this.#changed();
    try {
      return await action({
        signal: this.#abort.signal,
        onProgress: (progress) => {
          this.busy = { step, text, progress };
          this.#changed();
        },
      });
    } catch (error) {
      this.#fail(step, error);
      return undefined;
    } finally {
      this.busy = undefined;
      this.#abort = undefined;
      this.#changed();
    }
  }

  #fail(step: Busy['step'], error: unknown): void {
    if (!isBackupError(error)) throw error;
    if (error.code === 'cancelled') return;
    this.failure = { step, text: this.host.explain(error) };
    if (step === 'copy' || step === 'undo') this.host.note('restore', this.run.backup, error);
  }

  #record(step: StepId, text: string): void {
    this.run.log.push({ step, at: new Date().toISOString(), text });
  }

  async #finish(
    step: StepId,
    text: string,
    how: 'done' | 'confirmed' | 'skipped' = 'done',
  ): Promise<void> {
    this.run.done[step] = { at: new Date().toISOString(), how };
    this.#record(step, text);
    await this.#keep();
  }

  async #end(ending: Ending, text: string): Promise<void> {
    this.run.ending = ending;
    if (ending === 'undone') this.#record('clean-up', text);
    else await this.#finish('clean-up', text);
    this.host.note('clean-up', text, 'ok');
    await this.#keep();
  }

  async #keep(): Promise<void> {
    await this.host.save(this.run);
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function seenIn(plan: RestorePlan): Seen {
  const holders = new Map(plan.items.flatMap((item) => item.holders).map((one) => [one.pid, one]));
  const known = plan.items.every(({ holdersKnown }) => holdersKnown === 'all')
    ? 'all'
    : (plan.items[0]?.holdersKnown ?? 'unknown');
  return { holders: [...holders.values()], known, at: new Date().toISOString() };
}

function nameAndPid({ name, pid }: Holder): string {
  return `${name} (${pid})`;
}

/** `app.restored_20261121_134502.db`, beside `app.db`. */
function besideName(live: string, createdAt: string): string {
  const stamp = createdAt.replace(/[-:]/g, '').replace('T', '_').slice(0, 15);
  const { dir, name, ext } = parse(live);
  return join(dir, `${name}.restored_${stamp}${ext}`);
}
