import { statSync } from 'node:fs';
import { explain } from '../errors.ts';
import { statIfAny } from '../files/paths.ts';
import type { Facts, Finding } from '../manifest/manifest.ts';
import { formatBytes } from '../units.ts';
import { isReplaced, type Source } from './source.ts';

const largestQuietWalBytes = 256 * 1024 * 1024;
const smallestNotedWalBytes = 4 * 1024 * 1024;

/** So long after a commit its program may be about to commit again. */
const writtenForMs = 1000;
/** Each look asks the file system, and small steps are many. */
const lookEveryMs = 10;

/** Notices what holding a database still does to the programs that write to it. Looks at sizes and times only. */
export class PinWatch {
  readonly #source: Source;
  readonly #walBytesBefore: number;
  readonly #quietWalBytes: number;
  readonly #since = Date.now();
  #walBytes = 0;
  #walState: string;
  #lookedAt = -Infinity;
  #writtenAt = -Infinity;
  #hasWaitingWriter = false;

  constructor(source: Source, facts: Facts | undefined) {
    this.#source = source;
    const { sizeBytes, state } = walOf(source);
    this.#walBytesBefore = sizeBytes;
    this.#walState = state;
    const twice = 2 * (facts === undefined ? source.sizeBytes : facts.pageCount * facts.pageSize);
    this.#quietWalBytes = Math.min(largestQuietWalBytes, Math.max(twice, smallestNotedWalBytes));
  }

  /** Whether a program has written to the WAL just now, as far as the last looks have seen. Never in rollback mode. */
  get isWritten(): boolean {
    return performance.now() - this.#writtenAt < writtenForMs;
  }

  /** What cannot be seen now is of no weight: `findings` looks again, and says why it cannot. */
  look(): void {
    const now = performance.now();
    if (now - this.#lookedAt < lookEveryMs) return;
    this.#lookedAt = now;
    try {
      this.#look();
    } catch {
      // The copy of another database must not fail because of this one.
    }
  }

  #look(): void {
    if (this.#source.journalMode === 'wal') {
      const { sizeBytes, state } = walOf(this.#source);
      this.#walBytes = Math.max(this.#walBytes, sizeBytes);
      if (state !== this.#walState) this.#writtenAt = performance.now();
      this.#walState = state;
      return;
    }
    const journal = statSync(`${this.#source.path}-journal`, { throwIfNoEntry: false });
    if (journal !== undefined && journal.mtimeMs >= this.#since) this.#hasWaitingWriter = true;
  }

  findings(): Finding[] {
    try {
      this.#look();
    } catch (error) {
      throw explain(error, 'source', this.#source.path);
    }
    const grownBytes = this.#walBytes - this.#walBytesBefore;
    const findings: Finding[] = [];
    if (grownBytes > this.#quietWalBytes) {
      findings.push({
        code: 'wal-grew',
        message: `The WAL grew by ${formatBytes(grownBytes)} during the backup, because it cannot be reset while it is read.`,
      });
    }
    if (this.#hasWaitingWriter) {
      findings.push({
        code: 'rollback-writer',
        message:
          'The database was written to during the backup. In rollback mode its writers wait meanwhile; WAL mode avoids that.',
      });
    }
    if (this.#source.links > 1) {
      findings.push({
        code: 'hard-linked',
        message: `The database file has ${this.#source.links} names. Only the siblings beside this one were seen.`,
      });
    }
    if (isReplaced(this.#source)) {
      findings.push({
        code: 'source-replaced',
        message:
          'The database file was replaced during the backup: the snapshot is of the old file.',
      });
    }
    return findings;
  }
}

function walOf({ path }: Source): { sizeBytes: number; state: string } {
  const { size, mtimeMs } = statIfAny(`${path}-wal`) ?? { size: 0, mtimeMs: 0 };
  return { sizeBytes: size, state: `${size} ${mtimeMs}` };
}
