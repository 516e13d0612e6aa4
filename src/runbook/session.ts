/*
 * One restore as the page leads through it: what each button does, in which order, and what is known at each moment.
 * Knows nothing of VS Code: the panel lends it what only the editor can do. What is on disk decides; this remembers.
 */
import { join, parse } from 'node:path';
import type { Holder, HoldersKnown } from '../core/holders.ts';
import type {
  ApplyRequest,
  Interrupted,
  Proof,
  PutInPlaceRequest,
  Restored,
  RestorePlan,
  RestoreRequest,
} from '../core/restore.ts';
import type { StepId } from '../core/runbook.ts';
import type { Progress } from '../core/snapshot.ts';
import { BackupError, isBackupError } from '../core/errors.ts';
import type { CallOptions } from '../worker/client.ts';
import { checkCopied, checkMoved } from './byHand.ts';
import type { Host } from './host.ts';
import { findInterruptions, ownInterruption } from './interruption.ts';
import { questionBeforeDelete, questionBeforeMove, questionBeforeUndo } from './questions.ts';
import {
  currentStep,
  isCopied,
  isUnderWay,
  setAsidesOf,
  type Ending,
  type Run,
  type RunItem,
} from './run.ts';

export interface Busy {
  step: StepId | 'undo';
  text: string;
  /** False for what would be half-done when it was stopped. */
  canCancel: boolean;
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
  /** ISO 8601. */
  plannedAt: string | undefined;
  busy: Busy | undefined;
  failure: { step: StepId | 'undo'; text: string } | undefined;
  /** Who has the live databases open; undefined until somebody has looked. */
  seen: Seen | undefined;
  interrupted: Interrupted | undefined;
  proofs: Proof[] | undefined;
  health: { ok: boolean; text: string } | undefined;
  #planned: RestorePlan | undefined;
  /** Of the backup when it was compared: another file under its name makes the comparison stale. */
  #backupState: string | undefined;
  #agreedUnseen = false;
  #agreedOpen: number[];
  #abort: AbortController | undefined;
  #isLooking = false;
  #isActing = false;
  #isLookFailed = false;

  constructor(run: Run, host: Host) {
    this.run = run;
    this.host = host;
    this.#agreedOpen = run.accepted ?? [];
  }

