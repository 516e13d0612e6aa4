/*
 * The container of a zip, written front to back: what stands before each entry, the directory behind all of them, ZIP64
 * where the old fields are too small. Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3 and 4.5.
 * Libraries take streams, which cost half a millisecond for each entry: more than 20,000 small files are worth.
 */
import { createHash } from 'node:crypto';
import { writeWhole } from '../files/pieces.ts';

/** What is known of an entry before its content is packed. */
export interface EntryHead {
  name: string;
  sizeBytes: number;
  crc32: number;
  isDeflated: boolean;
}

interface Written extends EntryHead {
  packedBytes: number;
  offset: number;
  flags: number;
}

const largest32 = 0xffffffff;
const largest16 = 0xffff;
/** Content that cannot be compressed grows a little. */
const smallestZip64 = largest32 - 64 * 1024 * 1024;

const flag = { describedLater: 0x8, utf8: 0x800 } as const;
const version = { deflate: 20, zip64: 45 } as const;
const madeOnUnix = 3 << 8;
/** A regular file that its owner may read and write. */
const unixMode = 0o100600;
const bufferBytes = 1024 * 1024;

export class ZipContainer {
  readonly #handle: number;
  readonly #time: Buffer;
  readonly #timeField: Buffer;
  readonly #hash = createHash('sha256');
  readonly #entries: Written[] = [];
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #sizeBytes = 0;

