import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { digestCopy } from '../../src/core/files/digests.ts';
import { needProgram } from '../support/processes.ts';
import { useTempFolder } from '../support/tempFolders.ts';
import { useMounts } from '../support/mounts.ts';

const mega = 1024 * 1024;
const sizes = [0, 1, 511, 512, 4096, 4097, mega - 1, mega, mega + 1, 3 * mega + 512, 5 * mega];

describe('the digests of a clone that nothing has read', () => {
  const { mountWithClones } = useMounts();
  const folder = useTempFolder();

  for (const kind of ['xfs', 'btrfs', 'the own file system'] as const) {
    const place = (): string => {
      const at = folder('place');
      if (kind !== 'the own file system') return mountWithClones(kind, folder('image'), at);
      mkdirSync(at);
      return at;
    };

    it(`are those of its bytes, whatever its length (${kind})`, async () => {
      const at = place();
      for (const size of sizes) {
        const path = join(at, `${size}`);
        const bytes = randomBytes(size);
        writeFileSync(path, bytes);
        const sha256 = createHash('sha256').update(bytes).digest('hex');
        const seen: number[] = [];
        const isUnread = true;
        const onProgress = (doneBytes: number) => void seen.push(doneBytes);
        const toPublish = { path, purpose: 'publish', isUnread } as const;
        assert.deepEqual(await digestCopy(toPublish, onProgress), { sha256 }, `${size}`);
        assert.equal(seen.at(-1) ?? 0, size);
        const toPack = { path, purpose: 'pack', isUnread } as const;
        assert.deepEqual(await digestCopy(toPack), { sha256, crc32: crc32(bytes) });
      }
    });

    it(`have what is not on the disk yet, and end where a call of theirs throws (${kind})`, async () => {
      const at = place();
      const copy = { path: join(at, 'copy'), purpose: 'publish', isUnread: true } as const;
      const bytes = randomBytes(4 * mega);
      writeFileSync(copy.path, bytes);
      const handle = openSync(copy.path, 'r+');
      for (let n = 0; n < 20; n++) {
        const change = randomBytes(24);
        const position = (n * 211_111) % (4 * mega - 24);
        writeSync(handle, change, 0, 24, position);
        change.copy(bytes, position);
        const sha256 = createHash('sha256').update(bytes).digest('hex');
        assert.deepEqual(await digestCopy(copy), { sha256 });
      }
      closeSync(handle);
      const end = () => {
        throw new Error('cancelled');
      };
      await assert.rejects(digestCopy(copy, end), /cancelled/);
      await assert.rejects(digestCopy({ ...copy, path: join(at, 'none') }), { code: 'ENOENT' });
    });
  }

  for (const kind of ['xfs', 'btrfs'] as const) {
    it(`take no memory of the cache (${kind})`, async () => {
      needProgram('fincore', 'util-linux-extra');
      const at = mountWithClones(kind, folder('image'), folder('place'));
      const [path, clone] = [join(at, 'file'), join(at, 'clone')];
      writeFileSync(path, randomBytes(32 * mega));
      execFileSync('cp', ['--reflink=always', path, clone]);
      const residentBytes = () =>
        Number(execFileSync('fincore', ['-b', '-n', '-o', 'RES', clone], { encoding: 'utf8' }));
      const unread = await digestCopy({ path: clone, purpose: 'publish', isUnread: true });
      // Btrfs reads the first pieces ahead, as the memory for them is new.
      assert.ok(residentBytes() <= 8 * mega, `${residentBytes()} bytes are in the cache`);
      const read = await digestCopy({ path: clone, purpose: 'publish', isUnread: false });
      assert.deepEqual(read, unread);
      assert.equal(residentBytes(), 32 * mega);
    });
  }
});
