/** A restore as a person goes through it on the page, without an editor: real workers, real databases. */
import assert from 'node:assert/strict';
import { existsSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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
import { WorkerClient } from '../../src/worker/client.ts';
import { build } from 'esbuild';
import { root } from './processes.ts';

/** Each press of a button is several processes, and a bundle starts four times as fast as the sources. */
export const workerEntry = join(root, 'out/runbook-worker.mjs');

/** Test files run side by side and share it, so it gets its name when it is complete. */
export async function buildWorker(): Promise<void> {
  const outfile = workerEntry.replace('.mjs', `-${process.pid}.mjs`);
  await build({
    entryPoints: [join(root, 'src/worker/main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
  });
  renameSync(outfile, workerEntry);
}

export const wording: Wording = {
  day: (iso) => iso,
  time: (iso) => iso,
  verdict: (status) => status,
  shell: 'posix',
  spotChecks: ['Orders of today are there'],
  backupFacts: [],
};

export interface StoryOptions {
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

  #host({ entry = workerEntry, backupsFolder, healthUrl = '', stopTask = '' }: StoryOptions): Host {
    return {
      worker: new WorkerClient({ entry }),
      toolVersion: '0.0.0-test',
      backupsFolder,
      tasks: { stop: stopTask, start: '' },
      extensionsPid: process.pid,
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
