import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { problemWith, type SettingSchema } from '../../src/editor/settingCheck.ts';

const manifest = JSON.parse(
  readFileSync(resolve(import.meta.dirname, '../../package.json'), 'utf8'),
) as {
  contributes: {
    configuration: { properties: Record<string, SettingSchema & { default: unknown }> };
  };
};
const { properties } = manifest.contributes.configuration;

describe('the value of a setting', () => {
  const values = ['text', 7, -1, true, null, {}, [1, null], ['a'], [], 'x'.repeat(1000), NaN];

  it('of another kind is refused for every setting, its default never', () => {
    for (const [key, schema] of Object.entries(properties)) {
      assert.equal(problemWith(schema.default, schema), undefined, key);
      const refused = values.filter((value) => problemWith(value, schema) !== undefined);
      assert.ok(refused.length >= 5, `${key} takes ${values.length - refused.length} of all kinds`);
      for (const value of [null, {}]) assert.ok(problemWith(value, schema), key);
    }
  });

  it('is named, cut where it is long, with what is expected', () => {
    const include = properties['sqliteBackup.include'];
    assert.deepEqual(problemWith('*.db', include), { expected: 'texts', found: '"*.db"' });
    assert.deepEqual(problemWith([1, null], include)?.expected, 'texts');
    assert.deepEqual(problemWith(7, properties['sqliteBackup.backupsFolder']), {
      expected: 'text',
      found: '7',
    });
    assert.equal(problemWith('fast', properties['sqliteBackup.method'])?.expected, 'choice');
    assert.equal(problemWith(-1, properties['sqliteBackup.deadline'])?.expected, 'range');
    assert.ok((problemWith('x'.repeat(1000), include)?.found.length ?? 99) < 70);
  });

  it('is an absolute path of any system where a folder outside of the workspace is meant', () => {
    const folder = properties['sqliteBackup.checkpointsFolder'];
    for (const good of ['', '/srv/checkpoints', 'D:\\Checkpoints', '\\\\server\\share'])
      assert.equal(problemWith(good, folder), undefined, good);
    for (const bad of ['checkpoints', './checkpoints', '~/checkpoints', 'C:checkpoints'])
      assert.equal(problemWith(bad, folder)?.expected, 'path', bad);
  });
});
