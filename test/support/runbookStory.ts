/** A restore as a person goes through it on the page, without an editor: the real core, real databases. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromPlainError, type PlainError, toPlainError } from '../../src/core/errors.ts';
import { freePath } from '../../src/runbook/freePath.ts';
import type { Health, Host, Question, TaskOutcome } from '../../src/runbook/host.ts';
import {
  parseToHost,
  parseToPage,
  type RunbookState,
  type Step,
} from '../../src/runbook/protocol.ts';
import { newRun, type Run, type RunItem } from '../../src/runbook/run.ts';
import type { Restoration } from '../../src/runbook/restoration.ts';
import { RestoreSession } from '../../src/runbook/session.ts';
import { stateOf } from '../../src/runbook/view/state.ts';
import type { Wording } from '../../src/runbook/view/wording.ts';
import { type CallOptions, WorkerClient } from '../../src/worker/client.ts';
import { handle } from '../../src/worker/handlers.ts';
import { keepOutWith } from '../../src/worker/lockProcess.ts';
import { workerEntry } from './processes.ts';
import type { Method, Params, Result } from '../../src/worker/protocol.ts';

/**
 * Runs calls in this process: each press of a button is several of them, and a process for each would take most of the
 * time. What is about processes (a kill, a cancel, the locks of this process) needs a real one: option `entry`.
 */
const workerInProcess: Host['worker'] = {
  async call<M extends Method>(
    method: M,
    params: Params<M>,
    { onProgress = () => undefined, signal }: CallOptions = {},
  ): Promise<Result<M>> {
    signal?.throwIfAborted();
    const sent: unknown = JSON.parse(JSON.stringify(params));
    try {
      const result = await handle(method, sent, {
        onProgress,
        beforePublish: () => Promise.resolve(),
        keepOut: keepOutWith(workerEntry).keepOut,
      });
      return (result === undefined ? undefined : JSON.parse(JSON.stringify(result))) as Result<M>;
    } catch (error) {
      throw fromPlainError(JSON.parse(JSON.stringify(toPlainError(error))) as PlainError);
    }
  },
};

export const wording: Wording = {
  day: (iso) => iso,
  time: (iso) => iso,
  verdict: ({ verified }) => verified,
  shell: 'posix',
  spotChecks: ['Orders of today are there'],
  backupFacts: [],
};

export interface StoryOptions {
  /** The worker's entry, for a process of its own each call. Default: calls run in this process. */
  entry?: string;
  backupsFolder?: string | undefined;
  healthUrl?: string;
  stopTask?: string;
}

export class Story {
  readonly session: RestoreSession;
  /** The questions that were asked, and how the person answers the next ones. */
  readonly questions: Question[] = [];
  answer = true;
  /** What the person does while a question is open. */
  whileAsked: () => Promise<void> = () => Promise.resolve();
  runTask: (signal: AbortSignal | undefined) => Promise<TaskOutcome> = () =>
    Promise.resolve({ ended: true, exitCode: 0 });
  isTrusted = true;
  health: Health = { ok: true, text: '200' };
  readonly exported: string[] = [];
  readonly notes: string[] = [];
  /** What was looked at of a new file, and which backups are restored again. */
  readonly shown: { how: string; path: string; live: string }[] = [];
  readonly again: string[] = [];
  /** As it is in the memory of the workspace. */
  saved: string;