  onDidChange(listener: () => void): { dispose: () => void } {
    this.#listeners.add(listener);
    return { dispose: () => this.#listeners.delete(listener) };
  }

  /** What the restore of the chosen databases would do; undefined until all of them were compared. */
  get plan(): RestorePlan | undefined {
    const planned = this.#planned;
    const chosen = this.#chosen;
    if (planned === undefined || chosen.length === 0) return undefined;
    const items = chosen.flatMap(
      ({ live, member }) =>
        planned.items.find((item) => item.target === live && item.member === member) ?? [],
    );
    const isWhole = items.length === planned.items.length;
    // A verdict of damage is about all that were looked at, so it says nothing of some of them.
    const isKnown = items.length === chosen.length && (isWhole || planned.verified !== 'damaged');
    return isKnown ? { ...planned, items } : undefined;
  }

  /** Looks at the disk, then compares. To be called once, and again after the window was reloaded. */
  async open(): Promise<void> {
    await this.#alone(async () => {
      await this.#lookAtDisk();
      const isOver = isCopied(this.run) || this.run.ending !== undefined;
      if (!isOver) await this.#compare();
    });
  }

  /** Does what a button of that id stands for. What fails is told on the page, never thrown. One thing at a time. */
  async act(id: string): Promise<void> {
    if (id === 'cancel' || id === 'cancel-comparison') {
      if (this.busy?.canCancel === true) this.#abort?.abort();
      return;
    }
    const schema = /^open-schema-(\d+)$/.exec(id);
    const action = Object.hasOwn(this.#actions, id) ? this.#actions[id] : undefined;
    await this.#alone(async () => {
      if (schema !== null) await this.#showSchema(Number(schema[1]));
      else await action?.();
    });
  }

  async tick(id: string, value: boolean): Promise<void> {
    // What is going on was begun with the choice as it was.
    if (this.#isActing) return this.#changed();
    const item = /^item-(\d+)$/.exec(id);
    if (id === 'confirm-unseen') this.#agreedUnseen = value;
    else if (id === 'confirm-open') {
      this.#agreedOpen = value ? (this.seen?.holders ?? []).map(({ pid }) => pid) : [];
    } else if (item !== null) {
      const chosen = this.run.items[Number(item[1])];
      if (chosen !== undefined && this.run.destination === 'undecided') chosen.chosen = value;
    } else {
      const rest = this.run.ticked.filter((one) => one !== id);
      this.run.ticked = value ? [...rest, id] : rest;
    }
    await this.#keep();
  }

  /** Looks who has the databases open, as long as that matters. The panel calls it every few seconds while it is seen. */
  async look(): Promise<void> {
    if (this.#isLooking || this.#isActing) return;
    this.#isLooking = true;
    try {
      await this.#watch(() => this.#isActing);
    } finally {
      this.#isLooking = false;
    }
  }

  /** While something goes on no button does anything, so none is to be shown. */
  get isActing(): boolean {
    return this.#isActing;
  }

  /** True when the person has agreed to go on with what is seen to be open, or with what cannot be seen. */
  get hasAgreed(): boolean {
    const holders = this.seen?.holders ?? [];
    return holders.length === 0
      ? this.#agreedUnseen
      : holders.every(({ pid }) => this.#agreedOpen.includes(pid));
  }

  dispose(): void {
    this.#abort?.abort();
    this.#listeners.clear();
  }

  readonly #actions: Readonly<Record<string, () => Promise<void>>> = {
    'compare-again': () => this.#compare().then(() => undefined),
    'compare-choice': () => this.#compare().then(() => undefined),
    'restore-beside': () => this.#decide('beside'),
    'restore-live': () => this.#decide('live'),
    'change-mind': () => this.#decide('undecided'),
    'run-stop-task': () => this.#runTask('stop', this.host.tasks.stop),
    'check-stop': () => this.#watch(),
    'stop-done': () => this.#stopDone(),
    move: () => this.#move(),
    'check-move': () => this.#checkMove(),
    copy: () => this.#copy(),
    'check-copy': () => this.#checkCopy(),
    'run-start-task': () => this.#runTask('restart', this.host.tasks.start),
    'restart-done': () => this.#finish('restart', this.host.t('Started by hand.'), 'confirmed'),
    'verify-again': () => this.#verify(),
    'verify-done': () => this.#verifyDone(),
    keep: () => this.#end('kept', this.#keptText()),
    archive: () => this.#archive(),
    delete: () => this.#delete(),
    undo: () => this.#undo(),
    finish: () => this.#recover('finish'),
    'roll-back': () => this.#recover('roll-back'),
    export: () => this.#export(),
    dismiss: () => this.#dismiss(),
  };

  /** A second press, or a press while something goes on, does nothing: the page shows what goes on. */
  async #alone(action: () => Promise<void>): Promise<void> {
    if (this.#isActing) return;
    this.#isActing = true;
    try {
      await action();
    } finally {
      this.#isActing = false;
      this.#changed();
    }
  }

  get #chosen(): RunItem[] {
    return this.run.items.filter(({ chosen }) => chosen);
  }

  /** What is restored to where, as it stands. */
  get request(): RestoreRequest {
    return this.#requestFor(this.run.besides);
  }

  #requestFor(besides: string[] | undefined): RestoreRequest {
    const items = this.#chosen.map(({ member, live }, index) => ({
      target: besides?.[index] ?? live,
      ...(member !== undefined && { member }),
    }));
    return { backup: this.run.backup, items };
  }

  async #compare(): Promise<boolean> {
    const request = this.#requestFor(undefined);
    if (request.items.length === 0) return false;
    const text = this.host.t('Proving the backup and comparing…');
    const found = await this.#work('plan', text, async (options) => {
      const [state] = await this.host.worker.call('liveStates', { paths: [request.backup] });
      return { state, plan: await this.host.worker.call('planRestore', request, options) };
    });
    if (found === undefined) return false;
    this.#planned = found.plan;
    this.#backupState = found.state;
    this.plannedAt = new Date().toISOString();
    this.seen = seenIn(found.plan);
    this.#changed();
    return true;
  }

  async #decide(destination: Run['destination']): Promise<void> {
    const { plan, run } = this;
    if (isUnderWay(run) || isCopied(run)) return;
    if (destination !== 'undecided' && plan === undefined) return;
    run.destination = destination;
    // What was stopped for an earlier decision may run again.
    run.done = {};
    delete run.besides;
    delete run.accepted;
    [this.#agreedUnseen, this.#agreedOpen, this.failure] = [false, [], undefined];
    if (destination === 'undecided' || plan === undefined) return this.#keep();
    const { t } = this.host;
    await this.#finish(
      'plan',
      plan.verified === 'ok'
        ? t('The backup was proved again: it matches its manifest.')
        : t('The backup was checked again as far as possible.'),
    );
    if (destination === 'beside') await this.#copy();
    else await this.#watch();
  }

  async #stopDone(): Promise<void> {
    const { t } = this.host;
    const looked = await this.#work('stop', t('Looking once more…'), () => this.#lookNow());
    if (looked === undefined) return;
    const { holders, known } = looked;
    const isProved = holders.length === 0 && known === 'all';
    if (!isProved && !this.hasAgreed) {
      const why =
        holders.length > 0 ? t('Somebody still has it open.') : t('Say that nothing else uses it.');
      return this.#fail('stop', new BackupError('target-in-use', why));
    }
    // Whoever stops puts its last transactions in order, and they count.
    if (!(await this.#compareIfChanged('stop'))) return;
    this.run.accepted = holders.map(({ pid }) => pid);
    const text = isProved
      ? t('Nobody has it open.')
      : holders.length > 0
        ? t('It stays open in {0}, as you say.', holders.map(nameAndPid).join(', '))
        : t('Nobody is seen to have it open, and nothing else does, as you say.');
    await this.#finish('stop', text, isProved ? 'done' : 'confirmed');
  }

  /**
   * Whether programs that the person lets go on have it open. Undefined when others have, which leads back to the step
   * "stop", or when it could not be looked.
   */
  async #lookOnceMore(step: StepId): Promise<{ ignoreHolders: boolean } | undefined> {
    const { run, host } = this;
    const looked = await this.#work(step, host.t('Looking once more…'), () => this.#lookNow());
    if (looked === undefined) return undefined;
    const accepted = run.accepted ?? [];
    const others = looked.holders.filter(({ pid }) => !accepted.includes(pid));
    if (others.length === 0) return { ignoreHolders: looked.holders.length > 0 };
    delete run.done.stop;
    const text = host.t('{0} has it open again.', others.map(nameAndPid).join(', '));
    this.#fail('stop', new BackupError('target-in-use', text));
    await this.#keep();
    return undefined;
  }

  /** Compares again when a live database, or the backup, is not what it was. False when that failed or was cancelled. */
  async #compareIfChanged(step: StepId): Promise<boolean> {
    const { plan, host } = this;
    if (plan === undefined) return this.#compare();
    const paths = [plan.backup, ...plan.items.map(({ realTarget }) => realTarget)];
    const states = await this.#work(step, host.t('Looking whether it has changed…'), () =>
      host.worker.call('liveStates', { paths }),
    );
    if (states === undefined) return false;
    const before = [this.#backupState, ...plan.items.map(({ liveState }) => liveState)];
    return before.every((state, index) => state === states[index]) || this.#compare();
  }

  async #move(): Promise<void> {
    const { host } = this;
    const looked = await this.#lookOnceMore('move');
    if (looked === undefined || !(await this.#compareIfChanged('move'))) return;
    const { plan } = this;
    if (plan === undefined) return;
    const question = questionBeforeMove(plan, host);
    if (question !== undefined && !(await host.confirm(question))) return;
    const request = {
      ...this.#applyRequest(looked),
      liveStates: plan.items.map(({ liveState }) => liveState),
    };
    const done = await this.#work('move', host.t('Moving the old database aside…'), (options) =>
      host.worker.call('moveAside', request, options),
    );
    if (done === undefined) return;
    this.run.moved = done;
    await this.#finish('move', this.#movedText(this.#namesOf(setAsidesOf(this.run))));
  }

  #movedText(names: string): string {
    const { t } = this.host;
    return names === '' ? t('There was no old database to keep.') : t('Kept as {0}.', names);
  }

  #keptText(): string {
    const { t } = this.host;
    return this.setAsides.length > 0
      ? t('The old database stays as {0}.', this.#namesOf(this.setAsides))
      : t('There was no old database to keep.');
  }

  #namesOf(paths: string[]): string {
    return paths.map((path) => this.host.nameOf(path)).join(', ');
  }

  #applyRequest({ ignoreHolders }: { ignoreHolders: boolean }): ApplyRequest {
    const { host, request } = this;
    return {
      ...request,
      busyTimeoutMs,
      toolVersion: host.toolVersion,
      ...(host.backupsFolder !== undefined && { folder: host.backupsFolder }),
      recordAs: request.items.map(({ target }) => host.recordAs(target)),
      ignoreHolders,
    };
  }

  async #copy(): Promise<void> {
    const { host, run } = this;
    const restored =
      run.destination === 'beside' ? await this.#copyBeside() : await this.#copyOver();
    if (restored === undefined) return this.#lookAtDisk();
    run.restored = restored;
    delete run.isCopying;
    const names = this.#namesOf(restored.items.map(({ target }) => target));
    host.note('restore', `${run.backup} to ${names}`, 'ok');
    await this.#finish('copy', host.t('{0} is the backup now.', names));
    if (run.destination === 'beside') await this.#verify();
    else await this.#watch();
  }

  /** To names that are free. Whoever takes one of them meanwhile keeps it: the copy is refused then. */
  async #copyBeside(): Promise<Restored | undefined> {
    const { host, run } = this;
    return this.#work('copy', host.t('Copying the backup to a new file…'), async (options) => {
      const createdAt = this.#planned?.createdAt ?? run.startedAt;
      const names = this.#chosen.map(({ live }) => host.freePath(besideName(live, createdAt)));
      const liveStates = await host.worker.call('liveStates', { paths: names });
      run.besides = names.map((name) => host.freePath(name));
      if (run.besides.some((name, index) => name !== names[index])) {
        throw new BackupError('name-taken', host.t('A file took the name of the new one.'), {
          hint: host.t('Try again.'),
        });
      }
      const request = { ...this.#applyRequest({ ignoreHolders: false }), liveStates };
      return host.worker.call('applyRestore', request, options);
    });
  }

  async #copyOver(): Promise<Restored | undefined> {
    const { host, run } = this;
    const looked = await this.#lookOnceMore('copy');
    if (looked === undefined) return undefined;
    const text = host.t('Copying the backup into place…');
    const intent = run.moved?.intent;
    if (intent !== undefined) {
      run.isCopying = true;
      await host.save(run);
      return this.#work('copy', text, (options) =>
        this.#putInPlace({ intent, ...looked }, options),
      );
    }
    // Set aside by hand: what is live since then is set aside once more, for nobody promises that it is the same.
    if (!(await this.#compareIfChanged('copy'))) return undefined;
    const liveStates = (this.plan?.items ?? []).map(({ liveState }) => liveState);
    const request = { ...this.#applyRequest(looked), liveStates };
    return this.#work('copy', text, (options) =>
      host.worker.call('applyRestore', request, options),
    );
  }

  /** Any failure but these two leaves all as it was before. */
  async #putInPlace(request: PutInPlaceRequest, options: CallOptions): Promise<Restored> {
    const { host, run } = this;
    try {
      return await host.worker.call('putInPlace', request, options);
    } catch (error) {
      if (!isBackupError(error)) throw error;
      if (error.code !== 'worker-died' && error.code !== 'incomplete') {
        delete run.isCopying;
        await host.save(run);
      }
      if (error.facts?.['reason'] !== 'changed') throw error;
      throw new BackupError(
        'target-in-use',
        host.t('The live database was used after it was set aside, so it was not replaced.'),
        { hint: host.t('Undo, then restore again: nothing of it is lost.'), cause: error },
      );
    }
  }

  async #checkMove(): Promise<void> {
    const { host, run, plan } = this;
    const lives = this.#chosen.map(({ live }) => ({
      live,
      isNew: plan?.items.find(({ target }) => target === live)?.targetExists === false,
    }));
    const found = await this.#work('move', host.t('Looking…'), () =>
      checkMoved(lives, run.startedAt, host),
    );
    if (found === undefined) return;
    run.alsoKept = found.map(({ path, target }) => ({ path, target }));
    const names = this.#namesOf(setAsidesOf(run));
    await this.#finish('move', host.t('Set aside by hand. {0}', this.#movedText(names)));
  }

  async #checkCopy(): Promise<void> {
    const { host, run } = this;
    const checked = await this.#work('copy', host.t('Comparing it with the backup…'), async (o) => {
      await checkCopied(this.request, host, o);
      const intent = run.moved?.intent;
      const { items } = ownInterruption(await findInterruptions(this, host), this) ?? {};
      // Another file is live than the step "move" has left: nothing is to be finished or rolled back any more.
      if (intent !== undefined && items?.every(({ live }) => live === 'other') === true) {
        await host.worker.call('recoverInterrupted', { intent, how: 'roll-back' });
      }
      return true;
    });
    if (checked === undefined) return;
    this.interrupted = undefined;
    host.note('restore', `${run.backup} by hand`, 'ok');
    await this.#finish('copy', host.t('Copied by hand: it holds what was backed up.'));
  }

  async #verify(): Promise<void> {
    const { host, run, request } = this;
    const found = await this.#work('verify', host.t('Checking what is live…'), async (options) => {
      const proofs = await host.worker.call('proveRestored', request, options);
      const bad = proofs.find(({ status }) => status === 'damaged');
      if (bad !== undefined) {
        const why = bad.findings[0]?.message ?? host.t('Its check failed.');
        throw new BackupError('backup-damaged', `${host.nameOf(bad.realTarget)}: ${why}`);
      }
      const isAsked = host.healthUrl !== '' && run.destination === 'live';
      return { proofs, health: isAsked ? await host.askHealth(host.healthUrl) : undefined };
    });
    this.proofs = found?.proofs;
    this.health = found?.health;
    if (found === undefined || run.destination !== 'beside') return this.#changed();
    const isSame = found.proofs.every(({ status }) => status === 'ok');
    await this.#finish(
      'verify',
      isSame
        ? host.t('The new file holds what was backed up.')
        : host.t('The new file was checked as far as possible.'),
    );
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

  async #runTask(step: 'stop' | 'restart', name: string): Promise<void> {
    const { host } = this;
    await this.#work(step, host.t('Running the task "{0}"…', name), async ({ signal }) => {
      const purpose = step === 'stop' ? 'stop' : 'start';
      const { ended, exitCode } = await host.runTask(name, purpose, signal);
      const how = !ended
        ? host.t('runs')
        : exitCode === undefined
          ? host.t('ended')
          : host.t('ended with {0}', exitCode);
      this.#record(step, host.t('Task "{0}" {1}.', name, how));
      await host.save(this.run);
      if (exitCode !== undefined && exitCode !== 0) {
        throw new BackupError('incomplete', host.t('The task "{0}" {1}.', name, how));
      }
      return true;
    });
    if (this.failure === undefined) await this.#watch();
  }

  async #archive(): Promise<void> {
    const { host } = this;
    const folder = host.backupsFolder;
    if (folder === undefined) return;
    const text = host.t('Archiving the old database…');
    const done = await this.#work('clean-up', text, async (options) => {
      const archives: string[] = [];
      for (const path of this.setAsides) {
        const request = { path, folder, toolVersion: host.toolVersion };
        archives.push((await host.worker.call('archiveSetAside', request, options)).archive);
      }
      return archives;
    });
    if (done === undefined) return;
    await this.#end('archived', host.t('Archived as {0}.', this.#namesOf(done)));
  }

  async #delete(): Promise<void> {
    const { host, setAsides } = this;
    if (!(await host.confirm(questionBeforeDelete(setAsides, host)))) return;
    const text = host.t('Deleting the old database…');
    const remove = async (): Promise<boolean> => {
      for (const path of setAsides) await host.worker.call('deleteSetAside', { path });
      return true;
    };
    const done = await this.#work('clean-up', text, remove, { canCancel: false });
    if (done === true) await this.#end('deleted', host.t('The old database was deleted.'));
  }

  /** The old databases that are kept, as far as they are there. */
  get setAsides(): string[] {
    return setAsidesOf(this.run).filter((path) => this.host.exists(path));
  }

  /** Those that somebody has taken away. */
  get missingSetAsides(): string[] {
    const { putBack = [] } = this.run;
    return setAsidesOf(this.run).filter(
      (path) => !this.host.exists(path) && !putBack.includes(path),
    );
  }

  get canUndo(): boolean {
    const { run } = this;
    if (run.destination !== 'live' || (run.ending !== undefined && run.ending !== 'kept'))
      return false;
    return this.setAsides.length > 0 || (run.moved !== undefined && !isCopied(run));
  }

  async #undo(): Promise<void> {
    const { host, run, setAsides } = this;
    const { t } = host;
    if (!isCopied(run)) return this.#undoMove();
    const since = await this.#writtenSince();
    if (since === 'cancelled') return;
    const targets = this.#chosen.map(({ live }) => live);
    const question = questionBeforeUndo(targets, this.missingSetAsides, since, host);
    if (!(await host.confirm(question))) return;
    const kept: string[] = [];
    const text = t('Putting the old database back…');
    const done = await this.#work('undo', text, async (options) => {
      for (const setAside of setAsides) {
        const request = { setAside, toolVersion: host.toolVersion };
        const undone = await host.worker.call('undoRestore', request, options);
        kept.push(...(undone.setAside === undefined ? [] : [undone.setAside]));
        // Of several, the rest can be put back later.
        run.putBack = [...(run.putBack ?? []), setAside];
        await host.save(run);
      }
      return true;
    });
    if (done !== true) return this.#lookAtDisk();
    host.note('undo', setAsides.join(', '), 'ok');
    const names = this.#namesOf(kept);
    await this.#end(
      'undone',
      names === ''
        ? t('The old database is back.')
        : t('The old database is back. What was live until then is kept as {0}.', names),
    );
  }

  /** Nothing was replaced yet, so nothing was written that an undo would hide. */
  async #undoMove(): Promise<void> {
    const { host, run, setAsides } = this;
    if (run.moved !== undefined) return this.#recover('roll-back');
    const targets = (run.alsoKept ?? []).map(({ target }) => target);
    if (targets.some((target) => host.exists(target))) {
      const text = host.t('Nothing was replaced. {0} is left.', this.#namesOf(setAsides));
      return this.#end('undone', text);
    }
    const text = host.t('Putting the old database back…');
    const done = await this.#work('undo', text, async (options) => {
      for (const setAside of setAsides) {
        const request = { setAside, toolVersion: host.toolVersion };
        await host.worker.call('undoRestore', request, options);
      }
      return true;
    });
    if (done === true) await this.#end('undone', host.t('The old database is back.'));
  }

  /** What is live against the backup that it was. Undefined when it cannot be found out: that stops nobody from undoing. */
  async #writtenSince(): Promise<RestorePlan | 'cancelled' | undefined> {
    const { host, request } = this;
    const text = host.t('Looking what was written since the restore…');
    const found = await this.#work('undo', text, async (options) => {
      try {
        const trusting = { ...request, trustManifest: true };
        return { since: await host.worker.call('planRestore', trusting, options) };
      } catch (error) {
        if (!isBackupError(error) || error.code === 'cancelled') throw error;
        return { since: undefined };
      }
    });
    return found === undefined ? 'cancelled' : found.since;
  }

  async #recover(how: 'finish' | 'roll-back'): Promise<void> {
    const { host, run, interrupted } = this;
    const { t } = host;
    const intent = interrupted?.intent ?? run.moved?.intent;
    if (intent === undefined) return;
    const text = how === 'finish' ? t('Finishing…') : t('Rolling back…');
    const done = await this.#work('copy', text, (options) =>
      host.worker.call('recoverInterrupted', { intent, how }, options),
    );
    if (done === undefined) return this.#lookAtDisk();
    this.interrupted = undefined;
    for (const { message } of done.remarks) this.#record('copy', message);
    const isUndo = interrupted?.action === 'undo';
    if (!isUndo && how === 'finish') {
      const kept = done.items.flatMap(({ setAside, realTarget }) =>
        setAside === undefined ? [] : [{ path: setAside, target: realTarget }],
      );
      if (kept.length > 0) run.alsoKept = kept;
      host.note('restore', run.backup, 'ok');
      await this.#finish('move', this.#movedText(this.#namesOf(setAsidesOf(run))));
      return this.#finish('copy', t('Finished: the backup is in place.'));
    }
    host.note('undo', run.backup, 'ok');
    if (isUndo && how === 'roll-back') {
      this.#record('copy', t('The undo was rolled back: the restored database is in place.'));
      return this.#keep();
    }
    if (run.destination !== 'beside')
      return this.#end('undone', t('Rolled back: the old database is in place.'));
    return this.#keep();
  }

  /** Finds what was interrupted, and what was brought to an end while this page did not look. */
  async #lookAtDisk(): Promise<void> {
    const { run } = this;
    this.interrupted = undefined;
    if (run.ending !== undefined && run.ending !== 'kept') return this.#changed();
    try {
      const all = await findInterruptions(this, this.host);
      const own = ownInterruption(all, this);
      // Moved and not yet copied is a step of the runbook, and no interruption.
      const isBetween = own?.items.some(({ live }) => live !== 'old') ?? false;
      const isOurs = own !== undefined && own.id === run.moved?.id;
      if (isBetween || (isOurs && run.isCopying === true && !isCopied(run))) this.interrupted = own;
      const isWaiting = run.moved !== undefined && !isCopied(run) && run.ending === undefined;
      if (isWaiting && !all.some(({ id }) => id === run.moved?.id)) await this.#endedElsewhere();
    } catch (error) {
      this.#fail(currentStep(run) ?? 'copy', error);
    }
    this.#changed();
  }

  /** The intent of this restore is gone: it was finished or rolled back. */
  async #endedElsewhere(): Promise<void> {
    const { host, run } = this;
    const { t } = host;
    const kept = setAsidesOf(run);
    const isThere = (path: string): boolean => host.exists(path);
    const lives = (run.moved?.items ?? []).map(({ realTarget }) => realTarget);
    if (kept.length > 0 ? kept.every(isThere) : lives.every(isThere)) {
      return this.#finish('copy', t('It was brought to its end while this page did not look.'));
    }
    await this.#end(
      'elsewhere',
      t(
        'It was rolled back or cleaned up outside of this page. Look at {0}.',
        this.#namesOf(lives),
      ),
    );
  }

  async #showSchema(item: number): Promise<void> {
    const { plan } = this;
    if (plan === undefined) return;
    try {
      await this.host.showSchema(plan, item);
    } catch (error) {
      this.#fail('plan', error);
    }
  }

  async #export(): Promise<void> {
    if (this.plan !== undefined) await this.host.exportRunbook(this.plan, this.run);
  }

  #dismiss(): Promise<void> {
    this.failure = undefined;
    this.#changed();
    return Promise.resolve();
  }

  /** Looks in the steps that wait for programs to stop or to start. What was seen counts only unless `isStale` says no. */
  async #watch(isStale = (): boolean => false): Promise<void> {
    const step = currentStep(this.run);
    if (this.run.destination !== 'live' || (step !== 'stop' && step !== 'restart')) return;
    try {
      const seen = await this.#findHolders();
      if (isStale()) return;
      this.seen = seen;
      if (this.#isLookFailed || seen.holders.length === 0) this.#forgetFailure('stop', 'restart');
      if (step === 'restart' && seen.holders.length > 0) {
        const names = seen.holders.map(nameAndPid).join(', ');
        await this.#finish('restart', this.host.t('{0} has it open again.', names));
      }
    } catch (error) {
      if (isStale()) return;
      this.#fail(step, error);
      this.#isLookFailed = true;
    }
    this.#changed();
  }

  #forgetFailure(...steps: StepId[]): void {
    if (steps.some((step) => step === this.failure?.step)) this.failure = undefined;
    this.#isLookFailed = false;
  }

  async #lookNow(): Promise<Seen> {
    return (this.seen = await this.#findHolders());
  }

  async #findHolders(): Promise<Seen> {
    const paths = this.#chosen.map(({ live }) => live);
    const { holders, known } = await this.host.worker.call('holders', { paths });
    return { holders, known, at: new Date().toISOString() };
  }

  /** Runs one piece of work with its progress on the page. Undefined when it failed or was cancelled. */
  async #work<T>(
    step: Busy['step'],
    text: string,
    action: (options: CallOptions) => Promise<T>,
    { canCancel = true } = {},
  ): Promise<T | undefined> {
    this.#abort = new AbortController();
    this.busy = { step, text, canCancel };
    this.failure = undefined;
    this.#changed();
    try {
      return await action({
        signal: this.#abort.signal,
        onProgress: (progress) => {
          this.busy = { step, text, canCancel, progress };
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
    this.#isLookFailed = false;
    if (step === 'move' || step === 'copy') this.host.note('restore', this.run.backup, error);
    if (step === 'undo') this.host.note('undo', this.run.backup, error);
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
    if (ending === 'undone' || ending === 'elsewhere') this.#record('clean-up', text);
    else {
      await this.#finish('clean-up', text);
      this.host.note('clean-up', text, 'ok');
    }
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
