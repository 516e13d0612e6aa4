/*
 * Writing and reading past the system's cache of files, with O_DIRECT (open(2)). On ext4 a commit of another program waits
 * for all that the cache brings to the disk in that moment; what is written past it is there already, and keeps no commit
 * waiting. A clone has nothing in the cache: reading it past the cache spares the memory.
 */
import { closeSync, constants, openSync, statfsSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';

/** Places, lengths and memory are multiples of it: no disk has larger blocks. */
const blockBytes = 4096;
/** statfs(2). Others have not been measured. */
const ext4 = 0xef53;
/** XFS and Btrfs. */
const withClones: readonly number[] = [0x58465342, 0x9123683e];
/** Pieces of this size are read as quickly as the disk can; two are in memory at once. */
const pieceBytes = 1024 * 1024;
/** Of WebAssembly: https://webassembly.github.io/spec/core/exec/runtime.html#memory-instances */
const pageBytes = 65_536;

/** Of WebAssembly, what is used here: the types of Node's own library lack it. */
interface WithMemory {
  Memory: new (size: { initial: number }) => { buffer: ArrayBuffer };
}
const { Memory } = Reflect.get(globalThis, 'WebAssembly') as WithMemory;

/** Memory that a `DirectFile` can write from: a `Buffer` of its own begins anywhere. */
export function alignedMemory(bytes: number): Buffer {
  const { buffer } = new Memory({ initial: Math.ceil(bytes / pageBytes) });
  return Buffer.from(buffer, 0, bytes);
}

/** Undefined on Windows and macOS. */
const { O_DIRECT: pastCache } = constants as { O_DIRECT?: number };

export class DirectFile {
  readonly #handle: number;

  /** Undefined where the system, or the file system, does not have it. */
  static open(path: string): DirectFile | undefined {
    if (pastCache === undefined) return undefined;
    try {
      if (statfsSync(path).type !== ext4) return undefined;
      return new DirectFile(openSync(path, constants.O_WRONLY | pastCache));
    } catch {
      return undefined; // The cache takes everything.
    }
  }

  private constructor(handle: number) {
    this.#handle = handle;
  }

  /**
   * Writes what is whole blocks of the first `length` bytes of `memory`, and returns how many are at `position` now.
   * Undefined where the file system refuses it after all.
   */
  write(memory: Buffer, length: number, position: number): number | undefined {
    const whole = position % blockBytes === 0 ? length - (length % blockBytes) : 0;
    if (whole === 0) return 0;
    try {
      return writeSync(this.#handle, memory, 0, whole, position);
    } catch (error) {
      if (isRefusal(error)) return undefined;
      throw error;
    }
  }

  close(): void {
    closeSync(this.#handle);
  }
}

/**
 * Reads a file from its beginning to its end and gives its pieces to `onPiece`, each while the next one is read; what that
 * throws ends the reading. A piece is overwritten after the call. False where the system or the file system cannot, if need
 * be after some pieces.
 */
export async function readPastCache(
  path: string,
  onPiece: (piece: Buffer) => void,
): Promise<boolean> {
  if (pastCache === undefined || !withClones.includes(statfsSync(path).type)) return false;
  const pieces = twoPieces();
  if (pieces === undefined) return false;
  try {
    const file = await open(path, constants.O_RDONLY | pastCache);
    try {
      const { size } = await file.stat();
      let [memory, other] = pieces;
      const read = (at: number) => {
        const reading = file.read(memory, 0, pieceBytes, at);
        reading.catch(() => undefined); // It is awaited after the piece before it.
        return reading;
      };
      let reading = read(0);
      for (let at = 0; at < size;) {
        const { bytesRead, buffer } = await reading;
        if (bytesRead === 0) break;
        at += bytesRead;
        [memory, other] = [other, memory];
        if (at < size) reading = read(at);
        onPiece(buffer.subarray(0, bytesRead));
      }
      return true;
    } finally {
      // Waits for what is still read.
      await file.close();
    }
  } catch (error) {
    if (isRefusal(error)) return false;
    throw error;
  }
}

/** Undefined where the addresses that such memory reserves are not to be had, as under `ulimit -v`. */
function twoPieces(): [Buffer, Buffer] | undefined {
  try {
    return [alignedMemory(pieceBytes), alignedMemory(pieceBytes)];
  } catch {
    return undefined;
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && Reflect.get(error, 'code') === 'EINVAL';
}