  /** `at` is the time of all entries; nothing else in a zip depends on when it is written. */
  constructor(handle: number, at: Date) {
    this.#handle = handle;
    this.#time = dosTime(at);
    // Seconds in UTC, which the old field does not have: id, size, what is set, the time of change.
    this.#timeField = fields(
      [2, 0x5455],
      [2, 5],
      [1, 1],
      [4, Math.floor(at.getTime() / 1000) >>> 0],
    );
  }

  /** An entry whose packed content is there. */
  add(head: EntryHead, packed: Buffer): void {
    const isLarge = packed.length >= largest32 || head.sizeBytes >= largest32;
    if (isLarge) throw new Error(`${head.name} is too large to be packed in one piece.`);
    this.#begin({ ...head, packedBytes: packed.length, offset: this.#sizeBytes, flags: 0 });
    this.#write(packed);
  }

  /** An entry that is packed as it is written. What is stored has a known size, which then stands before it. */
  async addPieces(head: EntryHead, pieces: AsyncIterable<Buffer>): Promise<void> {
    const { sizeBytes, isDeflated } = head;
    const entry: Written = {
      ...head,
      packedBytes: sizeBytes,
      offset: this.#sizeBytes,
      flags: isDeflated ? flag.describedLater : 0,
    };
    this.#begin(entry);
    const from = this.#sizeBytes;
    for await (const piece of pieces) this.#write(piece);
    entry.packedBytes = this.#sizeBytes - from;
    if (!isDeflated) return;
    const width = sizeBytes >= smallestZip64 ? 8 : 4;
    this.#write(
      fields([4, 0x08074b50], [4, head.crc32], [width, entry.packedBytes], [width, sizeBytes]),
    );
  }

  /** Ends the zip. Returns its size and SHA-256. */
  end(): { sizeBytes: number; sha256: string } {
    const from = this.#sizeBytes;
    for (const entry of this.#entries) this.#write(this.#directoryEntry(entry));
    const bytes = this.#sizeBytes - from;
    const count = this.#entries.length;
    if (count >= largest16 || bytes >= largest32 || from >= largest32) {
      const at = this.#sizeBytes;
      this.#write(
        fields(
          [4, 0x06064b50],
          [8, 44],
          [2, madeOnUnix | version.zip64],
          [2, version.zip64],
          [4, 0],
          [4, 0],
          [8, count],
          [8, count],
          [8, bytes],
          [8, from],
        ),
      );
      this.#write(fields([4, 0x07064b50], [4, 0], [8, at], [4, 1]));
    }
    const [entries, size, offset] = [
      Math.min(count, largest16),
      Math.min(bytes, largest32),
      Math.min(from, largest32),
    ];
    this.#write(
      fields(
        [4, 0x06054b50],
        [2, 0],
        [2, 0],
        [2, entries],
        [2, entries],
        [4, size],
        [4, offset],
        [2, 0],
      ),
    );
    this.#flush();
    return { sizeBytes: this.#sizeBytes, sha256: this.#hash.digest('hex') };
  }

  #begin(entry: Written): void {
    const { name, sizeBytes, crc32 } = entry;
    const nameBytes = Buffer.from(name);
    if (nameBytes.length !== name.length) entry.flags |= flag.utf8;
    this.#entries.push(entry);
    const isLater = (entry.flags & flag.describedLater) !== 0;
    const isZip64 = sizeBytes >= (isLater ? smallestZip64 : largest32);
    const packedBytes = isLater ? 0 : entry.packedBytes;
    const known = isLater ? 0 : sizeBytes;
    const zip64 = isZip64 ? fields([2, 1], [2, 16], [8, known], [8, packedBytes]) : Buffer.alloc(0);
    this.#write(
      fields(
        [4, 0x04034b50],
        [2, isZip64 ? version.zip64 : version.deflate],
        [2, entry.flags],
        [2, methodOf(entry)],
      ),
    );
    this.#write(this.#time);
    this.#write(
      fields(
        [4, isLater ? 0 : crc32],
        [4, isZip64 ? largest32 : packedBytes],
        [4, isZip64 ? largest32 : known],
        [2, nameBytes.length],
        [2, zip64.length + this.#timeField.length],
      ),
    );
    for (const part of [nameBytes, zip64, this.#timeField]) this.#write(part);
  }

  #directoryEntry(entry: Written): Buffer {
    const { name, sizeBytes, packedBytes, offset, crc32, flags } = entry;
    const nameBytes = Buffer.from(name);
    // Only what does not fit has a field here, in this order.
    const large = [sizeBytes, packedBytes, offset].filter((one) => one >= largest32);
    const isZip64 =
      large.length > 0 || ((flags & flag.describedLater) !== 0 && sizeBytes >= smallestZip64);
    const zip64 =
      large.length === 0
        ? Buffer.alloc(0)
        : fields([2, 1], [2, 8 * large.length], ...large.map((one): Field => [8, one]));
    const needed = isZip64 ? version.zip64 : version.deflate;
    return Buffer.concat([
      fields(
        [4, 0x02014b50],
        [2, madeOnUnix | needed],
        [2, needed],
        [2, flags],
        [2, methodOf(entry)],
      ),
      this.#time,
      fields(
        [4, crc32],
        [4, Math.min(packedBytes, largest32)],
        [4, Math.min(sizeBytes, largest32)],
        [2, nameBytes.length],
        [2, zip64.length + this.#timeField.length],
        [2, 0],
        [2, 0],
        [2, 0],
        [4, (unixMode << 16) >>> 0],
        [4, Math.min(offset, largest32)],
      ),
      nameBytes,
      zip64,
      this.#timeField,
    ]);
  }

  #write(bytes: Buffer): void {
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    this.#sizeBytes += bytes.length;
    if (this.#pendingBytes >= bufferBytes) this.#flush();
  }

  #flush(): void {
    const bytes = Buffer.concat(this.#pending);
    [this.#pending, this.#pendingBytes] = [[], 0];
    this.#hash.update(bytes);
    writeWhole(this.#handle, bytes);
  }
}

function methodOf({ isDeflated }: EntryHead): number {
  return isDeflated ? 8 : 0;
}

type Field = readonly [bytes: 1 | 2 | 4 | 8, value: number];

function fields(...all: readonly Field[]): Buffer {
  const buffer = Buffer.allocUnsafe(all.reduce((sum, [bytes]) => sum + bytes, 0));
  let at = 0;
  for (const [bytes, value] of all) {
    if (bytes === 8) buffer.writeBigUInt64LE(BigInt(value), at);
    else buffer.writeUIntLE(value, at, bytes);
    at += bytes;
  }
  return buffer;
}

/** In UTC: the local time would make the bytes depend on the time zone. */
function dosTime(at: Date): Buffer {
  const year = Math.min(Math.max(at.getUTCFullYear(), 1980), 2107);
  const date = ((year - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate();
  const time =
    (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | Math.floor(at.getUTCSeconds() / 2);
  return fields([2, time], [2, date]);
}
