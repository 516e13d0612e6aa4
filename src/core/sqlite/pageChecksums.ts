/*
 * SQLite's checksum VFS keeps a checksum in the last 8 bytes of each page, and its application cannot read a page in which
 * it is wrong. Plain SQLite does not know of it, so a page that is changed here gets its checksum here. Source:
 * https://sqlite.org/cksumvfs.html
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import type { Finding } from '../manifest/manifest.ts';
import { finding } from './finding.ts';
import { readHeader } from './header.ts';

/** A database that reserves as many bytes in each page is taken for one with checksums. */
export const checksumBytes = 8;

/** Of a whole page, the last 8 bytes of which do not count. */
export function pageChecksum(page: Buffer): Buffer {
  let [first, second] = [0, 0];
  for (let at = 0; at < page.length - checksumBytes; at += 8) {
    first = (first + page.readUInt32LE(at) + second) >>> 0;
    second = (second + page.readUInt32LE(at + 4) + first) >>> 0;
  }
  const checksum = Buffer.alloc(checksumBytes);
  checksum.writeUInt32LE(first, 0);
  checksum.writeUInt32LE(second, 4);
  return checksum;
}

export function hasRightChecksum(page: Buffer): boolean {
  return page.subarray(page.length - checksumBytes).equals(pageChecksum(page));
}

/** Gives the first page of a private file that no process has open its checksum, where the other pages have theirs. */
export function renewFirstChecksum(path: string): void {
  const pageSize = pageSizeOf(path);
  if (pageSize === undefined) return;
  const handle = openSync(path, 'r+');
  try {
    if (!hasChecksums(handle, pageSize)) return;
    const first = Buffer.alloc(pageSize);
    readSync(handle, first, 0, pageSize, 0);
    writeSync(handle, pageChecksum(first), 0, checksumBytes, pageSize - checksumBytes);
  } finally {
    closeSync(handle);
  }
}

const mostShown = 5;

/** The pages that an application with the checksum VFS cannot read. This process must not have the file open. */
export function checksumFindings(path: string): Finding[] {
  const pageSize = pageSizeOf(path);
  if (pageSize === undefined) return [];
  const handle = openSync(path, 'r');
  try {
    if (!hasChecksums(handle, pageSize)) return [];
    const wrong: number[] = [];
    for (const { number, page } of pagesOf(handle, pageSize))
      if (!hasRightChecksum(page)) wrong.push(number);
    if (wrong.length === 0) return [];
    const more = wrong.length > mostShown ? ` and ${wrong.length - mostShown} more` : '';
    return [
      finding(
        'page-checksums',
        `The checksum of page ${wrong.slice(0, mostShown).join(', ')}${more} is wrong: an application with SQLite's checksum VFS gets an I/O error there.`,
      ),
    ];
  } finally {
    closeSync(handle);
  }
}

/** Undefined for a database without room for checksums. */
function pageSizeOf(path: string): number | undefined {
  const header = readHeader(path);
  if (header.kind !== 'sqlite' || header.reservedBytes !== checksumBytes) return undefined;
  return header.pageSize;
}

/** The room may be for something else. A page of zeros has the right checksum by nature. */
function hasChecksums(handle: number, pageSize: number): boolean {
  let isOnlyPage = true;
  for (const { number, page } of pagesOf(handle, pageSize)) {
    if (number === 1) continue;
    isOnlyPage = false;
    if (hasRightChecksum(page) && page.some((byte) => byte !== 0)) return true;
  }
  if (!isOnlyPage) return false;
  const end = Buffer.alloc(checksumBytes);
  readSync(handle, end, 0, checksumBytes, pageSize - checksumBytes);
  return end.some((byte) => byte !== 0);
}

const chunkBytes = 1024 * 1024;

/** The whole pages of a file. Each is gone when the next is read. */
function* pagesOf(handle: number, pageSize: number): Generator<{ number: number; page: Buffer }> {
  const chunk = Buffer.alloc(chunkBytes);
  for (let at = 0; ; at += chunkBytes) {
    const read = readSync(handle, chunk, 0, chunkBytes, at);
    for (let from = 0; from + pageSize <= read; from += pageSize) {
      const number = (at + from) / pageSize + 1;
      yield { number, page: chunk.subarray(from, from + pageSize) };
    }
    if (read < chunkBytes) return;
  }
}
