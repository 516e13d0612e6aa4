/*
 * How a large database is captured, in this order: SQLite pins an instant in one process -> another process, which never
 * opens SQLite, reads how far the WAL goes, copies the WAL up to there, then clones or copies the file -> SQLite lets go ->
 * SQLite opens the private pair and brings the WAL in. In rollback mode, most of a copy is made before (twoPasses.ts).
 *
 * Why it is right. While a pin is held
 * - in rollback mode no program may write to the file;
 * - in WAL mode, with frames that are not in the file yet, a checkpoint brings only pages up to the pin into the file, and
 *   the WAL cannot begin anew: a page that is caught halfway is in the copied frames too;
 * - in WAL mode, with all frames in the file, nothing is written to the file. The WAL may begin anew, and then its header
 *   has other salts than the index: none of it is needed, because the file has it all.
 *
 * Why two processes. Closing any descriptor of a database drops all locks that the same process has on it.
 */
import { closeSync, fstatSync, openSync, readSync, rmSync, statSync, truncateSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { BackupError } from '../errors.ts';
import { copyInSteps } from '../files/copying.ts';
import { stepBytes } from '../files/earlySync.ts';
import { readWalSalts, walBytesOf, type WalIndex } from '../files/walIndex.ts';
import type { CaptureOrder, Captured, CaptureProcess, Capturing, RecordAs } from '../job.ts';
import type { Finding } from '../manifest/manifest.ts';
import type { Pace } from '../pause.ts';
import { absorbSiblings } from '../sqlite/absorb.ts';
import { type Contents, differingFacts } from '../sqlite/contents.ts';
import type { ByHand } from '../sqlite/opening.ts';
import type { Pin } from '../sqlite/pin.ts';
import { incomplete, settleIn } from './settle.ts';
import { cloneLive } from './cloneLive.ts';
import { isReplaced, type Source } from './source.ts';
import { matchCopy } from './twoPasses.ts';
import { writeWhole } from '../files/pieces.ts';

/** A database that SQLite holds. */
export interface Held {
  member: { database: string; recordAs: RecordAs; stamp: string | undefined; source: Source };
  byHand: ByHand | undefined;
  pin: Pin;
  /** How far its WAL went when it was pinned, or after that. */
  wal: WalIndex | undefined;
  /** That was the instant of the pin itself. */
  isExact: boolean;
}

/** A private copy that was made by hand is none that another program writes to; Windows keeps locked parts from reading. */
export function isWorthCapturing(
  {
    member,
    byHand,
  }: {
    member: Pick<Held['member'], 'source'>;
    byHand?: ByHand | undefined;
  },
  capturing: Capturing | undefined,
): boolean {
  const { sizeBytes } = member.source;
  if (process.platform === 'win32' || byHand !== undefined) return false;
  return sizeBytes >= (capturing?.fewestBytes ?? Infinity);
}

/** Undefined when it cannot be captured so: SQLite copies it then, page by page. */
export async function capture(
  capturing: CaptureProcess,
  { member: { source }, pin: { facts }, wal }: Held,
  { copy, isPrepared }: Pick<CaptureOrder, 'copy' | 'isPrepared'>,
  onStep: (doneBytes: number) => Pace,
  onNote: (text: string) => void = () => undefined,
): Promise<Captured | undefined> {
  const isWal = facts.journalMode === 'wal';
  // The index of an empty WAL knows no page size, and the file has all.
  const isUnderstood = wal !== undefined && (wal.frames === 0 || wal.pageSize === facts.pageSize);
  let ended: unknown;
  try {
    if (isWal && !isUnderstood)
      throw new Error('The index of its WAL could not be read, or is of an unknown version.');
    const captured = await capturing.capture(
      { path: source.path, copy, wal: isWal ? wal : undefined, isPrepared },
      (doneBytes) => {
        try {
          return onStep(doneBytes);
        } catch (error) {
          ended = error;
          throw error;
        }
      },
    );
    // The other process finds the file by its name, and SQLite holds the one that had the name before.
    if (isReplaced(source)) throw new Error(`${source.path} is another file now.`);
    return captured;
  } catch (error) {
    if (ended !== undefined) throw ended as Error;
    for (const file of [copy, `${copy}-wal`]) rmSync(file, { force: true });
    const reason = error instanceof Error ? error.message : String(error);
    onNote(
      `SQLite copies ${source.path} page by page, because it could not be captured: ${reason}`,
    );
    return undefined;
  }
}

/** Brings in the WAL that was captured, and insists that the result is what the index, or the pin, said. */
export function settleCaptured(
  copy: string,
  { member: { source }, pin: { facts }, wal, isExact }: Held,
  { frames }: Captured,
  folder: string,
): Contents {
  if (frames > 0) absorbSiblings(copy, source.path);
  const contents = settleIn(copy, folder);
  const { pageCount, pageSize } = contents.facts;
  // The file of a database may go on behind its last page.
  if (statSync(copy).size > pageCount * pageSize) truncateSync(copy, pageCount * pageSize);
  const isPinned = isExact || wal === undefined || wal.frames === 0;
  const expected = isPinned ? facts : { ...contents.facts, pageCount: wal.pages };
  const differing = differingFacts(expected, contents.facts);
  const isWhole = statSync(copy).size === pageCount * pageSize;
  if (differing.length === 0 && isWhole) return contents;
  throw incomplete(differing.length > 0 ? differing : [shorter], folder);
}

const shorter: Finding = { code: 'size', message: 'it is shorter than its header says.' };

export interface CaptureOptions {
  /** For tests: called before the WAL's copy is proved, before the file is copied, and before that copy is proved. */
  at?: (step: 'wal' | 'file' | 'copied') => void;
  /** For tests: how much is read at once. */
  chunkBytes?: number;
}

/** The part of the process that never opens SQLite. `onStep` gets the bytes done after each piece, and says how to go on. */
export async function captureFiles(
  order: CaptureOrder,
  onStep: (doneBytes: number) => Pace,
  { at = () => undefined, chunkBytes = defaultChunkBytes }: CaptureOptions = {},
): Promise<Captured> {
  const { path, copy, wal, isPrepared } = order;
  try {
    const frames =
      wal === undefined ? 0 : await copyWal(path, copy, wal, () => onStep(0), { at, chunkBytes });
    at('file');
    if (isPrepared !== true && cloneLive(path, copy)) return { means: 'clone', frames };
    await copyRaw(order, onStep, { at, chunkBytes });
    return { means: 'copy', frames };
  } catch (error) {
    for (const file of [copy, `${copy}-wal`]) rmSync(file, { force: true });
    throw error;
  }
}

/** Copies what the index says is committed, and returns how many frames that are: 0 when the file has it all. */
async function copyWal(
  path: string,
  copy: string,
  wal: WalIndex,
  onStep: () => void,
  { at, chunkBytes }: Required<CaptureOptions>,
): Promise<number> {
  if (wal.frames === 0) return 0;
  const from = openSync(`${path}-wal`, 'r');
  try {
    if (readWalSalts(from) !== wal.salts) return 0;
    const wanted = walBytesOf(wal);
    const copied = await copyRange(from, `${copy}-wal`, wanted, onStep, chunkBytes);
    at('wal');
    if (readWalSalts(from) === wal.salts) {
      if (copied === wanted) return wal.frames;
      throw new BackupError('incomplete', `${path}-wal has fewer frames than its index says.`);
    }
    // It began anew meanwhile, which it can only when the file has all of it.
    rmSync(`${copy}-wal`);
    return 0;
  } finally {
    closeSync(from);
  }
}

const defaultChunkBytes = 1024 * 1024;

async function copyRange(
  from: number,
  to: string,
  bytes: number,
  onStep: () => void,
  chunkBytes: number,
): Promise<number> {
  const handle = openSync(to, 'wx', 0o600);
  try {
    const chunk = Buffer.allocUnsafe(chunkBytes);
    let done = 0;
    let dueBytes = 0;
    while (done < bytes) {
      if (done >= dueBytes) {
        dueBytes = done + stepBytes;
        onStep(); // A WAL may be larger than the database: then it takes as long.
        await turn();
      }
      const read = readSync(from, chunk, 0, Math.min(chunkBytes, bytes - done), done);
      if (read === 0) break;
      writeWhole(handle, chunk.subarray(0, read), done);
      done += read;
    }
    return done;
  } finally {
    closeSync(handle);
  }
}

async function copyRaw(
  { path, copy, isPrepared }: CaptureOrder,
  onStep: (doneBytes: number) => Pace,
  { at, chunkBytes }: Required<CaptureOptions>,
): Promise<void> {
  const from = openSync(path, 'r');
  try {
    const sizeBytes = fstatSync(from).size;
    const pass = isPrepared ? matchCopy : copyInSteps;
    const done = await pass(from, copy, onStep, chunkBytes);
    at('copied');
    // One that a checkpoint has made longer meanwhile is complete with the WAL that was copied.
    if (done < sizeBytes) throw new BackupError('incomplete', `${path} was not read to its end.`);
  } finally {
    closeSync(from);
  }
}
