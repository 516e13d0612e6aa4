/*
 * A restore as the page leads through it: what each button and each tick does, one thing at a time.
 * Knows nothing of VS Code: the panel lends it what only the editor can do.
 */
import type { RestorePlan } from '../core/restore/plan.ts';
import { exportedRunbook } from './exportedRunbook.ts';
import type { Host, ShowHow } from './host.ts';
import { questionBeforeDamaged } from './questions.ts';
import { Restoration } from './restoration.ts';
import { isCopied, isUnderWay, type Run } from './run.ts';
import { archiveSetAsides, deleteSetAsides, keepSetAsides } from './steps/cleanUp.ts';
import { compare, rememberPlan } from './steps/comparison.ts';
import { checkCopy, copy } from './steps/copy.ts';
import {
  endHolder,
  endRestart,
  endStop,
  rememberPrograms,
  runTask,
  watch,
} from './steps/holders.ts';
import { giveUpLost, saveLost } from './steps/lostFiles.ts';
import { checkMove, move } from './steps/move.ts';
import { lookAtDisk, recover } from './steps/recovery.ts';
import { undo } from './steps/undo.ts';
import { endVerify, verify } from './steps/verification.ts';

type Act = (restore: Restoration) => unknown;

const acts: Readonly<Record<string, Act>> = {
  'compare-again': compare,
  'compare-choice': compare,
  'restore-beside': (restore) => decide(restore, 'beside'),
  'restore-damaged': restoreDamaged,
  'restore-live': (restore) => decide(restore, 'live'),
  'change-mind': (restore) => decide(restore, 'undecided'),
  'run-stop-task': (restore) => runTask(restore, 'stop'),
  'check-stop': (restore) => watch(restore),
  'save-lost': saveLost,
  'save-lost-first': saveLost,
  'give-up-lost': giveUpLost,
  'stop-done': endStop,
  move,
  'check-move': checkMove,
  copy,
  'check-copy': checkCopy,
  'run-start-task': (restore) => runTask(restore, 'restart'),
  'restart-done': endRestart,
  'verify-again': verify,
  'verify-done': endVerify,
  keep: keepSetAsides,
  archive: archiveSetAsides,
  delete: deleteSetAsides,
  undo,
  finish: (restore) => recover(restore, 'finish'),
  'roll-back': (restore) => recover(restore, 'roll-back'),
  export: async (restore) => {
    const text = exportedRunbook(restore);
    if (text !== undefined) await restore.host.exportRunbook(text, restore.run);
  },
  'look-beside': (restore) => showBeside(restore, 'look'),
  'compare-beside': (restore) => showBeside(restore, 'compare'),
  'reveal-beside': (restore) => showBeside(restore, 'reveal'),
  'restore-now': ({ host, run }) => host.restoreAgain(run),
  dismiss: (restore) => {
    restore.failure = undefined;
  },
};

/** The person decides where the backup goes: over the live database, to a new file beside it, or not yet. */
async function decide(
  restore: Restoration,
  destination: Run['destination'],
  { acceptsDamaged = false } = {},
): Promise<void> {
  const { plan, run, host } = restore;
  if (isUnderWay(run) || isCopied(run)) return;
  if (destination !== 'undecided' && plan === undefined) return;
  delete run.acceptsDamaged;
  if (acceptsDamaged) run.acceptsDamaged = true;
  run.destination = destination;
  // What was stopped for an earlier decision may run again.
  run.done = {};
  delete run.besides;
  delete run.accepted;
  delete run.planned;
  restore.agreed = { unseen: false, open: [] };
  restore.failure = undefined;
  await rememberPlan(restore);
  if (destination === 'live') rememberPrograms(restore);
  if (destination === 'undecided') return;
  await restore.finish('plan', plan === undefined ? '' : checkedWords(plan, host));
  await (destination === 'beside' ? copy(restore) : watch(restore));
}