  constructor(run: Run, options: StoryOptions = {}) {
    this.saved = JSON.stringify(run);
    this.session = new RestoreSession(run, this.#host(options));
    this.restore.onDidChange(() => this.state);
  }

  get restore(): Restoration {
    return this.session.restore;
  }

  static async begin(
    backup: string,
    lives: (string | RunItem)[],
    options?: StoryOptions,
  ): Promise<Story> {
    const items = lives.map((live) =>
      typeof live === 'string' ? { live, chosen: true } : { ...live },
    );
    const story = new Story(newRun('r1', backup, items, new Date()), options);
    await story.session.open();
    return story;
  }

  /** The window is closed and opened again: nothing is left but what was saved. */
  async reopen(options?: StoryOptions): Promise<Story> {
    this.session.dispose();
    const story = new Story(JSON.parse(this.saved) as Run, options);
    await story.session.open();
    return story;
  }

  /** What the page gets, which must be what its protocol says, each time. */
  get state(): RunbookState {
    const state = stateOf(this.restore, wording);
    const sent = parseToPage(JSON.parse(JSON.stringify({ state })));
    assert.ok(sent !== undefined && 'state' in sent, `no state: ${JSON.stringify(state)}`);
    return sent.state;
  }

  /** Presses a button; fails when the page does not offer it. */
  async press(...ids: string[]): Promise<void> {
    for (const id of ids) {
      this.#requireOffered({ act: id });
      await this.session.act(id);
    }
  }

  async tick(id: string, value = true): Promise<void> {
    this.#requireOffered({ tick: id, value });
    await this.session.tick(id, value);
  }

  #requireOffered(message: object): void {
    const parsed = parseToHost(message, this.state);
    const failure = this.restore.failure?.text ?? 'no failure';
    assert.ok('message' in parsed, `${JSON.stringify(parsed)} (${failure})`);
  }

  isOffered(id: string): boolean {
    return 'message' in parseToHost({ act: id }, this.state);
  }

  /** Every button that can be pressed, wherever it is. */
  get offered(): string[] {
    const { notices, comparisons, steps, footer } = this.state;
    const lines = [...comparisons, ...steps].flatMap((part) => part.lines);
    return [
      ...[...notices, ...comparisons, ...steps, footer].flatMap(({ actions }) => actions),
      ...lines.flatMap(({ action }) => action ?? []),
    ].flatMap(({ id, enabled }) => (enabled ? [id] : []));
  }

  step(id: string): Step {
    const step = this.state.steps.find((one) => one.id === `step-${id}`);
    assert.ok(step, id);
    return step;
  }

  /** The step that the page leads to, and how it stands. */
  get now(): string {
    const steps = this.state.steps.map(({ id, status }) => `${id.slice('step-'.length)} ${status}`);
    return steps.find((one) => / (current|running|failed)$/.test(one)) ?? 'over';
  }

  get failure(): string {
    return this.restore.failure?.text ?? '';
  }

  async untilBusy(step: string): Promise<void> {
    for (let waited = 0; this.restore.busy?.step !== step; waited++) {
      assert.ok(waited < 1000, `never busy with ${step}`);
      await sleep(5);
    }
  }

  #host({ entry, backupsFolder, healthUrl = '', stopTask = '' }: StoryOptions): Host {
    return {
      worker: entry === undefined ? workerInProcess : new WorkerClient({ entry }),
      toolVersion: '0.0.0-test',
      backupsFolder,
      tasks: { stop: stopTask, start: '' },
      extensionsPid: process.pid,
      largestBytes: 1e9,
      isTrusted: () => this.isTrusted,
      healthUrl,
      recordAs: (path) => ({ path: basename(path) }),
      nameOf: (path) => basename(path),
      exists: existsSync,
      freePath,
      explain: ({ message, hint = '' }) => `${message} ${hint}`.trim(),
      confirm: async (question) => {
        this.questions.push(question);
        await this.whileAsked();
        return this.answer;
      },
      runTask: (_name, _purpose, signal) => this.runTask(signal),
      askHealth: () => Promise.resolve(this.health),
      showFile: (how, path, live) => Promise.resolve(void this.shown.push({ how, path, live })),
      restoreAgain: (run) => Promise.resolve(void this.again.push(run.backup)),
      showSchema: () => Promise.resolve(),
      exportRunbook: (text) => Promise.resolve(void this.exported.push(text)),
      save: (run) => Promise.resolve(void (this.saved = JSON.stringify(run))),
      note: (what, text, result) =>
        void this.notes.push(`${what} ${result === 'ok' ? 'ok' : result.code}: ${text}`),
      t: (message, ...values) =>
        message.replace(/\{(\d)\}/g, (_, index: string) => String(values[Number(index)])),
    };
  }
}
