import assert from 'node:assert/strict';
import { levelOf } from '../../src/core/catalog/folderLevels.ts';

describe('folders for a long list of databases', () => {
  const level = (paths: string[], prefix = ''): [string[], string[]] => {
    const { folders, items } = levelOf(paths, prefix, (path) => path);
    return [folders.map(({ label, items: some }) => `${label}: ${some.length}`), items];
  };
  const many = (name: string, count: number): string[] =>
    Array.from({ length: count }, (_, index) => `${name}/db${index}/app.db`);

  it('are none while the list is short', () => {
    assert.deepEqual(level(many('a', 30))[0], []);
  });

  it('begin where the paths differ, and never hold a single file', () => {
    const paths = [...many('services/s00', 20), ...many('services/s01', 25), 'services/one/x.db'];
    assert.deepEqual(level(paths), [
      ['services/s00: 20', 'services/s01: 25'],
      ['services/one/x.db'],
    ]);
  });

  it('have folders in them where they are long themselves, and name only what they add', () => {
    const paths = [...many('a/b', 40), ...many('a/c', 40), 'root.db'];
    assert.deepEqual(level(paths), [['a: 80'], ['root.db']]);
    const inA = paths.filter((path) => path.startsWith('a/'));
    assert.deepEqual(level(inA, 'a/'), [['b: 40', 'c: 40'], []]);
  });

  it('end, whatever the paths are', () => {
    const flat = Array.from({ length: 40 }, (_, index) => `x/db${index}.db`);
    assert.deepEqual(level(flat), [[], flat]);
    const nested = Array.from({ length: 40 }, (_, index) => `${'d/'.repeat(index)}x.db`);
    let [left, prefix, depth] = [nested, '', 0];
    for (; left.length > 30; depth++) {
      const { folders } = levelOf(left, prefix, (path) => path);
      assert.equal(folders.length, 1);
      [left, prefix] = [folders[0]?.items ?? [], folders[0]?.prefix ?? ''];
    }
    assert.ok(depth > 5);
  });
});