/** To a new file only, and only after a question. */
async function restoreDamaged(restore: Restoration): Promise<void> {
  const { plan, host } = restore;
  if (plan === undefined || !(await host.confirm(questionBeforeDamaged(plan, host)))) return;
  await decide(restore, 'beside', { acceptsDamaged: true });
}

function checkedWords({ verified, items }: RestorePlan, { t }: Host): string {
  if (verified === 'damaged')
    return t('The backup is damaged. You chose to restore it to a new file.');
  if (items.some(({ source }) => source.sha256 === undefined))
    return t(
      'No backup details say what the backup should contain. Only its content can be checked.',
    );
  return verified === 'ok'
    ? t('The backup is intact (SHA-256 and integrity check).')
    : t('The backup was checked as far as possible.');
}

/** One file each: of several, the first. */
async function showBeside(restore: Restoration, how: ShowHow): Promise<void> {
  const { host, run, livePaths } = restore;
  const [path] = run.besides ?? [];
  const [live] = livePaths;
  if (path === undefined || live === undefined) return;
  try {
    await host.showFile(how, path, live);
  } catch (error) {
    restore.fail('copy', error);
  }
}

async function showSchema(restore: Restoration, item: number): Promise<void> {
  const { plan, host } = restore;
  if (plan === undefined) return;
  try {
    await host.showSchema(plan, item);
  } catch (error) {
    restore.fail('plan', error);
  }
}

export class RestoreSession {
  readonly restore: Restoration;
  #isLooking = false;

  constructor(run: Run, host: Host) {
    this.restore = new Restoration(run, host);
  }

  /** Looks at the disk, then compares. To be called once, and again after the window was reloaded. */
  async open(): Promise<void> {
    const { restore } = this;
    await this.#alone(async () => {
      await lookAtDisk(restore);
      const isOver = isCopied(restore.run) || restore.run.ending !== undefined;
      if (!isOver) await compare(restore);
    });
  }

  /** Does what a button of that id stands for. What fails is told on the page, never thrown. */
  async act(id: string): Promise<void> {
    const { restore } = this;
    if (id === 'cancel' || id === 'cancel-comparison') return restore.cancel();
    const schema = /^open-schema-(\d+)$/.exec(id);
    const ended = /^end-(\d+)$/.exec(id);
    await this.#alone(async () => {
      if (schema !== null) await showSchema(restore, Number(schema[1]));
      else if (ended !== null) await endHolder(restore, Number(ended[1]));
      else if (Object.hasOwn(acts, id)) await acts[id]?.(restore);
    });
  }

  async tick(id: string, value: boolean): Promise<void> {
    const { restore } = this;
    const { run, agreed, seen } = restore;
    // What is going on was begun with the choice as it was.
    if (restore.isActing) return restore.changed();
    const item = /^item-(\d+)$/.exec(id);
    if (id === 'confirm-unseen') agreed.unseen = value;
    else if (id === 'confirm-open') {
      agreed.open = value ? (seen?.holders ?? []).map(({ pid }) => pid) : [];
    } else if (item !== null) {
      const chosen = run.items[Number(item[1])];
      if (chosen !== undefined && run.destination === 'undecided') chosen.chosen = value;
    } else {
      const rest = run.ticked.filter((one) => one !== id);
      run.ticked = value ? [...rest, id] : rest;
    }
    await restore.keep();
  }

  /** Looks who has the databases open, as long as that matters. The panel calls it every few seconds while it is seen. */
  async look(): Promise<void> {
    const { restore } = this;
    if (this.#isLooking || restore.isActing) return;
    this.#isLooking = true;
    try {
      await watch(restore, () => restore.isActing);
    } finally {
      this.#isLooking = false;
    }
  }

  dispose(): void {
    this.restore.dispose();
  }

  /** A second press, or a press while something goes on, does nothing: the page shows what goes on. */
  async #alone(action: () => Promise<void>): Promise<void> {
    const { restore } = this;
    if (restore.isActing) return;
    restore.isActing = true;
    try {
      await action();
    } finally {
      restore.isActing = false;
      restore.changed();
    }
  }
}
