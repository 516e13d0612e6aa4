import { crc32, deflateRawSync } from 'node:zlib';

/** An entry of a zip made byte by byte: everything can be made to lie. */
export interface RawEntry {
  name: string | Buffer;
  data?: string | Buffer;
  deflate?: boolean;
  /** What stands before the content, when it is not what the directory says. */
  localName?: string;
  localSize?: number;
  size?: number;
  crc?: number;
  method?: number;
  flags?: number;
  /** The upper half of the attributes, as Unix knows it. */
  mode?: number;
  attributes?: number;
  extra?: Buffer;
  /** Where the directory says that the entry begins. */
  offset?: number;
  /** Appended to the compressed data, and counted as part of it. */
  trailing?: Buffer;
}

const unix = 3 << 8;

/** A zip of these entries, whatever they say. `entryCount` and `comment` lie as well when they are given. */
export function rawZip(
  entries: RawEntry[],
  { entryCount = entries.length, comment = '' }: { entryCount?: number; comment?: string } = {},
): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const entry of entries) {
    const content = Buffer.from(entry.data ?? '');
    const packed = Buffer.concat([
      entry.deflate === true ? deflateRawSync(content) : content,
      entry.trailing ?? Buffer.alloc(0),
    ]);
    const name = Buffer.from(entry.name);
    const localName = entry.localName === undefined ? name : Buffer.from(entry.localName);
    const method = entry.method ?? (entry.deflate === true ? 8 : 0);
    const flags = entry.flags ?? 0x800;
    const size = entry.size ?? content.length;
    const crc = entry.crc ?? crc32(content);
    const extra = entry.extra ?? Buffer.alloc(0);

    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(20, 4);
    local.writeUInt16LE(flags, 6);
    local.writeUInt16LE(method, 8);
    local.writeUInt32LE(0x5a210000, 10);
    local.writeUInt32LE(crc, 14);
    local.writeUInt32LE(packed.length, 18);
    local.writeUInt32LE(entry.localSize ?? size, 22);
    local.writeUInt16LE(localName.length, 26);

    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(unix | 20, 4);
    central.writeUInt16LE(20, 6);
    central.writeUInt16LE(flags, 8);
    central.writeUInt16LE(method, 10);
    central.writeUInt32LE(0x5a210000, 12);
    central.writeUInt32LE(crc, 16);
    central.writeUInt32LE(packed.length, 20);
    central.writeUInt32LE(size, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt16LE(extra.length, 30);
    const mode = entry.mode ?? 0o100644;
    central.writeUInt32LE(((mode << 16) | (entry.attributes ?? 0)) >>> 0, 38);
    central.writeUInt32LE(entry.offset ?? at, 42);

    parts.push(local, localName, packed);
    directory.push(central, name, extra);
    at += local.length + localName.length + packed.length;
  }
  const index = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entryCount, 8);
  end.writeUInt16LE(entryCount, 10);
  end.writeUInt32LE(index.length, 12);
  end.writeUInt32LE(at, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...parts, index, end, Buffer.from(comment)]);
}
