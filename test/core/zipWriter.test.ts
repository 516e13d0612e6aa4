import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { Zip } from '../../src/core/bundle/zipReader.ts';
import { type Packable, writeZip } from '../../src/core/bundle/zipWriter.ts';
import { type Compression, compressions } from '../../src/core/manifest/manifest.ts';
import { useTempFolder } from '../support/tempFolders.ts';

describe('a zip', () => {
  const folder = useTempFolder();

  const file = (name: string, bytes: Buffer): Packable => {
    const path = folder(name.replaceAll('/', '_'));
    writeFileSync(path, bytes);
    return { name, sizeBytes: bytes.length, crc32: crc32(bytes), content: { path } };
  };

  const write = async (files: Packable[], compression: Compression): Promise<Buffer> => {
    const path = folder('out.zip');
    const at = new Date('2026-11-21T13:45:02.000Z');
    const written = await writeZip(path, files, {
      compression,
      at,
      onProgress: () => undefined,
      onPacked: () => undefined,
    });
    const bytes = readFileSync(path);
    assert.equal(written.sizeBytes, bytes.length);
    return bytes;
  };

  /** Bytes that repeat at a distance, as pages do: compressible only with what came before. */
  const pages = (count: number): Buffer =>
    Buffer.concat(
      Array.from({ length: count }, (_one, index) => Buffer.alloc(4096, `page ${index % 7} `)),
    );

  const block = 256 * 1024;
  for (const compression of compressions) {
    for (const size of [0, 1, block - 1, block, block + 1, 3 * block, 12 * block + 5]) {
      it(`gives back ${size} bytes, ${compression}`, async () => {
        const content = pages(size / 4096 + 1).subarray(0, size);
        await write([file('a/b.db', content), file('c', Buffer.from('c'))], compression);
        const zip = await Zip.open(folder('out.zip'));
        try {
          await zip.requireSoundEntries();
          assert.deepEqual(await zip.readSmall('a/b.db', 1e9), content);
          assert.equal((await zip.readSmall('c', 10)).toString(), 'c');
        } finally {
          zip.close();
        }
      });
    }
  }

  it('has the same bytes for the same content, in any time zone', async () => {
    const zone = process.env['TZ'];
    const results: Buffer[] = [];
    try {
      for (const TZ of ['UTC', 'Pacific/Chatham', 'America/New_York']) {
        process.env['TZ'] = TZ;
        results.push(await write([file('a', pages(300)), file('b', Buffer.from('b'))], 'balanced'));
      }
    } finally {
      if (zone === undefined) delete process.env['TZ'];
      else process.env['TZ'] = zone;
    }
    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
  });

  it('is hardly larger for being compressed in blocks', async () => {
    const words = Array.from({ length: 400_000 }, (_one, n) => `word ${(n * 7919) % 5003} `).join(
      '',
    );
    const content = Buffer.from(words);
    const { deflateRawSync } = await import('node:zlib');
    const whole = deflateRawSync(content, { level: 6 }).length;
    const zipped = (await write([file('a', content)], 'balanced')).length;
    assert.ok(zipped < 1.02 * whole, `${zipped} instead of ${whole}`);
  });

  it('fails on a disk that is full, and does not wait for ever', async function () {
    if (!existsSync('/dev/full')) this.skip();
    const options = { at: new Date(), onProgress: () => undefined, onPacked: () => undefined };
    for (const compression of compressions) {
      for (const files of [[], [file('a', Buffer.alloc(0))], [file('a', pages(200))]])
        await assert.rejects(writeZip('/dev/full', files, { ...options, compression }), {
          code: 'ENOSPC',
        });
    }
  });

  it('fails for a file that has become shorter, and does not wait for ever', async () => {
    const short = { ...file('a', pages(10)), sizeBytes: 50 * 4096 };
    await assert.rejects(write([short], 'balanced'), /shorter/);
    await assert.rejects(write([short], 'store'), /shorter/);
  });
});
