/*
 * Writing past the system's cache of files, with O_DIRECT (open(2)). On ext4 a commit of another program waits for all that
 * the cache brings to the disk in that moment; what is written past it is there already, and keeps no commit waiting.
 */
import { closeSync, constants, openSync, statfsSync, writeSync } from 'node:fs';

/** Places, lengths and memory are multiples of it: no disk has larger blocks. */
const blockBytes = 4096;
/** statfs(2). Others have not been measured: on XFS and Btrfs a clone is made. */
const ext4 = 0xef53;
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

export class DirectFile {
  readonly #handle: number;

  /** Undefined where the system, or the file system, does not have it. */
  static open(path: string): DirectFile | undefined {
    const { O_DIRECT } = constants as { O_DIRECT?: number };
    if (O_DIRECT === undefined) return undefined; // As on Windows and macOS.
    try {
      if (statfsSync(path).type !== ext4) return undefined;
      return new DirectFile(openSync(path, constants.O_WRONLY | O_DIRECT));
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
      if (error instanceof Error && Reflect.get(error, 'code') === 'EINVAL') return undefined;
      throw error;
    }
  }

  close(): void {
    closeSync(this.#handle);
  }
}
