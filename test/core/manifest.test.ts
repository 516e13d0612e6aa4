import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type Manifest,
  parseManifest,
  serializeManifest,
} from '../../src/core/manifest/manifest.ts';

const manifest: Manifest = {
  format: 1,
  kind: 'snapshot',
  tool: { name: 'sqlite-backup', version: '0.1.0', sqlite: '3.54.1' },
  createdAt: '2026-11-21T13:45:02.789Z',
  source: { path: 'data/app.db', workspace: 'shop' },
  method: 'exact',
  trigger: 'cli',
  sizeBytes: 8192,
  sha256: 'a'.repeat(64),
  facts: {
    pageCount: 2,
    pageSize: 4096,
    journalMode: 'wal',
    encoding: 'UTF-8',
    autoVacuum: 0,
    userVersion: -1,
    applicationId: 42,
    schemaFingerprint: 'b'.repeat(64),
  },
  verdict: { status: 'ok', checkedAt: '2026-11-21T13:45:03.000Z', findings: [] },
};

/** The manifest as JSON with the value at `path` replaced. */
function withValue(path: string, value: unknown): string {
  const copy = structuredClone(manifest) as unknown as Record<string, unknown>;
  const names = path.split('.');
  const last = names.pop() ?? '';
  const owner = names.reduce((at, name) => at[name] as Record<string, unknown>, copy);
  owner[last] = value;
  return JSON.stringify(copy);
}

describe('manifest', () => {
  it('takes nothing but an object of ours', () => {
    const foreign = [
      '',
      '{',
      'null',
      '[]',
      '1',
      '"x"',
      '{}',
      '{"format":1}',
      JSON.stringify([manifest]),
    ];
    for (const json of foreign) assert.equal(parseManifest(json).kind, 'foreign', json);
  });

  const wrong: [path: string, value: unknown][] = [
    ['tool.name', 'other-backup'],
    ['tool', 'sqlite-backup'],
    ['format', 0],
    ['format', -1],
    ['format', '1'],
    ['format', 1.5],
    ['kind', 'bundle'],
    ['sizeBytes', -1],
    ['sizeBytes', '8192'],
    ['sizeBytes', 1e300],
    ['sizeBytes', null],
    ['sha256', 'A'.repeat(64)],
    ['sha256', 'a'.repeat(63)],
    ['sha256', `${'a'.repeat(64)}\n`],
    ['createdAt', 'yesterday'],
    ['createdAt', 0],
    ['method', 'toString'],
    ['trigger', 'constructor'],
    ['facts', []],
    ['facts.pageSize', 100],
    ['facts.autoVacuum', 3],
    ['facts.schemaFingerprint', ''],
    ['verdict.status', 'fine'],
    ['verdict.findings', {}],
    ['verdict.findings', [{ code: 'x' }]],
    ['source.path', 'p'.repeat(5000)],
    ['warnings', 'none'],
  ];
  for (const [path, value] of wrong) {
    it(`does not take ${JSON.stringify(value)?.slice(0, 40)} for ${path}`, () => {
      const parsed = parseManifest(withValue(path, value));
      assert.equal(parsed.kind, 'foreign');
      assert.ok(parsed.kind === 'foreign' && parsed.reason.length > 0);
    });
  }

  it('knows one of a newer format, whatever else has changed in it, and judges nothing', () => {
    const newer = '{"format":2,"tool":{"name":"sqlite-backup"},"verdict":"something else"}';
    assert.deepEqual(parseManifest(newer), { kind: 'newer', format: 2 });
  });

  it('does not believe a newer format of a foreign tool', () => {
    assert.equal(parseManifest('{"format":2,"tool":{"name":"x"}}').kind, 'foreign');
  });

  it('lets nobody in through __proto__', () => {
    const json = JSON.stringify(manifest).replace(
      '{',
      '{"__proto__":{"pinned":true,"polluted":1},"constructor":{"prototype":{"polluted":1}},',
    );
    const parsed = parseManifest(json);
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    assert.ok(parsed.kind === 'manifest');
    assert.equal(parsed.manifest.pinned, undefined);
    const rest = { ...manifest, verdict: undefined };
    const smuggled = `{"__proto__":{"verdict":{"status":"ok","findings":[]}},${JSON.stringify(rest).slice(1)}`;
    assert.equal(parseManifest(smuggled).kind, 'foreign');
  });

  it('reads what it wrote', () => {
    const full: Manifest = {
      ...manifest,
      note: 'before the upgrade',
      pinned: true,
      warnings: [{ code: 'a', message: 'b' }],
    };
    for (const one of [manifest, full]) {
      assert.deepEqual(parseManifest(serializeManifest(one)), { kind: 'manifest', manifest: one });
    }
  });

  it('writes a text file that people can read', () => {
    const json = serializeManifest(manifest);
    assert.ok(json.endsWith('}\n') && json.includes('\n  "format": 1,\n'));
  });

  it('never throws, whatever the file holds', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (json) => {
        assert.notEqual(parseManifest(json).kind, 'manifest');
      }),
      { numRuns: 500 },
    );
  });
});
