import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { digestFile } from '../../src/core/files/digests.ts';
import {
  beginsAs,
  DigestBehind,
  endsAs,
  type Reading,
} from '../../src/core/snapshot/digestBehind.ts';
import { useTempFolder } from '../support/tempFolders.ts';

const megabyte = 1024 * 1024;
const calm = { gently: false };

describe('digests of a file that is being written', () => {
  const folder = useTempFolder();
  const content = randomBytes(40 * megabyte);
  const begin = content.subarray(0, 4096);

  const isProved = (path: string, reading: Reading): [boolean, boolean] => [
    beginsAs(path, reading, () => undefined),
    endsAs(path, reading, () => undefined),
  ];

  /** Writes as SQLite does: `from` is only there when all of the rest is. */
  function write(
    path: string,
    pieces: [from: number, to: number][],
    follow: (at: number) => void,
  ): void {
    const handle = openSync(path, 'w');
    for (const [from, to] of pieces) {
      writeSync(handle, content, from, to - from, from);
      follow(to);
    }
    closeSync(handle);
  }

  const inOrder = Array.from({ length: 40 }, (_, n): [number, number] => [
    Math.max(n * megabyte, 4096),
    (n + 1) * megabyte,
  ]);

  it('are those of the file, and proved, when it begins as expected', () => {
    const path = folder('copy.db');
    writeFileSync(path, '');
    const behind = new DigestBehind(path, { begin, sizeBytes: content.length });
    write(path, [...inOrder, [0, 4096]], (at) =>
      behind.follow(at, { gently: at > content.length / 2 }),
    );
    const reading = behind.end({ gently: true });
    const { sha256, crc32 } = digestFile(path);
    assert.deepEqual([reading.sha256, reading.crc32], [sha256, crc32]);
    assert.deepEqual(isProved(path, reading), [true, true]);
  });

  it('are not proved when it begins otherwise', () => {
    const path = folder('copy.db');
    writeFileSync(path, content);
    const other = Buffer.from(begin);
    other.writeUInt8(other.readUInt8(24) ^ 1, 24);
    for (const expected of [other, Buffer.alloc(0), content.subarray(0, 100)]) {
      const reading = new DigestBehind(path, { begin: expected, sizeBytes: content.length }).end(
        calm,
      );
      const isRight = expected !== other;
      assert.deepEqual(isProved(path, reading), [isRight, true], String(expected.length));
      assert.equal(reading.sha256 === digestFile(path).sha256, isRight);
    }
  });

  for (const [where, from] of [
    ['before', 5 * megabyte],
    ['after', 35 * megabyte],
  ] as const) {
    it(`are not proved when a page ${where} the middle was read before it was written`, () => {
      const path = folder('copy.db');
      writeFileSync(path, content);
      const behind = new DigestBehind(path, { begin, sizeBytes: content.length });
      const early = openSync(path, 'r+');
      writeSync(early, Buffer.alloc(4096), 0, 4096, from);
      behind.follow(100 * megabyte, calm);
      writeSync(early, content, from, 4096, from);
      closeSync(early);
      const reading = behind.end(calm);
      assert.notEqual(reading.sha256, digestFile(path).sha256);
      assert.notDeepEqual(isProved(path, reading), [true, true]);
    });
  }

  it('do not depend on the size that was expected, only their proof does', () => {
    const path = folder('copy.db');
    writeFileSync(path, content);
    for (const sizeBytes of [0, 4096, 30 * megabyte, 2 * content.length, 3 * content.length]) {
      const reading = new DigestBehind(path, { begin, sizeBytes }).end(calm);
      assert.equal(reading.sha256, digestFile(path).sha256);
      const hasMiddle = sizeBytes <= 2 * content.length;
      assert.deepEqual(isProved(path, reading), [hasMiddle, hasMiddle], String(sizeBytes));
    }
  });
});
