/** The blocks of a runbook, and programs that come between their commands. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import type { RestoreRequest } from '../../src/core/restore/request.ts';
import { planRestore } from '../../src/core/restore/plan.ts';
import { runbookSteps } from '../../src/core/runbook/runbook.ts';
import { createDatabase, snapshot, withDatabase } from './databases.ts';
import { type Ended, holdOpen, kill, run } from './processes.ts';
import { setAsidesIn } from './restores.ts';

export const handSteps = ['plan', 'stop', 'move', 'copy', 'verify', 'undo', 'remove'] as const;
export type HandBlocks = Record<(typeof handSteps)[number], string>;

export async function handBlocks(
  request: RestoreRequest,
  shell: 'sh' | 'powershell' = 'sh',
): Promise<HandBlocks> {
  const plan = await planRestore(request, { onProgress: () => undefined });
  const steps = runbookSteps(plan, { now: new Date('2026-11-21T13:45:02Z') });
  const of = (id: string): string => steps.find((step) => step.id === id)?.[shell][0] ?? '';
  const [undo, remove] = steps.at(-1)?.options ?? [];
  return {
    ...{ plan: of('plan'), stop: of('stop'), move: of('move'), copy: of('copy') },
    ...{ verify: of('verify'), undo: undo?.[shell][0] ?? '', remove: remove?.[shell][0] ?? '' },
  };
}

/** The environment in which `sh` code runs before each call of a program; `real` then does what it is called for. */
export function before(folder: string, programs: Record<string, string>): Record<string, string> {
  mkdirSync(folder, { recursive: true });
  const path = process.env['PATH'] ?? '';
  for (const [program, code] of Object.entries(programs)) {
    const script = join(folder, program);
    const real = `real() { PATH='${path}'; export PATH; command ${program} "$@"; }`;
    writeFileSync(script, `#!/bin/sh\n${real}\n${code}\nreal "$@"\n`);
    chmodSync(script, 0o755);
  }
  return { PATH: `${folder}${delimiter}${path}` };
}

export const count = 'SELECT count(*) FROM items';
export const insert = "INSERT INTO items (name) VALUES ('after the backup')";

/** A restore by hand: `d/NAME` is live, with 102 rows of which two are only in its `-wal`; the backup has the first 100. */
export class HandRestore {
  blocks = {} as HandBlocks;
  readonly live: string;
  readonly backup: string;
  readonly folder: (...names: string[]) => string;

  private constructor(folder: (...names: string[]) => string, live: string, backup: string) {
    this.folder = folder;
    this.live = live;
    this.backup = backup;
  }

  static async prepare(
    folder: (...names: string[]) => string,
    name = 'app.db',
  ): Promise<HandRestore> {
    mkdirSync(folder('d'), { recursive: true });
    const live = createDatabase(folder('d', name), { journalMode: 'wal' });
    const { path: backup } = await snapshot(live, { folder: folder('b') });
    await kill(await holdOpen(live, 'PRAGMA wal_autocheckpoint = 0', insert, insert));
    const restore = new HandRestore(folder, live, backup);
    await restore.plan();
    return restore;
  }

  /** The blocks for what is on the disk now. */
  async plan(): Promise<void> {
    this.blocks = await handBlocks({ backup: this.backup, items: [{ target: this.live }] });
  }

  follow(block: string, env: Record<string, string> = {}): Promise<Ended> {
    return run(['sh', '-c', block], { cwd: this.folder(), env });
  }

  async expectGood(block: string, env: Record<string, string> = {}): Promise<void> {
    const { code, stdout, stderr } = await this.follow(block, env);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^GOOD: .*\n$/m);
  }

  async expectBad(block: string, why: RegExp, env: Record<string, string> = {}): Promise<void> {
    const { code, stdout, stderr } = await this.follow(block, env);
    assert.notEqual(code, 0, stdout);
    assert.match(stderr, why);
    assert.doesNotMatch(stdout, /GOOD/);
  }

  /** Where the previous database is kept. */
  get kept(): string {
    return this.folder('d', setAsidesIn(this.folder('d'))[0] ?? 'nothing is kept');
  }

  /** Of a copy, so that nothing beside the file changes. */
  rowsIn(path: string): unknown {
    const copy = this.folder('copy.db');
    for (const part of ['', '-wal', '-journal']) {
      rmSync(copy + part, { force: true });
      if (existsSync(path + part)) copyFileSync(path + part, copy + part);
    }
    return withDatabase(copy, (db) => db.prepare(count).pluck().get());
  }

  expectNothingLeft(): void {
    const left = readdirSync(this.folder('d')).filter((name) => /\.(by-hand|part|new)/.test(name));
    assert.deepEqual(left, []);
  }
}
