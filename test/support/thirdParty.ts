/** Another program, in a process of its own, that a test can use in the middle of synchronous work. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pause } from '../../src/core/pause.ts';
import { start } from './processes.ts';

const longestWaitMs = 30_000;

export class ThirdParty {
  readonly #mailbox: string;
  readonly pid: number;
  #asked = 0;

  private constructor(mailbox: string, pid: number) {
    this.#mailbox = mailbox;
    this.pid = pid;
  }

  static async start(mailbox: string): Promise<ThirdParty> {
    mkdirSync(mailbox, { recursive: true });
    const { child } = await start('thirdParty.ts', mailbox);
    return new ThirdParty(mailbox, child.pid ?? 0);
  }

  /** Uses the connection to `path`, which is made and stays open. `busy` when it was kept out for `timeoutMs`. */
  run(path: string, sql = '', timeoutMs = 50): unknown {
    return this.answer(this.begin(path, sql, timeoutMs));
  }

  /**
   * Kill -9, and waits until its files are closed: then it is a zombie, which stays while this waits, without another
   * thread, which could have them open a little longer.
   */
  end(): void {
    process.kill(this.pid, 'SIGKILL');
    const isZombie = (): boolean =>
      /^State:\s+Z/m.test(readFileSync(`/proc/${this.pid}/status`, 'utf8'));
    while (!isZombie() || readdirSync(`/proc/${this.pid}/task`).length > 1) pause(1);
  }

  close(path: string): void {
    this.answer(this.#ask(['close', path, '', 0]));
  }

  /** The same as `run`, without waiting for the answer. */
  begin(path: string, sql: string, timeoutMs: number): number {
    return this.#ask(['run', path, sql, timeoutMs]);
  }

  /** True once it has a file of this folder open, also one that has lost its name. */
  hasOpen(folder: string): boolean {
    const descriptors = `/proc/${this.pid}/fd`;
    return readdirSync(descriptors).some((name) => {
      try {
        return readlinkSync(join(descriptors, name)).startsWith(folder);
      } catch {
        return false; // Closed by now.
      }
    });
  }

  isAnswered(n: number): boolean {
    return existsSync(join(this.#mailbox, `${n}.answer`));
  }

  answer(n: number): unknown {
    const path = join(this.#mailbox, `${n}.answer`);
    for (const end = Date.now() + longestWaitMs; !existsSync(path); pause(1))
      if (Date.now() > end) throw new Error('The other program does not answer');
    const answer = JSON.parse(readFileSync(path, 'utf8')) as unknown;
    const code = (answer as { error?: string } | null)?.error;
    return code?.startsWith('SQLITE_BUSY') === true ? 'busy' : answer;
  }

  #ask(what: [string, string, string, number]): number {
    const n = ++this.#asked;
    writeFileSync(join(this.#mailbox, 'draft-ask'), JSON.stringify(what));
    renameSync(join(this.#mailbox, 'draft-ask'), join(this.#mailbox, `${n}.ask`));
    return n;
  }
}
